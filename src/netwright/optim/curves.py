"""Shapes of learning-rate schedules: functions of the step, with no state and no optimizer.

A factory's signature is the schedule's config. It gives a `Curve`: `curve(step, total, lr) -> factor`, where `step`
counts updates from 0, `total` is how many there will be (both after the warm-up), `lr` is the optimizer's learning rate
(it turns an absolute `min_lr` into a factor), and every group's rate is its base rate times the factor. Amounts of
steps may be given as a fraction of the total (0..1) or as a number of updates (above 1).
"""

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from netwright.core.schemas import Count, NonNegative, Positive

__all__ = [
    "Curve",
    "Plateau",
    "constant",
    "cosine",
    "linear",
    "one_cycle",
    "plateau",
    "step",
    "steps_of",
    "warm_restarts",
]

Curve = Callable[[int, int, float], float]
Shrink = Annotated[float, Field(gt=0, lt=1)]
Multiplier = Annotated[float, Field(ge=1)]


def steps_of(amount: float, total: int) -> int:
    """`amount` in updates: a fraction of `total` up to and with 1, a number of updates above it."""
    return round(amount * total) if amount <= 1 else round(amount)


def constant() -> Curve:
    """The learning rate as it is."""
    return _one


def _one(_step: int, _total: int, _lr: float) -> float:
    return 1.0


def cosine(min_lr: NonNegative = 0.0) -> Curve:
    """Half a cosine from the learning rate down to `min_lr` (Loshchilov & Hutter, 2017)."""

    def factor(step: int, total: int, lr: float) -> float:
        return _between(_cosine_fall(step / max(total, 1)), min_lr / lr)

    return factor


def linear(min_lr: NonNegative = 0.0) -> Curve:
    """A straight line from the learning rate down to `min_lr`."""

    def factor(step: int, total: int, lr: float) -> float:
        return _between(1 - min(step / max(total, 1), 1.0), min_lr / lr)

    return factor


def step(milestones: tuple[Positive, ...] = (0.5, 0.75), gamma: Shrink = 0.1, every: Positive | None = None) -> Curve:
    """Times `gamma` at each milestone (fractions of the run or updates), or after `every` so many."""

    def factor(step: int, total: int, _lr: float) -> float:
        if every is not None:
            return gamma ** (step // max(steps_of(every, total), 1))
        return gamma ** bisect_right(sorted(steps_of(place, total) for place in milestones), step)

    return factor


def one_cycle(rise: Shrink = 0.3, start: Multiplier = 25.0, end: Multiplier = 1e4) -> Curve:
    """From lr/`start` up to the learning rate in the fraction `rise` of the run, then down to lr/(`start`·`end`).

    Smith & Topin, 2018, with cosine arcs as in torch's OneCycleLR. Differs from the paper: momentum is not cycled.
    """

    def factor(step: int, total: int, _lr: float) -> float:
        top, last = rise * total - 1, total - 1
        if step < top:
            return 1 + (1 / start - 1) * _cosine_fall(step / top)
        return _between(_cosine_fall((step - top) / max(last - top, 1)), 1 / (start * end))

    return factor


def warm_restarts(first: Positive = 0.1, multiplier: Multiplier = 2.0, min_lr: NonNegative = 0.0) -> Curve:
    """Cosine falls that start anew (SGDR; Loshchilov & Hutter, 2017).

    Args:
        first: length of the first fall, a fraction of the run or in updates; each next is `multiplier` times as long.
    """

    def factor(step: int, total: int, lr: float) -> float:
        length = float(max(steps_of(first, total), 1))
        if multiplier == 1:
            cycle = step // length
            begun = cycle * length
        else:  # the sum of a geometric series, solved for the number of whole cycles
            cycle = math.floor(math.log(step / length * (multiplier - 1) + 1, multiplier) + 1e-9)
            begun = length * (multiplier**cycle - 1) / (multiplier - 1)
            length *= multiplier**cycle
        return _between(_cosine_fall(max(step - begun, 0.0) / length), min_lr / lr)

    return factor


@dataclass(frozen=True)
class Plateau:
    """Settings of the only schedule that looks at the run; `schedules.PlateauSchedule` acts on them."""

    factor: float
    patience: int
    threshold: float
    cooldown: int
    min_lr: float


def plateau(
    *,
    factor: Shrink = 0.1,
    patience: Count = 5,
    threshold: NonNegative = 1e-4,
    cooldown: Count = 0,
    min_lr: NonNegative = 0.0,
) -> Plateau:
    """Times `factor` when the observed value has not improved for more than `patience` observations.

    Args:
        threshold: improvement that counts, relative to the best value.
        cooldown: observations after a cut in which nothing is counted.
    """
    return Plateau(factor, patience, threshold, cooldown, min_lr)


def _cosine_fall(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def _between(height: float, floor: float) -> float:
    """`height` 1 is the learning rate, 0 is the floor (never above the learning rate)."""
    floor = min(floor, 1.0)
    return floor + (1 - floor) * height
