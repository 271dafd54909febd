"""The figure of the verdict on a graduated scale, beside what it has to be held against."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from netwright.core.messages import say
from netwright.reports.folder import RunRecord
from netwright.reports.measured import SPLITS, Headline, results
from netwright.reports.numbers import in_percent, metric
from netwright.reports.scales import Scale, Tick, axis
from netwright.reports.words import value_name

__all__ = ["UNIT", "Ruler", "ruler_of"]

UNIT = frozenset({"auroc", "dice", "f1", "iou", "mean_average_precision", "r2"})  # from 0 to 1, told without per cent


@dataclass
class Ruler:
    scale: Scale
    got: float
    ticks: list[Tick]
    minor: list[float]
    marks: list[dict[str, Any]] = field(default_factory=list)


def ruler_of(run: RunRecord, headline: Headline) -> Ruler | None:
    if not math.isfinite(headline.value):
        return None
    rivals = _rivals(run, headline)
    values = [headline.value, *(value for value, _, _ in rivals)]
    if not any(style in ("baseline", "wanted") for _, _, style in rivals):
        return None
    unit = (headline.key in UNIT or in_percent(headline.key)) and min(values) >= 0 and max(values) <= 1
    # Zero belongs on the scale, and the best figure should not stand at its very end.
    scale = Scale(0.0, 1.0) if unit else axis([*values, 0.0, max(values) * 1.08], tight=True, may_log=False)
    major = scale.ticks(10 if unit else 8)
    gap = (major[1].place - major[0].place) / 5 if len(major) > 1 else 100.0
    minor = [round(place, 2) for n in range(int(100 / gap) + 2) if (place := (major[0].place % gap) + n * gap) <= 100]
    ticks = [
        Tick(tick.place, metric(headline.key, float(tick.label.replace(",", ""))) if unit else tick.label)
        for tick in major
    ]
    ruler = Ruler(scale, round(scale(headline.value), 2), ticks, minor)
    for value, label, style in rivals:
        ruler.marks.append(
            {"place": round(scale(value), 2), "label": label, "style": style, "value": metric(headline.key, value)}
        )
    return ruler


def _rivals(run: RunRecord, headline: Headline) -> list[tuple[float, str, str]]:
    found = [
        (headline.baseline, say("ignoring the input"), "baseline"),
        (headline.wanted, say("wanted"), "wanted"),
    ]
    for split in SPLITS:
        if split != headline.split:
            found.append((results(run).get(split, {}).get(headline.key), value_name(split), split))
    return [(value, label, style) for value, label, style in found if value is not None and math.isfinite(value)]
