"""What a run logged over its steps, as series that can be drawn: found, ordered, thinned.

A long noisy log becomes buckets (mean, lowest, highest), so that the picture keeps its spikes and the page stays small.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from netwright.reports.folder import MetricLine, RunRecord
from netwright.reports.numbers import as_float

__all__ = ["SIGNALS", "Series", "Topic", "last_value", "series", "signals", "topics"]

SIGNALS = ("lr", "grad_norm", "update_ratio", "examples_per_second")
NOT_DRAWN = frozenset({"kind", "step", "epoch", "seconds", "best", "time", "phase", *SIGNALS})
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
    keys = dict.fromkeys(key for lines in (run.train[:50], run.validation, run.train[-1:]) for row in lines for key in row)
    drawn = [key for key in keys if key not in NOT_DRAWN]
    parts = [key for key in drawn if key.endswith("_loss")]
    first = [key for key in ("loss", monitor) if key in drawn]
    rest = [key for key in drawn if key not in first and (len(parts) < 2 or key not in parts)]
    found = [_topic(run, key) for key in dict.fromkeys([*first, *rest])]
    if len(parts) >= 2:
        found.insert(len(first), Topic("losses", _parts(run, parts)))
    return [topic for topic in found if any(each.known or each.lost_from is not None for each in topic.series)][:MOST_TOPICS]


def signals(run: RunRecord) -> list[Topic]:
    """Learning rate, gradient norm, update ratio and speed; a value per parameter group becomes a line per group."""
    found = []
    for key in SIGNALS:
        groups = {name for row in run.train[:20] if isinstance(row.get(key), dict) for name in row[key]}
        if groups:
            lines = [_group_rows(run.train, key, name) for name in sorted(groups)[:4]]
            topic = Topic(key, [series(name, rows, key) for name, rows in zip(sorted(groups), lines, strict=False)])
        else:
            topic = Topic(key, [series("train", run.train, key)])
        if any(each.known for each in topic.series):
            found.append(topic)
    return found


def _topic(run: RunRecord, key: str) -> Topic:
    both = (series("train", run.train, key), series("validation", run.validation, key))
    return Topic(key, [each for each in both if each.xs])


def _parts(run: RunRecord, keys: Sequence[str]) -> list[Series]:
    lines = run.train if any(keys[0] in row for row in run.train) else run.validation
    return [series(key.removesuffix("_loss").replace("_", " "), lines, key) for key in keys[:4]]


def _group_rows(lines: Iterable[MetricLine], key: str, name: str) -> list[MetricLine]:
    return [{"step": row.get("step"), key: row[key].get(name)} for row in lines if isinstance(row.get(key), dict)]


def series(name: str, lines: Sequence[MetricLine], key: str) -> Series:
    """`key` over the steps of `lines`. A null counts as a value that was lost, an absent key as nothing logged."""
    points: dict[float, float] = {}
    for position, row in enumerate(lines):
        if key not in row or isinstance(row[key], str | bool | dict) and as_float(row[key]) is None:
            continue
        value = row[key][0] if isinstance(row[key], list) and row[key] else row[key]
        got, step = as_float(value), as_float(row.get("step"))
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
