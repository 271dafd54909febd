"""Axes: a range of values laid on 0..100 % of a plot, with ticks a person would have chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from netwright.reports.numbers import finite, number

__all__ = ["Scale", "Tick", "axis"]

LOG_FROM = 40.0  # largest over smallest value from which a linear axis would hide the lower half of the story
PADDING = 0.06
LARGEST = 1e300  # what is beyond is drawn there, so that a range never overflows


@dataclass(frozen=True)
class Tick:
    place: float
    label: str


@dataclass(frozen=True)
class Scale:
    """`low`..`high` in the data's own unit; `log` when the axis counts in powers of ten."""

    low: float
    high: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of `value` on the axis in per cent, kept within three axis lengths so that paths stay drawable."""
        if self.log:
            value = math.log10(value) if value > 0 else math.log10(self.low) - 9
        low, high = (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)
        return min(300.0, max(-200.0, 100 * (value - low) / (high - low)))

    def ticks(self, wanted: int = 5) -> list[Tick]:
        values = _log_values(self.low, self.high, wanted) if self.log else _linear_values(self.low, self.high, wanted)
        return [Tick(round(self(value), 2), _label(value, values, self.log)) for value in values]


def axis(values: Sequence[float], *, tight: bool = False, may_log: bool = True, include: Sequence[float] = ()) -> Scale:
    """A scale for `values`. `tight`: no padding (time axes). `include`: further values that must be on it."""
    known = sorted(min(LARGEST, max(-LARGEST, value)) for value in finite(values))
    if not known:
        return Scale(0.0, 1.0)
    low, high = min([known[0], *include]), max([known[-1], *include])
    if may_log and low > 0 and high / low >= LOG_FROM:
        powers = math.log10(low), math.log10(high)
        room = (powers[1] - powers[0]) * PADDING
        return Scale(10 ** max(-306, powers[0] - room), 10 ** min(306, powers[1] + room), log=True)
    if not tight:
        low, high = _without_spikes(known, low, high)
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        room = abs(high) * 0.5 or 0.5
        return Scale(low - room, high + room)
    room = 0.0 if tight else (high - low) * PADDING
    floor = 0.0 if low >= 0 and low - room < 0 else low - room
    return Scale(floor, high + room)


def _without_spikes(known: list[float], low: float, high: float) -> tuple[float, float]:
    """Leave out a few extreme values that would flatten all the others (an exploding step in the log)."""
    if len(known) < 20:
        return low, high
    cut = max(1, len(known) // 50)
    inner_low, inner_high = known[cut], known[-1 - cut]
    spread = inner_high - inner_low
    if spread <= 0:
        return low, high
    if high > inner_high + 6 * spread:
        high = inner_high + spread
    if low < inner_low - 6 * spread:
        low = inner_low - spread
    return low, high


def _linear_values(low: float, high: float, wanted: int) -> list[float]:
    rough = (high - low) / max(1, wanted)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [0.0 if index == 0 else index * step for index in range(first, last + 1)]


def _log_values(low: float, high: float, wanted: int) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    stride = max(1, math.ceil((last - first + 1) / wanted))
    values = [10.0**power for power in range(first, last + 1, stride)]
    if len(values) >= 3:
        return values
    between = (10.0**power * digit for power in range(first - 1, last + 1) for digit in (1, 2, 5))
    return [value for value in between if low <= value <= high] or [low, high]


def _label(value: float, values: Sequence[float], log: bool) -> str:
    if log or len(values) < 2:
        return _short(value)
    step = abs(values[1] - values[0])
    largest = max(abs(each) for each in values)
    if largest >= 1e4 or largest < 1e-3:
        return _short(value)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step, decimals) != round(step, decimals + 1):  # steps of 2.5, 0.25, …
        decimals += 1
    return "0" if value == 0 else f"{value:,.{decimals}f}".replace("-", "−")


def _short(value: float) -> str:
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if limit <= abs(value) < 1e12:
            return f"{number(value / limit, 3)}{letter}"
    return number(value, 3)
