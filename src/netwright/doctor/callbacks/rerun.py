"""The beginning of a loop, kept for a diagnosis later: network and optimizer as they were, and the first batches."""

import copy
import functools
import logging
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from netwright.core.errors import because
from netwright.core.messages import say
from netwright.doctor.callbacks.own_loss import unpatched
from netwright.doctor.diagnose import Diagnosis, diagnose
from netwright.doctor.probe.private import paired
from netwright.metrics.architecture import private_copy, tensors_in

__all__ = ["Rerun", "kept"]

_log = logging.getLogger("netwright")
_BATCHES, _BYTES = 64, 200_000_000


class _Batches:
    """A loader of kept batches; no list, which `diagnose` would take for a pair where it holds two."""

    def __init__(self, batches: list[Any]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


class Rerun:
    """What `nw.diagnose` needs, gathered while a loop begins.

    Args:
        loss: of (output, targets); may be set later, or be None where `step` knows it.
        step: of (net, optimizer, (inputs, targets)): one whole optimization step; returns the loss. With `whole`, a
            module that holds the net, it takes a copy of that first.
    """

    def __init__(
        self, net: nn.Module, optimizer: Optimizer, loss: Callable[..., Any] | None = None,
        step: Callable[..., Any] | None = None, whole: nn.Module | None = None,
    ) -> None:  # fmt: skip
        holder = whole if whole is not None else net
        twin = unpatched(private_copy(holder))
        pairs = paired(holder, twin)
        self._net = pairs[id(net)]
        self._optimizer = copy.deepcopy(optimizer, pairs)
        self.loss = loss
        self.step = functools.partial(step, twin) if step is not None and whole is not None else step
        self._batches: list[Any] = []
        self._held = 0

    @property
    def full(self) -> bool:
        """Whether more batches would be too many."""
        return len(self._batches) >= _BATCHES or self._held > _BYTES

    def keep(self, batch: Any) -> None:
        """Keep an (inputs, targets) pair."""
        if not self.full:
            self._batches.append(kept(batch))
            self._held += sum(tensor.numel() * tensor.element_size() for tensor in tensors_in(batch))

    def diagnose(self, seconds: float, steps: int) -> Diagnosis | None:
        """What is wrong with a run of so many steps; None, and a word in the log, where that cannot be found out."""
        if not self._batches or (self.loss is None and self.step is None):
            _log.warning(say("No diagnosis: no (inputs, targets) pairs were seen that a known loss fits."))
            return None
        epochs = max(1, round(steps / len(self._batches)))
        try:
            return diagnose(
                self._net, self._optimizer, self.loss, train=_Batches(self._batches), step=self.step, epochs=epochs,
                budget_seconds=seconds,
            )  # fmt: skip
        except Exception as error:  # the copies run the user's code; a finished training must not be lost to that
            _log.warning(say("No diagnosis: {kind}: {reason}", kind=type(error).__name__, reason=because(error)))
            return None


def kept(value: Any) -> Any:
    """The same batch with tensors that nobody else writes to."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: kept(item) for key, item in value.items()}
    return type(value)(kept(item) for item in value) if type(value) in (list, tuple) else value
