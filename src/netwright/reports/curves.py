"""What a run logged over its steps, as series that can be drawn: found, ordered, thinned.

A long noisy log becomes buckets (mean, lowest, highest), so that the picture keeps its spikes and the page stays small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from netwright.reports.folder import MetricLine, RunRecord
from netwright.reports.numbers import as_float

__all__ = ["SIGNALS", "Series", "Topic", "is_figure", "last_value", "series", "signals", "topics"]

SIGNALS = ("lr", "grad_norm", "update_ratio", "examples_per_second")
NOT_DRAWN = frozenset({"kind", "step", "epoch", "seconds", "best", "time", "phase"})
BUCKETS = 160
MOST_TOPICS = 12


@dataclass
class Series:
    """`name` is "train" or "validation", or the part of the metric that this line shows.

    `lows`/`highs` are empty where nothing was thinned; a None in `ys` is a gap (a value that was not finite).
    """

    name: str
    xs: list[float]
    ys: list[float | None]
    lows: list[float | None] = field(default_factory=list)
    highs: list[float | None] = field(default_factory=list)
    lost_from: float | None = None

    @property
    def known(self) -> list[tuple[float, float]]:
        return [(x, y) for x, y in zip(self.xs, self.ys, strict=True) if y is not None]


@dataclass
class Topic:
    """One chart to be: a metric and the series that show it."""

    key: str
    series: list[Series]


def topics(run: RunRecord, monitor: str) -> list[Topic]:
    """Loss first, then the monitored metric, then the rest in the order in which they were logged."""
    keys = dict.fromkeys(
        key for lines in (run.train[:50], run.validation, run.train[-1:]) for row in lines for key in row
    )
    drawn = [key for key in keys if is_figure(key)]
    parts = [key for key in drawn if key.endswith("_loss")]
    first = [key for key in ("loss", monitor) if key in drawn]
    rest = [key for key in drawn if key not in first and (len(parts) < 2 or key not in parts)]
    found = [topic for key in dict.fromkeys([*first, *rest]) for topic in _topics(run, key)]
    if len(parts) >= 2:
        found.insert(len(first), Topic("losses", _parts(run, parts)))
    return [topic for topic in found if any(each.known or each.lost_from is not None for each in topic.series)][
        :MOST_TOPICS
    ]


def signals(run: RunRecord) -> list[Topic]:
    """Learning rate, gradient norm, update ratio and speed; of several phases each has its line (`lr_generator`)."""
    keys = dict.fromkeys(key for row in (*run.train[:20], *run.train[-1:]) for key in row)
    found = []
    for signal in SIGNALS:
        named = [key for key in keys if key == signal or key.startswith(f"{signal}_")]
        lines = [series(key.removeprefix(signal).strip("_"), run.train, key) for key in named[:4]]
        if any(each.known for each in lines):
            found.append(Topic(signal, lines))
    return found


def is_figure(key: str) -> bool:
    """Whether a key of the log is a measured figure, rather than a counter or a signal of training."""
    return key not in NOT_DRAWN and not any(key == signal or key.startswith(f"{signal}_") for signal in SIGNALS)


def _topics(run: RunRecord, key: str) -> list[Topic]:
    both = [each for each in (series("train", run.train, key), series("validation", run.validation, key)) if each.xs]
    # Q-learning: in training an error, in validation minus the return. One axis for both would flatten the error.
    signs = [{y > 0 for _, y in each.known if y} for each in both]
    if len(both) == 2 and sorted(map(tuple, signs)) == [(False,), (True,)]:
        return [Topic(key, [each]) for each in both]
    return [Topic(key, both)]


def _parts(run: RunRecord, keys: Sequence[str]) -> list[Series]:
    lines = run.train if any(keys[0] in row for row in run.train) else run.validation
    return [series(key.removesuffix("_loss").replace("_", " "), lines, key) for key in keys[:4]]


def series(name: str, lines: Sequence[MetricLine], key: str) -> Series:
    """`key` over the steps of `lines`. A null counts as a value that was lost, an absent key as nothing logged."""
    points: dict[float, float] = {}
    for position, row in enumerate(lines):
        if key not in row or (isinstance(row[key], str | bool | dict | list) and as_float(row[key]) is None):
            continue
        got, step = as_float(row[key]), as_float(row.get("step"))
        # A resumed run logs some steps twice: the later line is the one that counts.
        points[float(position) if step is None else step] = math.nan if got is None else got
    xs = sorted(points)
    ys = [points[x] for x in xs]
    lost = next((x for x, y in zip(xs, ys, strict=True) if not math.isfinite(y)), None)
    thinned = _thin(xs, ys) if len(xs) > 2 * BUCKETS else (xs, [_drawable(y) for y in ys], [], [])
    return Series(name, *thinned, lost_from=lost)


def _drawable(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _thin(
    xs: list[float], ys: list[float]
) -> tuple[list[float], list[float | None], list[float | None], list[float | None]]:
    out_x: list[float] = []
    means: list[float | None] = []
    lows: list[float | None] = []
    highs: list[float | None] = []
    for bucket in range(BUCKETS):
        start, stop = bucket * len(xs) // BUCKETS, (bucket + 1) * len(xs) // BUCKETS
        known = [y for y in ys[start:stop] if math.isfinite(y)]
        out_x.append(xs[start] if bucket == 0 else xs[stop - 1] if bucket == BUCKETS - 1 else xs[(start + stop) // 2])
        means.append(math.fsum(known) / len(known) if known else None)
        lows.append(min(known) if known else None)
        highs.append(max(known) if known else None)
    return out_x, means, lows, highs


def last_value(lines: Sequence[MetricLine], key: str) -> float | None:
    """The last finite value of `key`."""
    values = (as_float(row.get(key)) for row in reversed(lines))
    return next((value for value in values if value is not None and math.isfinite(value)), None)
