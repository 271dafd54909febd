"""One thread that runs the network, and the requests that wait for it."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from netwright.core.errors import NetwrightError
from netwright.data.schema import Schema
from netwright.serving.inputs import RefusedError

__all__ = ["Answering", "Worker"]

_MOST_WAITING = 256


class Answering(Protocol):
    """What is served: `experiment.Predictor` is one."""

    schema: Schema

    def answers(self, inputs: Any) -> list[dict[str, Any]]:
        """An answer for each input, in the user's words."""
        ...


@dataclass
class _Request:
    inputs: list[Any]
    answer: "asyncio.Future[list[dict[str, Any]]]"


class Worker:
    """Answers requests in the order in which they come; PyTorch's own threads share the work of each.

    Args:
        together: inputs of waiting requests that are put to the network at once, up to so many. That is quicker where
            many ask, and sums in another order: the last digit may then depend on who else asks.
    """

    def __init__(self, model: Answering, together: int = 1) -> None:
        self._model, self._together = model, together
        self._waiting: deque[_Request] = deque()
        self._come = asyncio.Event()

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Answer as long as the context lasts."""
        with ThreadPoolExecutor(1, thread_name_prefix="netwright") as thread:
            task = asyncio.create_task(self._answer_all(thread))
            try:
                yield
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def ask(self, inputs: list[Any]) -> list[dict[str, Any]]:
        """The answers to the inputs of one request.

        Raises:
            RefusedError: an input that does not fit, or too many requests wait.
        """
        if len(self._waiting) >= _MOST_WAITING:
            raise RefusedError("{count} requests wait already; try again in a moment", status=503, count=_MOST_WAITING)
        request = _Request(inputs, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        self._come.set()
        return await request.answer

    async def _answer_all(self, thread: ThreadPoolExecutor) -> None:
        while True:
            await self._come.wait()
            batch = self._next()
            if not batch:
                self._come.clear()
                continue
            told = await asyncio.get_running_loop().run_in_executor(thread, self._answer, batch)
            for request, answer in zip(batch, told, strict=True):
                if request.answer.done():  # who asked has gone
                    continue
                if isinstance(answer, Exception):
                    request.answer.set_exception(answer)
                else:
                    request.answer.set_result(answer)

    def _next(self) -> list[_Request]:
        """The first request, and those behind it as far as they fit into a batch with it."""
        batch: list[_Request] = []
        while self._waiting:
            count = sum(len(request.inputs) for request in (*batch, self._waiting[0]))
            if batch and count > self._together:
                break
            request = self._waiting.popleft()
            if not request.answer.done():
                batch.append(request)
        return batch

    def _answer(self, batch: Sequence[_Request]) -> list[list[dict[str, Any]] | Exception]:
        """An answer or an error for each request; one that does not fit takes no other with it."""
        try:
            told = self._model.answers([value for request in batch for value in request.inputs])
        except Exception as error:
            if len(batch) == 1:
                return [self._placed(batch[0].inputs, error)]
            return [self._answer([request])[0] for request in batch]
        parts, first = list[list[dict[str, Any]] | Exception](), 0
        for request in batch:
            parts.append(told[first : first + len(request.inputs)])
            first += len(request.inputs)
        return parts

    def _placed(self, inputs: Sequence[Any], error: Exception) -> Exception:
        """The error with the place of the input that it is of."""
        if not isinstance(error, NetwrightError):
            return error
        for place, value in enumerate(inputs):
            try:
                self._model.answers([value])
            except NetwrightError as reason:
                return RefusedError("{field}: {reason}", field=f"inputs[{place}]", reason=reason)
        return error
