"""An architecture as a terminal shows it: totals, a table of its stages or of all layers, the catalog's words."""

from collections.abc import Sequence
from typing import Any

from netwright.core.architecture import Architecture, LayerRow, Stage
from netwright.core.messages import cells, filled, say

__all__ = ["text"]

_LEFT = 3  # columns of words, set flush left; numbers follow
_WIDEST = 44  # cells of what a stage holds


def text(known: Architecture, rows: str) -> str:
    """Totals, table, words and notes, a blank line between them."""
    staged = rows == "stages" and bool(known.stages)
    table = _stage_table(known) if staged else _layer_table(known.layers)
    parts = [_head(known), table, _words(known), _foot(known, staged)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _head(known: Architecture) -> list[str]:
    facts = [
        say("{count:,} parameters", count=known.parameters),
        say("{count} FLOPs", count=_human(known.flops)),
        say("{size} activations", size=_human(known.activation_bytes, "B")),
        say("{depth} layers with weights deep", depth=known.weighted_depth),
    ]
    if known.trainable_parameters != known.parameters:
        facts.insert(1, say("{count:,} trainable", count=known.trainable_parameters))
    if known.receptive_field is not None:
        facts.append(say("receptive field {cells}", cells=known.receptive_field))
    way = say("input {before}, output {after}", before=_shown(known.input_shape), after=_shown(known.output_shape))
    return [f"{known.name}: " + ", ".join(facts), way]


def _words(known: Architecture) -> list[str]:
    when = say("When: {when}", when=say(known.when)) if known.when else ""
    paper = say("Paper: {paper}", paper=known.paper) if known.paper else ""
    return [words for words in (known.idea and say(known.idea), when, paper) if words]


def _foot(known: Architecture, staged: bool) -> list[str]:
    notes = [
        say("For one example. FLOPs: a multiply-accumulate is 2; convolutions, matrix products and attention count.")
    ]
    if staged:
        notes.append(say("Each of the {count} layers: add --layers, or .text('layers').", count=len(known.layers) - 1))
    return [*notes, known.remark] if known.remark else notes


def _stage_table(known: Architecture) -> list[str]:
    titles = [say("stage"), say("made of"), say("output"), say("parameters"), "FLOPs", say("activations"), say("field")]
    lines = [_stage_line(stage) for stage in known.stages]
    total = [
        say("total"), "", _shown(known.output_shape), f"{known.parameters:,}", _human(known.flops),
        _human(known.activation_bytes, "B"), "" if known.receptive_field is None else str(known.receptive_field),
    ]  # fmt: skip
    head, rule, *rows = _ruled([titles, *lines, total])
    return [head, rule, *rows[:-1], rule, rows[-1]]


def _stage_line(stage: Stage) -> list[str]:
    field = "" if stage.receptive_field is None else str(stage.receptive_field)
    holds = stage.holds if len(stage.holds) <= _WIDEST else stage.holds[: _WIDEST - 1].rstrip(" ,") + "…"
    numbers = [f"{stage.parameters:,}" if stage.parameters else "", _human(stage.flops)]
    output = _shown(stage.output_shape) if stage.kind != "rest" else ""
    name = stage.name or say("(between)")
    return [name, holds, output, *numbers, _human(stage.activation_bytes, "B"), field]


def _layer_table(rows: list[LayerRow]) -> list[str]:
    titles = [say("layer"), say("type"), say("output"), say("parameters"), "FLOPs", say("activations"), say("field")]
    lines = []
    for row, label in _collapsed(rows):
        field = "" if row.receptive_field is None else str(row.receptive_field)
        kind = row.type if row.calls == 1 else f"{row.type} ×{row.calls}"
        numbers = [
            f"{row.parameters:,}" if row.parameters else "",
            _human(row.flops),
            _human(row.activation_bytes, "B"),
        ]
        lines.append([label, kind, _shown(row.output_shape), *numbers, field])
    return _ruled([titles, *lines])


def _ruled(lines: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns with a rule under the titles."""
    widths = [max(cells(line[place]) for line in lines) for place in range(len(lines[0]))]
    aligned = []
    for line in lines:
        padded = [filled(cell, widths[place], right=place >= _LEFT) for place, cell in enumerate(line)]
        aligned.append("  ".join(padded).rstrip())
    return [aligned[0], "-" * (sum(widths) + 2 * len(widths) - 2), *aligned[1:]]


def _collapsed(rows: list[LayerRow]) -> list[tuple[LayerRow, str]]:
    """Rows with labels; equal neighbours among containers (the blocks of a stage) become one line with a count."""
    shown_rows: list[tuple[LayerRow, str]] = []
    groups = _siblings([row for row in rows if row.path])
    at = 0
    while at < len(groups):
        size = 1
        while at + size < len(groups) and len(groups[at]) > 1 and _alike(groups[at], groups[at + size]):
            size += 1
        first, last = groups[at][0], groups[at + size - 1][0]
        name = _leaf(first) if size == 1 else f"{_leaf(first)}-{_leaf(last)} (×{size})"
        shown_rows.append((first, "  " * (first.depth - 1) + name))
        shown_rows += _collapsed(groups[at][1:]) if len(groups[at]) > 1 else []
        at += size
    return shown_rows


def _siblings(rows: list[LayerRow]) -> list[list[LayerRow]]:
    """Cut rows in execution order into subtrees: a row and those inside it."""
    groups: list[list[LayerRow]] = []
    for row in rows:
        if groups and row.path.startswith(groups[-1][0].path + "."):
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _alike(one: list[LayerRow], two: list[LayerRow]) -> bool:
    return len(one) == len(two) and all(_look(one[0], a) == _look(two[0], b) for a, b in zip(one, two, strict=True))


def _look(head: LayerRow, row: LayerRow) -> tuple[object, ...]:
    inner = row.path[len(head.path) :]
    return (inner, row.type, row.input_shape, row.output_shape, row.parameters, row.flops, row.calls)


def _leaf(row: LayerRow) -> str:
    return row.path.rsplit(".", 1)[-1] if row.depth > 1 else row.path


def _human(number: float, unit: str = "") -> str:
    """1.81 G, 44.7 MB: three or four digits and a letter; nothing for zero."""
    if not number:
        return ""
    for scale, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= scale:
            return f"{number / scale:.2f} {letter}{unit}"
    return f"{number:.0f} {unit}".rstrip()


def _shown(shape: Any) -> str:
    """3×224×224; several shapes are joined by a plus."""
    if shape and isinstance(shape[0], tuple | list):
        return " + ".join(_shown(part) for part in shape)
    return "×".join(str(size) for size in shape) or "1"
