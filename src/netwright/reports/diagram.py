"""The drawing of a network: a box a stage, as an SVG of our own; `diagram_plan.py` says what its sizes mean.

Colours are CSS variables, so that light, dark and print need one drawing; a drawing that is a file of its own brings
their values with it. Sheets behind a box are further blocks of the same kind, signs on it are paths that meet inside.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Literal

from netwright.core.architecture import Architecture
from netwright.core.messages import cells, say
from netwright.reports.diagram_plan import ARC, EDGE, LINE, Arc, Box, Flag, Plan, Row, make_plan
from netwright.reports.numbers import count, shape

__all__ = ["draw"]

SIGNS = {"residual": "+", "concatenation": "∥", "gate": "×", "add": "+", "cat": "∥"}
WORDS = {
    "attention": "attention",
    "convolution": "convolution",
    "embedding": "embedding",
    "linear": "linear",
    "normalization": "normalization",
    "pooling": "pooling",
    "recurrence": "recurrence",
    "resizing": "resizing",
    "other": "other",
    "residual": "paths added",
    "concatenation": "paths joined",
    "gate": "channels gated",
}
STYLE = """
.nw-net text{font:11px/1.2 var(--sans,system-ui,"Segoe UI","Noto Sans",sans-serif);fill:var(--ink-2,#43505f)}
.nw-net .b{font-weight:600;fill:var(--ink,#111a24)}.nw-net .s{fill:var(--ink-3,#5b6776);font-size:10.5px}
.nw-net .m{text-anchor:middle}.nw-net rect{stroke:var(--sheet,#fff)}
.nw-net rect.in{fill:none;stroke:var(--ink-3,#5b6776);stroke-dasharray:3 2}
.nw-net path{fill:none;stroke:var(--quiet,#8391a0);stroke-width:1.3}
.nw-net path.arrowhead{fill:var(--quiet,#8391a0);stroke:none}.nw-net path.past{stroke:var(--c2,#bf5215)}
.nw-net circle{fill:var(--sheet,#fff);stroke:var(--ink-3,#5b6776)}.nw-net .sign{font-weight:700;fill:var(--ink,#111a24)}
.nw-net .convolution{fill:var(--accent,#1355ad)}.nw-net .linear{fill:var(--c2,#bf5215)}
.nw-net .attention{fill:var(--c4,#7548ad)}.nw-net .embedding,.nw-net .recurrence{fill:var(--c3,#18785a)}
.nw-net .pooling,.nw-net .resizing{fill:var(--quiet,#8391a0)}
.nw-net .normalization{fill:var(--line,#d5dce3)}.nw-net .back{opacity:.45}
.nw-net rect.other{fill:none;stroke:var(--ink-3,#5b6776)}
"""
LIGHT = (
    "--page:#fff;--sheet:#fff;--ink:#111a24;--ink-2:#43505f;--ink-3:#5b6776;--line:#d5dce3;--quiet:#8391a0;"
    "--accent:#1355ad;--c2:#bf5215;--c3:#18785a;--c4:#7548ad"
)
DARK = (
    "--page:#0d131a;--sheet:#151d26;--ink:#e9eff5;--ink-2:#b6c2cf;--ink-3:#93a1b0;--line:#3a4857;--quiet:#66778a;"
    "--accent:#7cb3ff;--c2:#f39a5c;--c3:#58c79a;--c4:#b99af2"
)


def draw(architecture: Architecture, width: int = 900, place: Literal["page", "file"] = "page") -> str:
    """The stages of a network as an SVG element; an empty text where it has none.

    Args:
        width: px after which a new row begins.
        place: "page": takes its colours from the page around it; "file": stands alone, with its own light and dark.
    """
    if not architecture.stages:
        return ""
    plan = make_plan(architecture, width)
    parts = [part for row in plan.rows for part in _row(row, plan)]
    for number, flag in enumerate(plan.flags):
        earlier = sum(other.box is flag.box and other.leaves == flag.leaves for other in plan.flags[:number])
        parts += _flag(flag, plan.rows[flag.box.row], earlier)
    key, bottom = _key(plan)
    name = "".join(letter if letter.isalnum() else "-" for letter in architecture.name)
    mark = f"net-{name}-{width}"  # two drawings of one network may come out equally wide
    return _framed(architecture, [*parts, *key], (plan.width, bottom), place, mark)


def _framed(known: Architecture, parts: Iterable[str], size: tuple[float, float], place: str, mark: str) -> str:
    width, height = (round(length) for length in size)
    own = f"svg{{{LIGHT}}}@media(prefers-color-scheme:dark){{svg{{{DARK}}}}}" if place == "file" else ""
    ground = ['<rect width="100%" height="100%" style="fill:var(--page);stroke:none"/>'] if place == "file" else []
    title = say("{network}: {parameters} parameters", network=known.name, parameters=count(known.parameters))
    told = "; ".join(f"{stage.name}: {stage.holds}, {shape(stage.output_shape)}" for stage in known.stages)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" class="nw-net" role="img" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" aria-labelledby="{mark} {mark}-told">',
        f'<title id="{mark}">{escape(title)}</title>',
        f'<desc id="{mark}-told">{escape(told)}</desc>',
        f"<style>{own}{STYLE}</style>",
        *ground,
        *parts,
        "</svg>",
    ])  # fmt: skip


def _row(row: Row, plan: Plan) -> list[str]:
    drawn = [_arc(arc, row) for arc in row.arcs]
    for before, box in zip([None, *row.boxes], row.boxes, strict=False):
        start = _right(before) if before is not None else 2.0
        if box.place - 1 in box.sources:
            drawn.append(_arrow(start, box.x - box.width / 2, row.axis))
        drawn += _boxed(box, row)
    last, later = row.boxes[-1], plan.rows[plan.rows.index(row) + 1 :]
    if later and last.place in later[0].boxes[0].sources:
        drawn.append(_arrow(_right(last), last.x + last.column / 2 + EDGE - 2, row.axis))
    ends = {arc.end.place: arc.end for arc in row.arcs} | {flag.box.place: flag.box for flag in plan.flags}
    for box in row.boxes:
        if box.place in ends and box.joined:
            drawn += _sign(box.x - box.width / 2, row.axis, SIGNS[box.joined])
    return drawn


def _right(box: Box) -> float:
    return box.x + box.width / 2 + 4 * box.sheets


def _boxed(box: Box, row: Row) -> list[str]:
    left, top = box.x - box.width / 2, row.axis - box.height / 2
    size = f'width="{box.width:.1f}" height="{box.height:.1f}" rx="2"'
    drawn = [
        f'<rect class="{box.kind} back" x="{left + 4 * sheet:.1f}" y="{top - 3 * sheet:.1f}" {size}/>'
        for sheet in range(box.sheets, 0, -1)
    ]
    drawn.append(f'<rect class="{box.kind}" x="{left:.1f}" y="{top:.1f}" {size}/>')
    for number, mark in enumerate(box.marks):
        drawn += _sign(box.x + 14 * (number - (len(box.marks) - 1) / 2), row.axis, SIGNS[mark])
    for number, (style, text) in enumerate(box.under):
        y = row.words + LINE * (number + 0.8)
        drawn.append(f'<text class="m {style}" x="{box.x:.1f}" y="{y:.1f}">{escape(text)}</text>')
    return drawn


def _sign(x: float, y: float, sign: str) -> list[str]:
    return [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6.5"/>',
        f'<text class="m sign" x="{x:.1f}" y="{y + 4:.1f}">{sign}</text>',
    ]


def _arrow(start: float, end: float, y: float) -> str:
    head = f'<path class="arrowhead" d="M{end - 1:.1f} {y:.1f}l-6 -3.2v6.4z"/>'
    return f'<path d="M{start + 2:.1f} {y:.1f}H{end - 6:.1f}"/>{head}'


def _arc(arc: Arc, row: Row) -> str:
    """From the top of one box over those between to the top of another."""
    start, end, over = arc.start, arc.end, row.roof - ARC * arc.level
    x1, x2 = start.x + start.width / 4, end.x - end.width / 4
    y1, y2 = row.axis - start.height / 2 - 3 * start.sheets, row.axis - end.height / 2
    return (
        f'<path class="past" d="M{x1:.1f} {y1:.1f}V{over + 6:.1f}q0 -6 6 -6H{x2 - 6:.1f}q6 0 6 6V{y2 - 6:.1f}"/>'
        f'<path class="arrowhead" d="M{x2:.1f} {y2 - 1:.1f}l-3.2 -6h6.4z"/>'
    )


def _flag(flag: Flag, row: Row, number: int) -> list[str]:
    """A letter over a box, with an arrow up where the path leaves and down where it arrives."""
    x, roof = flag.box.x + (9 if flag.leaves else -9) + 20 * number, row.axis - flag.box.height / 2
    y = min(roof - 12, row.roof - 2) if flag.box.height > 40 else roof - 14
    line = f"M{x:.1f} {roof:.1f}V{y + 7:.1f}" if flag.leaves else f"M{x:.1f} {y + 7:.1f}V{roof - 2:.1f}"
    return [f'<path class="past" d="{line}"/>', *_sign(x, y, flag.letter)]


def _key(plan: Plan) -> tuple[list[str], float]:
    """What the colours and signs mean, for those that occur; and where the drawing ends."""
    boxes = [box for row in plan.rows for box in row.boxes]
    kinds = [kind for kind in WORDS if any(box.kind == kind for box in boxes)]
    marks = [mark for mark in ("residual", "concatenation", "gate") if any(_has(box, mark) for box in boxes)]
    drawn, x, y = [], EDGE, plan.height + 6
    for name in (*kinds, *marks):
        word = say(WORDS[name])
        long = 22 + cells(word) * 6.2 + 14
        if x > EDGE and x + long > plan.width:
            x, y = EDGE, y + 18
        if name in marks:
            drawn += _sign(x + 6.5, y, SIGNS[name])
        else:
            drawn.append(f'<rect class="{name}" x="{x:.1f}" y="{y - 6:.1f}" width="12" height="12" rx="2"/>')
        drawn.append(f'<text x="{x + 18:.1f}" y="{y + 4:.1f}">{escape(word)}</text>')
        x += long
    return drawn, y + 16


def _has(box: Box, mark: str) -> bool:
    return mark in box.marks or SIGNS.get(box.joined) == SIGNS[mark]
