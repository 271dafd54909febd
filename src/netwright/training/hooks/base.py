"""What may listen to a run. A hook changes nothing of the maths; the loop does not know which hooks there are."""

from typing import TYPE_CHECKING, Any

from netwright.tasks.base import StepOutput

if TYPE_CHECKING:
    from netwright.training.session import Session

__all__ = ["Hook"]


class Hook:
    """Every event does nothing until a subclass says otherwise.

    `stride` is how many steps lie between two calls of `step_end` (0: never), so that a step costs nothing that is not
    due.
    """

    name = "hook"
    stride = 0
    looks_at_figures = True  # reads numbers in `step_end`, for which an accelerator is waited for

    def start(self, run: "Session") -> None:
        """Before the first step, also after a resume."""

    def step_end(self, run: "Session", out: StepOutput) -> None:
        """After every `stride`-th step."""

    def validation_end(self, run: "Session") -> None:
        """After a validation; its figures are `run.last_metrics`."""

    def saved(self, run: "Session") -> None:
        """After a checkpoint is on the disk."""

    def end(self, run: "Session") -> None:
        """After the last step."""

    def close(self, run: "Session") -> None:
        """However the run ended: give back what is held. May come without a `start`."""

    def state(self) -> dict[str, Any]:
        """What must survive a resume, as tensors and JSON scalars."""
        return {}

    def load_state(self, run: "Session", state: dict[str, Any]) -> None:
        """Undo of `state`."""
