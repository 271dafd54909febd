"""Numbers as a reader wants them: as many digits as decide something, and no more."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from netwright.core.messages import say

__all__ = [
    "as_float",
    "big",
    "bytes_",
    "count",
    "duration",
    "finite",
    "in_percent",
    "metric",
    "number",
    "percent",
    "plain",
    "shape",
    "whole",
]

_PERCENT = frozenset({"accuracy", "balanced_accuracy", "error_rate", "precision", "recall", "top5"})


def as_float(value: Any) -> float | None:
    """The number in `value` (NaN and infinity stay), or None. JSON logs write a lost number as null, NaN or "nan"."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    if isinstance(value, str) and value.strip().lower().lstrip("+-") in {"nan", "inf", "infinity"}:
        return float(value)
    return None


def whole(value: Any) -> int:
    """The number in `value` without its fraction; 0 for what is negative or no number."""
    got = as_float(value)
    return int(got) if got is not None and math.isfinite(got) and got > 0 else 0


def finite(values: Iterable[Any]) -> list[float]:
    numbers = (as_float(value) for value in values)
    return [value for value in numbers if value is not None and math.isfinite(value)]


def number(value: Any, digits: int = 4) -> str:
    """Four significant digits; 3e-5 rather than 0.00003; a dash for what is not known."""
    got = as_float(value)
    if got is None:
        return "–"
    if not math.isfinite(got):
        return "NaN" if math.isnan(got) else ("∞" if got > 0 else "−∞")
    if got == 0:
        return "0"
    size = abs(got)
    if size < 1e-3 or size >= 1e7:
        mantissa, _, exponent = f"{got:.{digits - 2}e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        text = f"{mantissa}e{int(exponent)}"
    elif size >= 10 ** (digits - 1):
        text = f"{got:,.0f}"
    else:
        text = f"{got:.{max(0, digits - 1 - math.floor(math.log10(size)))}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "−", 1) if got < 0 else text


def percent(fraction: float, decimals: int = 1) -> str:
    """87.6 %; a round figure stays round: 86 %."""
    text = f"{100 * fraction:.{decimals}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %".replace("-", "−")


def metric(name: str, value: Any, apart_from: Any = None) -> str:
    """A metric in its habit's unit, with digits added until it can be told from `apart_from`, or from a perfect 1."""
    got, other = as_float(value), as_float(apart_from)
    if got is None or not math.isfinite(got):
        return number(value)
    other = 1.0 if other is None and 0.9 < got < 1 else other
    for digits in range(4, 9):
        shown, against = (_in_unit(name, each, digits) for each in (got, got if other is None else other))
        if other is None or got == other or shown != against:
            return shown
    return shown


def in_percent(name: str) -> bool:
    """Whether a metric is told in per cent."""
    return name in _PERCENT or name.startswith("recall_at_")


def _in_unit(name: str, value: float, digits: int) -> str:
    if in_percent(name) and 0 <= value <= 1:
        return percent(value, digits - 3)
    return number(value, digits)


def count(value: Any) -> str:
    got = as_float(value)
    return "–" if got is None or not math.isfinite(got) else f"{got:,.0f}".replace("-", "−")


def big(value: Any) -> str:
    """61.7 k, 1.24 M, 350 G: three digits and a letter."""
    got = as_float(value)
    if got is None or not math.isfinite(got):
        return "–"
    for limit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(got) >= limit:
            return f"{number(got / (1e3 if letter == 'k' else limit), 3)} {letter}"
    return count(got) if got == int(got) else number(got, 3)


def bytes_(value: Any) -> str:
    got = as_float(value)
    if got is None or not math.isfinite(got):
        return "–"
    for limit, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if got >= limit:
            return f"{number(got / limit, 3)} {unit}"
    return f"{got:.0f} B"


def duration(seconds: Any) -> str:
    got = as_float(seconds)
    if got is None or not math.isfinite(got) or got < 0:
        return "–"
    if got < 60:
        return say("{seconds} s", seconds=number(got, 3 if got >= 1 else 2))
    minutes, rest = divmod(round(got), 60)
    if minutes < 60:
        return say("{minutes} min {seconds:02d} s", minutes=minutes, seconds=rest)
    return say("{hours} h {minutes:02d} min", hours=minutes // 60, minutes=minutes % 60)


def shape(value: Any) -> str:
    """1 × 28 × 28; several shapes are joined by a comma."""
    if isinstance(value, list | tuple):
        if any(isinstance(item, list | tuple) for item in value):
            return ", ".join(shape(item) for item in value)
        return " × ".join("?" if item is None else str(item) for item in value) or say("scalar")
    return "–" if value is None else str(value)


def plain(value: Any) -> str:
    """Any JSON value as one line of text for a reader."""
    if isinstance(value, bool):
        return say("yes") if value else say("no")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value)
    return "–" if value is None else str(value)
