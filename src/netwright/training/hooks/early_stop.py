"""Early stopping: end when the watched metric has not improved for a while.

Prechelt, "Early stopping - but when?", 1998.
"""

import math
from typing import TYPE_CHECKING, Any

from netwright.core.messages import say
from netwright.training.hooks.base import Hook

if TYPE_CHECKING:
    from netwright.training.session import Session

__all__ = ["EarlyStop"]


class EarlyStop(Hook):
    """Stops after `patience` validations in a row that improve the best value by no more than `min_delta`."""

    name = "early-stop"

    def __init__(self, patience: int, min_delta: float = 0.0) -> None:
        self._patience, self._min_delta = patience, min_delta
        self._best: float | None = None
        self._waited = 0

    def validation_end(self, run: "Session") -> None:
        """Count, and ask the run to stop when patience is over."""
        metric, sense = run.monitor
        value = run.last_metrics[metric]
        gain = float("inf") if self._best is None else (value - self._best) * (1 if sense == "max" else -1)
        if gain > self._min_delta and not math.isnan(value):
            self._best, self._waited = value, 0
            return
        self._waited += 1
        self._stop_if_over(run)

    def state(self) -> dict[str, Any]:
        """The best value so far and how long ago it was."""
        return {"best": self._best, "waited": self._waited}

    def load_state(self, run: "Session", state: dict[str, Any]) -> None:
        """Undo of `state`."""
        self._best, self._waited = state["best"], state["waited"]
        self._stop_if_over(run)

    def _stop_if_over(self, run: "Session") -> None:
        if self._waited >= self._patience:
            template = "{metric} has not improved for {n} validations"
            run.stop_reason = say(template, metric=run.monitor[0], n=self._waited)
