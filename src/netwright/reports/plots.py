"""A chart as an SVG file of its own, for pages outside a report; what is drawn and where is decided in `charts.py`.

Colours are CSS variables with values for light and dark, so that one file serves both.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from netwright.core.messages import cells
from netwright.reports.charts import Chart, Line, Mark

__all__ = ["draw_chart"]

LEFT, RIGHT, TOP, BOTTOM = 58, 16, 44, 40
LIGHT = (
    "--page:#fff;--ink:#111a24;--ink-3:#5b6776;--line-2:#e7ecf0;--quiet:#8391a0;--v:#1355ad;--c2:#bf5215;--c3:#18785a"
)
DARK = (
    "--page:#0d131a;--ink:#e9eff5;--ink-3:#93a1b0;--line-2:#212b36;--quiet:#66778a;--v:#7cb3ff;--c2:#f39a5c;--c3:#58c79a"
)
STYLE = """
text{font:12px/1.2 system-ui,"Segoe UI","Noto Sans",sans-serif;fill:var(--ink-3)}
.title{font-weight:600;font-size:13.5px;fill:var(--ink)}.end{text-anchor:end}.mid{text-anchor:middle}
.grid{stroke:var(--line-2)}.base{stroke:var(--ink-3)}.lost{stroke:var(--c2);stroke-dasharray:4 3}
.line{fill:none;stroke:var(--s);stroke-width:2;vector-effect:non-scaling-stroke;stroke-linejoin:round;stroke-linecap:round}
.dots{stroke-width:5}.t{--s:var(--quiet)}.v,.c1{--s:var(--v)}.c2{--s:var(--c2)}.c3{--s:var(--c3)}.c2.line{stroke-width:2.6}
"""


def draw_chart(chart: Chart, width: int = 720, height: int = 280) -> str:
    """The chart as a whole SVG document."""
    wide, high = width - LEFT - RIGHT, height - TOP - BOTTOM
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" aria-labelledby="title told">',
        f'<title id="title">{escape(chart.title)}</title><desc id="told">{escape(chart.summary)}</desc>',
        f"<style>svg{{{LIGHT}}}@media(prefers-color-scheme:dark){{svg{{{DARK}}}}}{STYLE}</style>",
        '<rect width="100%" height="100%" style="fill:var(--page)"/>',
        f'<text class="title" x="{LEFT}" y="18">{escape(chart.title)}</text>',
        *_legend(chart.lines, width - RIGHT),
        *_axes(chart, wide, high),
        f'<svg x="{LEFT}" y="{TOP}" width="{wide}" height="{high}" viewBox="0 0 1000 1000" '
        'preserveAspectRatio="none" overflow="hidden">',
        *(part for line in chart.lines for part in _line(line)),
        "</svg>",
        *(part for mark in chart.marks if mark.y is None for part in _rule(mark, wide, high)),
        "</svg>",
    ]) + "\n"  # fmt: skip


def _legend(lines: Iterable[Line], right: float) -> list[str]:
    """From the right edge to the left, the last line outermost."""
    parts = []
    for line in reversed([line for line in lines if line.name]):
        parts.append(f'<text class="end" x="{right:.0f}" y="18">{escape(line.name)}</text>')
        right -= 6.6 * cells(line.name) + 24
        parts.append(f'<path class="line {line.style}" d="M{right:.0f} 14h16"/>')
        right -= 14
    return parts


def _axes(chart: Chart, wide: float, high: float) -> list[str]:
    parts, foot = [], TOP + high
    for tick in chart.y_ticks:
        y = foot - high * tick.place / 100
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}h{wide}"/>')
        parts.append(f'<text class="end" x="{LEFT - 8}" y="{y + 4:.1f}">{escape(tick.label)}</text>')
    parts.append(f'<path class="base" d="M{LEFT} {foot}h{wide}"/>')
    for tick in chart.x_ticks:
        x = LEFT + wide * tick.place / 100
        anchor = "end" if tick.place > 97 else "mid"
        parts.append(f'<path class="base" d="M{x:.1f} {foot}v4"/>')
        parts.append(f'<text class="{anchor}" x="{x:.1f}" y="{foot + 17}">{escape(tick.label)}</text>')
    parts.append(f'<text class="mid" x="{LEFT + wide / 2:.0f}" y="{foot + 33}">{escape(chart.x_label)}</text>')
    return parts


def _line(line: Line) -> list[str]:
    paths = [("line", line.path), ("line dots", line.dots)]
    return [f'<path class="{kind} {line.style}" d="{path}"/>' for kind, path in paths if path]


def _rule(mark: Mark, wide: float, high: float) -> list[str]:
    x = LEFT + wide * mark.x / 100
    side, gap = ("end", -6) if mark.x > 55 else ("", 6)
    return [
        f'<path class="lost" d="M{x:.1f} {TOP}v{high}"/>',
        f'<text class="{side}" x="{x + gap:.1f}" y="{TOP + 12}">{escape(mark.label)}</text>',
    ]
