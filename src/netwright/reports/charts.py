"""Charts as data for the template: paths in a 1000 × 1000 box that stretches, everything written in HTML on top.

Drawn by hand rather than by matplotlib: the strokes keep their width and the labels their size on a phone, colours are
CSS variables (so dark mode and print need no second picture), and a chart weighs a few kilobytes. y grows downwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from netwright.core.messages import say
from netwright.reports.curves import Series
from netwright.reports.numbers import finite, in_percent, metric, number
from netwright.reports.scales import Scale, Tick, axis

__all__ = ["Chart", "Line", "Mark", "dots", "histogram", "line_chart", "scatter"]

MOST_DOTS = 2000


@dataclass
class Line:
    """One drawn series: `style` names its classes, `band` the path of its lowest to highest values; `hollow` dots are
    rings.
    """

    name: str
    style: str
    path: str = ""
    band: str = ""
    dots: str = ""
    last: str = ""
    hollow: bool = False


@dataclass
class Mark:
    """A labelled point (`y` given) or a labelled vertical rule (`y` None), in per cent from the left and the top."""

    x: float
    y: float | None
    label: str
    style: str = "best"
    below: bool = False


@dataclass
class Chart:
    title: str
    x_label: str
    summary: str
    lines: list[Line]
    x_ticks: list[Tick] = field(default_factory=list)
    y_ticks: list[Tick] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    guides: list[Tick] = field(default_factory=list)
    bars: list[dict[str, Any]] = field(default_factory=list)
    y_label: str = ""
    hover: dict[str, Any] | None = None
    square: bool = False

    @property
    def legend(self) -> bool:
        return len(self.lines) > 1


def line_chart(
    key: str,
    title: str,
    series: Sequence[tuple[Series, str, str]],
    *,
    x_label: str = "",
    y_label: str = "",
    best: tuple[float, str] | None = None,
    guide: tuple[float, str] | None = None,
    x_range: tuple[float, float] | None = None,
    also: Sequence[float] = (),
) -> Chart:
    """`series` holds (values, label, style). `best` marks a step, `guide` draws a level, both with their label; `also`
    are values of charts beside this one, so that all have one scale.
    """
    every = [*(value for line, _, _ in series for value in (*line.ys, *line.lows, *line.highs)), *also]
    ys = axis(finite(every), may_log=not in_percent(key), include=_near(guide, every))
    xs = axis([*(x for line, _, _ in series for x in line.xs), *(x_range or ())], tight=True, may_log=False)
    chart = Chart(title, x_label, _summary(key, series), [], xs.ticks(5), ys.ticks(4), y_label=y_label)
    chart.lines = [_line(key, values, label, style, xs, ys) for values, label, style in series]
    chart.y_ticks = [Tick(tick.place, _tick_label(key, tick.label, ys)) for tick in chart.y_ticks]
    if guide and 0 <= ys(guide[0]) <= 100:
        chart.guides = [Tick(round(ys(guide[0]), 2), guide[1])]
    chart.marks = [*_best(best, series, xs, ys), *_lost(series, xs)]
    chart.hover = _hover(key, series, xs, ys)
    return chart


def _near(guide: tuple[float, str] | None, values: Sequence[float | None]) -> list[float]:
    """A guide is worth stretching the axis for only when it is not far away from everything that was measured."""
    known = finite(values)
    if guide is None or not known:
        return []
    spread = max(known) - min(known) or abs(known[0])
    return [guide[0]] if min(known) - spread <= guide[0] <= max(known) + spread else []


def _line(key: str, values: Series, label: str, style: str, xs: Scale, ys: Scale) -> Line:
    points = [(xs(x), None if y is None else ys(y)) for x, y in zip(values.xs, values.ys, strict=True)]
    known = values.known
    line = Line(label, style, _path(points), last=metric(key, known[-1][1]) if known else "")
    if 0 < len(known) <= 25:
        line.dots = dots([point for point in points if point[1] is not None])
    if values.lows:
        upper = [(xs(x), y) for x, y in zip(values.xs, values.highs, strict=True) if y is not None]
        lower = [(xs(x), y) for x, y in zip(values.xs, values.lows, strict=True) if y is not None]
        ring = [(x, ys(y)) for x, y in (*upper, *reversed(lower))]
        line.band = "M" + "L".join(_at(x, y) for x, y in ring) + "Z" if ring else ""
    return line


def _at(x: float, y: float) -> str:
    return f"{10 * x:.0f} {1000 - 10 * y:.0f}"


def _path(points: Sequence[tuple[float, float | None]]) -> str:
    path, pen_down = [], False
    for x, y in points:
        if y is not None:
            path.append(("L" if pen_down else "M") + _at(x, y))
        pen_down = y is not None
    return "".join(path)


def dots(points: Sequence[tuple[float, Any]]) -> str:
    """Lines of no length with round ends: dots that stay round however the box is stretched."""
    return "".join(f"M{_at(x, y)}h0" for x, y in points)


def _best(
    best: tuple[float, str] | None, series: Sequence[tuple[Series, str, str]], xs: Scale, ys: Scale
) -> list[Mark]:
    if best is None or not series:
        return []
    step, label = best
    known = series[-1][0].known
    if not known:
        return []
    x, y = min(known, key=lambda point: abs(point[0] - step))
    top = 100 - ys(y)
    # The label stands on a rule at the far side of the plot, where the curve is not.
    return [Mark(round(xs(x), 2), round(top, 2), label, below=top < 50)] if 0 <= top <= 100 else []


def _lost(series: Sequence[tuple[Series, str, str]], xs: Scale) -> list[Mark]:
    lost = [values.lost_from for values, _, _ in series if values.lost_from is not None]
    if not lost:
        return []
    return [Mark(round(xs(min(lost)), 2), None, say("not finite from step {step}", step=f"{min(lost):,.0f}"), "lost")]


def _tick_label(key: str, label: str, scale: Scale) -> str:
    if in_percent(key) and not scale.log and scale.high <= 1.1:
        return f"{number(100 * float(label.replace('−', '-').replace(',', '')), 4)} %"
    return label


def _summary(key: str, series: Sequence[tuple[Series, str, str]]) -> str:
    """What a screen reader says in place of the picture."""
    sentences = []
    for values, label, _ in series:
        ys = [y for _, y in values.known]
        if ys:
            shown = {"first": ys[0], "last": ys[-1], "low": min(ys), "high": max(ys)}
            words = {name: metric(key, value) for name, value in shown.items()}
            sentences.append(say("{name}: from {first} to {last}, between {low} and {high}", name=label, **words))
    return "; ".join(sentences) or say("no values")


def _hover(key: str, series: Sequence[tuple[Series, str, str]], xs: Scale, ys: Scale) -> dict[str, Any]:
    """The values under the pointer: the script places them with the same two scales."""
    lines = [
        {
            "name": label,
            "style": style,
            "x": [_round(x) for x, _ in values.known],
            "y": [_round(y) for _, y in values.known],
        }
        for values, label, style in series
    ]
    labels = [[metric(key, y) for _, y in values.known] for values, _, _ in series]
    for line, text in zip(lines, labels, strict=True):
        line["text"] = text
    return {"x": [xs.low, xs.high], "y": [ys.low, ys.high], "log": ys.log, "lines": lines}


def _round(value: float) -> float | int:
    short = float(f"{value:.5g}") if abs(value) < 1e5 else round(value)
    return int(short) if short == int(short) else short


def scatter(title: str, x: Sequence[Any], y: Sequence[Any], x_label: str, y_label: str, *, diagonal: bool) -> Chart:
    """Points, thinned to what can be seen apart; `diagonal` gives both axes one range and draws where x equals y."""
    pairs = [(p[0], p[1]) for a, b in zip(x, y, strict=False) if len(p := finite((a, b))) == 2]
    pairs = pairs[:: 1 + len(pairs) // MOST_DOTS]
    xs = axis([a for a, _ in pairs] + [b for _, b in pairs] * diagonal, may_log=False)
    ys = xs if diagonal else axis([b for _, b in pairs], may_log=False)
    lines = [Line(y_label, "cloud", dots=dots([(xs(a), ys(b)) for a, b in pairs]))]
    if diagonal:
        lines.insert(0, Line(say("equal"), "diagonal", path="M0 1000L1000 0"))
    summary = say("{count} points, {x} against {y}", count=f"{len(pairs):,}", x=x_label, y=y_label)
    chart = Chart(title, x_label, summary, lines, xs.ticks(5), ys.ticks(5), y_label=y_label, square=True)
    return chart


def histogram(title: str, values: Sequence[Any], label: str) -> Chart:
    """Bins by the rule of Freedman and Diaconis, 8 to 48 of them; what is not finite is left out and counted."""
    known = sorted(finite(values))
    lost = len(values) - len(known)
    if not known:
        return Chart(title, label, say("no values"), [])
    xs = axis(known, tight=True, may_log=False)
    edges = _edges(known, xs)
    heights = [0] * (len(edges) - 1)
    width = edges[1] - edges[0]
    for value in known:
        heights[min(len(heights) - 1, max(0, int((value - edges[0]) / width)))] += 1
    ys = Scale(0.0, max(heights) * 1.06)
    bars = [
        {
            "left": round(xs(low), 3),
            "width": round(xs(high) - xs(low), 3),
            "height": round(ys(height), 2),
            "text": say("{low} to {high}: {count}", low=number(low, 3), high=number(high, 3), count=f"{height:,}"),
        }
        for low, high, height in zip(edges, edges[1:], heights, strict=False)
    ]
    summary = say(
        "{count} values from {low} to {high}", count=f"{len(known):,}", low=number(known[0]), high=number(known[-1])
    )
    if lost:
        summary += "; " + say("{count} not finite, left out", count=lost)
    ticks = [tick for tick in ys.ticks(4) if "." not in tick.label]
    return Chart(title, label, summary, [], xs.ticks(5), ticks, bars=bars, y_label=say("count"))


def _edges(known: Sequence[float], xs: Scale) -> list[float]:
    spread = known[(3 * len(known)) // 4] - known[len(known) // 4]
    width = 2 * spread / len(known) ** (1 / 3)
    bins = min(48, max(8, math.ceil((xs.high - xs.low) / width))) if width > 0 else 16
    return [xs.low + (xs.high - xs.low) * index / bins for index in range(bins + 1)]
