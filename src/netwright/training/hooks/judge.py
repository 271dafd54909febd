"""A judge beside a run: it hears each validation's figure, and may end a run that is not worth going on with.

Whoever trains many runs to compare them decides by it which are ended early. A deadline ends a run as well; its best
weights until then are measured and saved as ever.
"""

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from netwright.core.messages import say
from netwright.tasks.base import StepOutput
from netwright.training.hooks.base import Hook

if TYPE_CHECKING:
    from netwright.training.session import Session

__all__ = ["Judge"]


class Judge(Hook):
    """Ends a run on somebody's word, or when time is up.

    Args:
        hears: gets the number of the validation (from 1) and its figure; whether the run is to end.
        deadline: by `time.monotonic`.

    Attributes:
        verdict: why the run was ended; empty where it came to its own end.
    """

    name, stride, looks_at_figures = "judge", 1, False

    def __init__(self, hears: Callable[[int, float], bool], deadline: float = math.inf) -> None:
        self._hears, self._deadline = hears, deadline
        self._heard = 0
        self.verdict: Literal["", "pruned", "cut"] = ""

    def step_end(self, run: "Session", out: StepOutput) -> None:
        """Look at the clock."""
        if time.monotonic() > self._deadline and run.stop_reason is None and not self._is_last(run):
            self._end(run, "cut")

    def validation_end(self, run: "Session") -> None:
        """Pass the figure on."""
        self._heard += 1
        behind = self._hears(self._heard, run.last_metrics[run.monitor[0]])
        if behind and run.stop_reason is None and not self._is_last(run):
            self._end(run, "pruned")

    def state(self) -> dict[str, Any]:
        """How many figures were heard, and the verdict."""
        return {"heard": self._heard, "verdict": self.verdict}

    def load_state(self, run: "Session", state: dict[str, Any]) -> None:
        """Undo of `state`."""
        self._heard = state["heard"]
        if state["verdict"]:
            self._end(run, state["verdict"])

    def _is_last(self, run: "Session") -> bool:
        return run.progress.step >= run.total_steps

    def _end(self, run: "Session", verdict: Literal["pruned", "cut"]) -> None:
        self.verdict = verdict
        run.stop_reason = say("time was up") if verdict == "cut" else say("it fell behind other trials")
