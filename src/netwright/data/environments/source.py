"""What sources share whose batches come from acting: they go on from where they stand, and know no way but forward."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from netwright.core.errors import CheckpointError
from netwright.data.batching.source import Batch
from netwright.data.environments.stepper import EnvironmentStepper

__all__ = ["ActingSource"]


class ActingSource(ABC):
    """A `BatchSource` that acts with the network that is bound to it.

    Batches go on from where the source stands; beginning with epoch 0 starts everything anew. Only one iterator may
    be in use. Experience is gathered just before the batch that needs it is given, so that a state saved between two
    batches is complete.
    """

    def __init__(self, stepper: EnvironmentStepper) -> None:
        self._stepper = stepper
        self._model: Any = None
        self._given = 0  # batches given since the beginning

    @property
    @abstractmethod
    def steps_per_epoch(self) -> int:
        """Batches that count as an epoch."""

    @abstractmethod
    def _forget(self) -> None:
        """Go back to before any experience."""

    @abstractmethod
    def _next(self) -> Batch:
        """The batch after the `_given` that were given before."""

    def bind(self, model: Any) -> None:
        """Act with this network from now on; it is used as it is whenever experience is gathered."""
        self._model = model

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `start` on, which must be where the source stands.

        Raises:
            CheckpointError: (while iterating) it stands somewhere else.
        """
        wanted = epoch * self.steps_per_epoch + start
        if wanted == 0 and self._given:
            self._stepper.reset()
            self._given = 0
            self._forget()
        for _ in range(start, self.steps_per_epoch):
            if wanted != self._given:
                template = "an environment cannot jump to batch {wanted} from {given}; load the state saved there"
                raise CheckpointError(template, wanted=wanted, given=self._given)
            batch = self._next()
            self._given = wanted = wanted + 1
            yield batch

    def logs(self) -> dict[str, float]:
        """For the log: mean return of the last 100 training episodes (once one ended), environment steps."""
        returns, steps = self._stepper.returns, self._stepper.steps
        mean = {"episode_return": sum(returns) / len(returns)} if returns else {}
        return {**mean, "environment_steps": float(steps)}

    def state(self) -> dict[str, Any]:
        """Counters, and what rebuilds the environments."""
        return {"given": self._given, "environments": self._stepper.state()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo of `state`; see `EnvironmentStepper.load_state` for errors."""
        self._given = int(state["given"])
        self._stepper.load_state(state["environments"])

    def close(self) -> None:
        """Let the environments go."""
        self._stepper.close()
