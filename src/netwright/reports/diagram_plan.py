"""Where each box, arc and flag of a network's drawing stands; `diagram.py` draws them.

A map's box is as high as its side (by the square root) and as wide as its channels (by the logarithm); a vector is an
upright bar, as high as its units. Boxes stand on one axis and go on in a new row where the width ends. A path past
other stages is an arc over them or, between rows, a pair of lettered flags.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from netwright.core.architecture import Architecture, Stage
from netwright.core.messages import cells, say
from netwright.reports.numbers import big, shape

__all__ = ["ARC", "EDGE", "INPUT", "LINE", "Arc", "Box", "Flag", "Plan", "Row", "make_plan"]

INPUT = -1  # the place of the input among the stages
TALLEST, LEAST = 132.0, 9.0  # px of a box
BAR = 13.0  # px across a vector
WIDE, TIGHT = (22.0, 20), (11.0, 16)  # px between two columns, for the arrow; cells of a line under a box
EDGE = 14.0  # px left and right of a row, for the arrows that come and go
LETTER = 6.2  # px of a cell of text
LINE = 14.0  # px of a line of text
MOST_WIDE, NARROW = 1800.0, 500.0  # px of a long row with arcs; up to where a drawing is for a phone
MOST_LINES = 3  # of what a stage holds
ARC, FLAG, TOP = 12.0, 16.0, 10.0  # px of a level of arcs, of a row of flags, above every row


@dataclass
class Box:
    """A stage, or the input, on the page. `x` is its middle, `under` the lines below it: (style, text)."""

    place: int
    kind: str
    width: float
    height: float
    under: list[tuple[str, str]]
    sheets: int = 0
    marks: tuple[str, ...] = ()
    sources: tuple[int, ...] = ()
    joined: str = ""
    gap: float = 0.0
    x: float = 0.0
    row: int = 0

    @property
    def column(self) -> float:
        widest = max((cells(text) * LETTER for _, text in self.under), default=0.0)
        return max(self.width + 4.0 * self.sheets, widest) + self.gap


@dataclass
class Arc:
    """A path over other boxes of the same row; arcs that overlap have different levels."""

    start: Box
    end: Box
    level: int = 1


@dataclass
class Flag:
    """One end of a path between two rows, by its letter."""

    box: Box
    letter: str
    leaves: bool


@dataclass
class Row:
    boxes: list[Box] = field(default_factory=list)
    arcs: list[Arc] = field(default_factory=list)
    roof: float = 0.0  # y above all boxes, where arcs begin
    axis: float = 0.0  # y of the middle of all boxes
    words: float = 0.0  # y below all boxes


@dataclass
class Plan:
    rows: list[Row]
    flags: list[Flag]
    width: float
    height: float


def make_plan(known: Architecture, width: float) -> Plan:
    """The drawing in rows of at most `width` px, where a single box is not wider."""
    stages = [stage for stage in known.stages if stage.kind != "rest"]
    boxes = _boxes(known, stages, TIGHT if width < NARROW else WIDE)
    rows = _rows(boxes, width)
    skips = any(source < box.place - 1 for box in boxes for source in box.sources)
    if skips and len(rows) > 1 and width >= NARROW:  # arcs tell more than flags: a long row, which can be scrolled
        boxes = _boxes(known, stages, TIGHT)
        rows = _rows(boxes, max(width, MOST_WIDE))
    flags = _paths(rows, boxes)
    bottom = 0.0
    for row in rows:
        bottom = _settle(row, bottom, any(flag.box in row.boxes for flag in flags))
    right = max(box.x + box.column / 2 for box in boxes) + EDGE
    return Plan(rows, flags, max(right, min(width, 300.0)), bottom)


def _boxes(known: Architecture, stages: list[Stage], room: tuple[float, int]) -> list[Box]:
    boxes = [_input(known, stages), *(_box(place, stages, known, room[1]) for place in range(len(stages)))]
    for box in boxes:
        box.gap = room[0]
    return boxes


def _input(known: Architecture, stages: list[Stage]) -> Box:
    given = known.input_shape
    first = given[0] if given and isinstance(given[0], tuple) else given
    if len(first) < 2:
        size = (BAR, _bar_height(math.prod(first)))
    else:
        size = _map_size(first[0], _side(first[1:]), _largest(known, stages))
    return Box(INPUT, "in", *size, [("b", say("input")), ("s", shape(given))])


def _box(place: int, stages: list[Stage], known: Architecture, longest: int) -> Box:
    stage = stages[place]
    if math.prod(stage.size) > 1:
        width, height = _map_size(stage.channels, _side(stage.size), _largest(known, stages))
    else:
        width, height = BAR, _bar_height(stage.channels)
    weights = big(stage.parameters) if stage.parameters else "–"
    under = [("b", _cut(stage.name, longest)), *(("t", line) for line in _wrapped(stage.holds, longest))]
    under += [("s", shape(stage.output_shape)), ("s", weights)]
    sheets = min(2, stage.repeats - 1)
    return Box(place, stage.kind, width, height, under, sheets, stage.inside, stage.sources, stage.joined)


def _side(size: tuple[int, ...]) -> float:
    """Of a square map with as many positions; tokens count as the patches of a picture."""
    return math.pow(math.prod(size), 1 / max(2, len(size)))


def _largest(known: Architecture, stages: list[Stage]) -> float:
    given = known.input_shape
    maps = [stage.size for stage in stages if stage.size]
    maps += [part[1:] for part in (given if given and isinstance(given[0], tuple) else (given,)) if len(part) > 1]
    return max((_side(size) for size in maps), default=1.0)


def _map_size(channels: int, side: float, largest: float) -> tuple[float, float]:
    width = 6 + 5 * math.log2(1 + channels)
    return round(width, 1), round(LEAST + (TALLEST - LEAST) * math.sqrt(side / largest), 1)


def _bar_height(units: int) -> float:
    return round(min(TALLEST, 14 + 8.5 * math.log2(max(1, units))), 1)


def _cut(text: str, longest: int) -> str:
    """A long path by its end, which tells most."""
    return text if cells(text) <= longest else "…" + text[1 - longest :]


def _wrapped(text: str, longest: int) -> list[str]:
    """Lines of words of at most `longest` cells; what is more than fits ends in an ellipsis."""
    lines = [""]
    for word in re.split(r" (?![/×])(?<!× )", text):  # a number stays with what it counts
        for piece in [word] if cells(word) <= longest else word.split(" "):
            longer = f"{lines[-1]} {piece}".strip()
            if cells(longer) <= longest or not lines[-1]:
                lines[-1] = longer
            else:
                lines.append(piece)
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], lines[MOST_LINES - 1].rstrip(",") + " …"]
    return [line if cells(line) <= longest + 4 else line[: longest + 3] + "…" for line in lines if line]


def _rows(boxes: list[Box], width: float) -> list[Row]:
    rows, used = [Row()], EDGE
    for box in boxes:
        if rows[-1].boxes and used + box.column + EDGE > width:
            rows.append(Row())
            used = EDGE
        box.x, box.row = used + box.column / 2, len(rows) - 1
        rows[-1].boxes.append(box)
        used += box.column
    return rows


def _paths(rows: list[Row], boxes: list[Box]) -> list[Flag]:
    """Arcs into their rows; the flags of paths between rows, one letter a start."""
    flags: list[Flag] = []
    letters: dict[int, str] = {}
    for box in boxes:
        for source in box.sources:
            start = boxes[source + 1]
            if source == box.place - 1:
                continue
            if start.row == box.row:
                rows[box.row].arcs.append(Arc(start, box))
                continue
            if source not in letters:
                letters[source] = chr(ord("a") + len(letters) % 26)
                flags.append(Flag(start, letters[source], leaves=True))
            flags.append(Flag(box, letters[source], leaves=False))
    for row in rows:
        _level(row.arcs)
    return flags


def _level(arcs: list[Arc]) -> None:
    """Short arcs lowest; each as low as those under it allow."""
    arcs.sort(key=lambda arc: arc.end.place - arc.start.place)
    for number, arc in enumerate(arcs):
        below = [
            other.level for other in arcs[:number]
            if other.start.place < arc.end.place and arc.start.place < other.end.place
        ]  # fmt: skip
        arc.level = 1 + max(below, default=0)


def _settle(row: Row, top: float, flagged: bool) -> float:
    """Give the row its place below `top`; gives where it ends."""
    levels = max((arc.level for arc in row.arcs), default=0)
    tallest = max(box.height + 6.0 * box.sheets for box in row.boxes)
    row.roof = top + TOP + ARC * levels + (FLAG if flagged else 0)
    row.axis = row.roof + tallest / 2
    row.words = row.axis + tallest / 2 + 6
    return row.words + LINE * max(len(box.under) for box in row.boxes) + 10
