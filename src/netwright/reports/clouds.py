"""Points of several groups: each group has a colour and a mark of its own.

Eight colours times four marks. Groups with the same mark have colours that stay apart in every form of colour blindness
(simulated after Machado et al., "A physiologically-based model for simulation of color vision deficiency", 2009), and
the others are told apart by the mark: a map of embeddings can be read, and printed, without seeing colours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from netwright.core.messages import say
from netwright.reports.charts import MOST_DOTS, Chart, Line, dots
from netwright.reports.numbers import finite
from netwright.reports.scales import axis

__all__ = ["cloud_chart"]

COLOURS = 8
MARKS = ("m-disc", "m-box", "m-ring", "m-frame")
MOST_GROUPS = 24  # more than that nobody keeps apart: the smallest ones share a grey


def cloud_chart(
    title: str, x: Sequence[Any], y: Sequence[Any], groups: Sequence[Any], x_label: str, y_label: str
) -> Chart:
    """The points of each group, thinned alike; without labels the axes have no meaning and carry no numbers."""
    points = [(p[0], p[1], str(g)) for a, b, g in zip(x, y, groups, strict=False) if len(p := finite((a, b))) == 2]
    points = points[:: 1 + len(points) // MOST_DOTS]
    xs, ys = axis([a for a, _, _ in points], may_log=False), axis([b for _, b, _ in points], may_log=False)
    counts = Counter(group for _, _, group in points)
    kept = sorted(group for group, _ in counts.most_common(MOST_GROUPS - (len(counts) > MOST_GROUPS)))
    lines = []
    for number, group in enumerate(kept):
        drawn = dots([(xs(a), ys(b)) for a, b, own in points if own == group])
        style = _style(number)
        lines.append(Line(group, style, dots=drawn, hollow=style.endswith(MARKS[2:])))
    if len(kept) < len(counts):
        drawn = dots([(xs(a), ys(b)) for a, b, own in points if own not in kept])
        lines.insert(0, Line(say("all other groups"), "group g0 m-disc", dots=drawn))
    summary = say("{count} points in {groups} groups", count=f"{len(points):,}", groups=len(counts))
    ticks = (xs.ticks(5), ys.ticks(5)) if x_label or y_label else ([], [])
    return Chart(title, x_label, summary, lines, *ticks, y_label=y_label, square=True)


def _style(number: int) -> str:
    """Colour and mark of the n-th group: neighbours differ in both, and no two groups agree in both."""
    mark = MARKS[(number + number // COLOURS) % len(MARKS)]
    return f"group g{number % COLOURS + 1} {mark}"
