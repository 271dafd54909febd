"""Schedules at work: a curve bound to an optimizer, with a warm-up in front.

`advance()` is called after each update and writes `lr = initial_lr * factor(step)` into the optimizer's groups. The
factor is a pure function of the step, so a schedule's state is its step; only `PlateauSchedule` remembers what it has
seen. Each group's base rate lies in `group["initial_lr"]`, which the optimizer's own state_dict carries.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor
from torch.optim import Optimizer

from netwright.core.schemas import build
from netwright.optim.catalog import schedules
from netwright.optim.curves import Curve, Plateau, constant, steps_of

__all__ = ["PlateauSchedule", "Schedule", "build_schedule"]


class Schedule:
    """A curve that drives an optimizer's learning rates.

    Args:
        total_steps: updates the run will make.
        warmup: linear rise from (nearly) zero at the start, as a fraction of the run (0..1) or in updates (above 1);
            the curve begins after it. It is cut to the run's length.
    """

    def __init__(self, optimizer: Optimizer, curve: Curve, total_steps: int, warmup: float = 0.0) -> None:
        self.step = 0
        self.total_steps = total_steps
        self.warmup_steps = min(steps_of(warmup, total_steps), total_steps)
        self._optimizer = optimizer
        self._curve = curve
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", float(group["lr"]))
        # A constant rate is written once, when the warm-up ends; after that an update costs one comparison.
        self._steady_from = self.warmup_steps if curve is constant() else math.inf
        self._write()

    @property
    def lr(self) -> float:
        """The learning rate in force, of the group with the highest."""
        return max(float(group["lr"]) for group in self._optimizer.param_groups)

    def factor(self, step: int) -> float:
        """What the base rates are multiplied by at update `step` (from 0)."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        return self._curve(step - self.warmup_steps, self.total_steps - self.warmup_steps, self._base())

    def advance(self) -> None:
        """Count an update, and set the rates of the next."""
        self.step += 1
        if self.step <= self._steady_from:
            self._write()

    def observe(self, value: float, sense: Literal["min", "max"] = "min") -> None:
        """Tell a validation value, and whether it should fall or rise; only a plateau schedule listens."""

    def scale(self, multiplier: float) -> None:
        """Multiply every base rate, now and for the rest of the run: a remedy of the doctor's."""
        for group in self._optimizer.param_groups:
            group["initial_lr"] *= multiplier
        self._write()

    def state(self) -> dict[str, Any]:
        """What resuming needs, as JSON; the base rates travel with the optimizer."""
        return {"step": self.step}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Undo of `state`; call it after the optimizer's state has been loaded."""
        self.step = int(state["step"])
        self._write()

    def _base(self) -> float:
        return max((group["initial_lr"] for group in self._optimizer.param_groups), default=1.0) or 1.0

    def _write(self) -> None:
        factor = self.factor(self.step)
        for group in self._optimizer.param_groups:
            if isinstance(group["lr"], Tensor):  # capturable optimizers keep the rate on the device
                group["lr"].fill_(group["initial_lr"] * factor)
            else:
                group["lr"] = group["initial_lr"] * factor


class PlateauSchedule(Schedule):
    """Cuts the rates when the observed value stops improving, as torch's ReduceLROnPlateau (relative threshold)."""

    def __init__(self, optimizer: Optimizer, settings: Plateau, total_steps: int, warmup: float = 0.0) -> None:
        self.settings = settings
        self._cut = 1.0
        self._best = math.inf  # of the value's badness: the value, or its negative when it should rise
        self._bad = 0
        self._cooling = 0
        super().__init__(optimizer, self._level, total_steps, warmup)
        self._steady_from = self.warmup_steps

    def observe(self, value: float, sense: Literal["min", "max"] = "min") -> None:
        """Tell a validation value, and whether it should fall or rise; NaN counts as no improvement."""
        settings = self.settings
        badness = value if sense == "min" else -value
        margin = settings.threshold * abs(self._best) if math.isfinite(self._best) else 0.0
        if badness < self._best - margin:
            self._best, self._bad = badness, 0
        else:
            self._bad += 1
        if self._cooling:
            self._cooling -= 1
            self._bad = 0
        if self._bad > settings.patience:
            self._cut *= settings.factor
            self._bad, self._cooling = 0, settings.cooldown
            self._write()

    def state(self) -> dict[str, Any]:
        best = self._best if math.isfinite(self._best) else None
        return {"step": self.step, "cut": self._cut, "best": best, "bad": self._bad, "cooling": self._cooling}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._cut = float(state["cut"])
        self._best = math.inf if state["best"] is None else float(state["best"])
        self._bad, self._cooling = int(state["bad"]), int(state["cooling"])
        super().load_state(state)

    def _level(self, _step: int, _total: int, lr: float) -> float:
        return max(self._cut, min(self.settings.min_lr / lr, 1.0))


def build_schedule(name: str, optimizer: Optimizer, total_steps: int, warmup: float = 0.0, **options: Any) -> Schedule:
    """The schedule `name` over `total_steps` updates of `optimizer`.

    Args:
        warmup: fraction of the run (0..1) or number of updates (above 1).
        options: the schedule's own settings, checked against the signature of its factory in `curves.py`.

    Raises:
        ConfigError: unknown name or settings.
    """
    made = build(schedules().load(name), options, "optimizer.schedule")
    kind = PlateauSchedule if isinstance(made, Plateau) else Schedule
    return kind(optimizer, made, total_steps, warmup)
