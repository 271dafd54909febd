"""The result of a trace: plain data, one row a module, and a table a person can read."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from netwright.core.messages import cells, filled, say

__all__ = ["Architecture", "LayerRow"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerRow:
    """One module of the network, in the order of execution; containers come before what they hold.

    Shapes are those of one example. `parameters` (a weight used in two places is counted at the first), `flops` and
    `activation_bytes` include the modules inside and all `calls`. `depth` is the level of nesting. `receptive_field`
    is in input cells, None where positions have ended.
    """

    path: str
    type: str
    input_shape: Shape
    output_shape: Shape
    parameters: int
    flops: int
    activation_bytes: int
    receptive_field: int | None
    depth: int
    calls: int = 1


@dataclass(frozen=True)
class Architecture:
    """What a network is made of, for one example.

    `flops` counts a multiply-accumulate as 2: convolutions, matrix products and attention; not element-wise work.
    `weighted_depth` is the number of layers with weights on the longest way through. `method` is "meta" when nothing
    was computed, "real" when the network could not run without values and a copy was run instead; `remark` then says
    why.
    """

    name: str
    input_shape: Any
    output_shape: Shape
    layers: list[LayerRow]
    parameters: int
    trainable_parameters: int
    flops: int
    activation_bytes: int
    receptive_field: int | None
    weighted_depth: int = 0
    method: str = "meta"
    remark: str = ""
    idea: str = ""
    paper: str = ""
    when: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: lists, strings and numbers only."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Architecture":
        """Undo of `to_dict`; keys of a later version are ignored."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        known["layers"] = [_row(row) for row in data["layers"]]
        known["input_shape"] = _shape(data["input_shape"])
        known["output_shape"] = tuple(data["output_shape"])
        return cls(**known)

    def described(self, idea: str = "", paper: str = "", when: str = "") -> "Architecture":
        """The same with the catalog's words."""
        return replace(self, idea=idea, paper=paper, when=when)

    def __str__(self) -> str:
        return "\n".join([*self._head(), "", *_table(self.layers), "", *self._foot()])

    def _head(self) -> list[str]:
        facts = [
            say("{count:,} parameters", count=self.parameters),
            say("{count} FLOPs", count=_human(self.flops)),
            say("{size} activations", size=_human(self.activation_bytes, "B")),
            say("{depth} layers with weights deep", depth=self.weighted_depth),
        ]
        if self.trainable_parameters != self.parameters:
            facts.insert(1, say("{count:,} trainable", count=self.trainable_parameters))
        if self.receptive_field is not None:
            facts.append(say("receptive field {cells}", cells=self.receptive_field))
        way = say("input {before}, output {after}", before=_shown(self.input_shape), after=_shown(self.output_shape))
        words = [self.idea and say(self.idea), self.when and say("When: {when}", when=say(self.when)), self.paper]
        return [f"{self.name}: " + ", ".join(facts), way, *(word for word in words if word)]

    def _foot(self) -> list[str]:
        note = say(
            "For one example. FLOPs: a multiply-accumulate is 2; convolutions, matrix products and attention count."
        )
        return [note, self.remark] if self.remark else [note]


def _table(rows: list[LayerRow]) -> list[str]:
    titles = ["layer", "type", "output", "parameters", "FLOPs", "activations", "field"]
    lines = [[say(title) for title in titles]]
    for row, label in _collapsed(rows):
        field = "" if row.receptive_field is None else str(row.receptive_field)
        kind = row.type if row.calls == 1 else f"{row.type} ×{row.calls}"
        numbers = [
            f"{row.parameters:,}" if row.parameters else "",
            _human(row.flops),
            _human(row.activation_bytes, "B"),
        ]
        lines.append([label, kind, _shown(row.output_shape), *numbers, field])
    widths = [max(cells(line[i]) for line in lines) for i in range(len(titles))]
    aligned = [_aligned(line, widths) for line in lines]
    return [aligned[0], "-" * cells(aligned[0]), *aligned[1:]]


def _aligned(line: list[str], widths: list[int]) -> str:
    left = [filled(cell, width) for cell, width in zip(line[:3], widths[:3], strict=True)]
    right = [filled(cell, width, right=True) for cell, width in zip(line[3:], widths[3:], strict=True)]
    return "  ".join([*left, *right])


def _collapsed(rows: list[LayerRow]) -> list[tuple[LayerRow, str]]:
    """Rows with labels; equal neighbours among containers (the blocks of a stage) become one line with a count."""
    shown: list[tuple[LayerRow, str]] = []
    groups = _siblings([row for row in rows if row.path])
    at = 0
    while at < len(groups):
        size = 1
        while at + size < len(groups) and len(groups[at]) > 1 and _alike(groups[at], groups[at + size]):
            size += 1
        first, last = groups[at][0], groups[at + size - 1][0]
        name = _leaf(first) if size == 1 else f"{_leaf(first)}-{_leaf(last)} (×{size})"
        shown.append((first, "  " * (first.depth - 1) + name))
        shown += _collapsed_inside(groups[at])
        at += size
    return shown


def _collapsed_inside(group: list[LayerRow]) -> list[tuple[LayerRow, str]]:
    return _collapsed(group[1:]) if len(group) > 1 else []


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
    if not number:
        return ""
    for scale, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= scale:
            return f"{number / scale:.2f} {letter}{unit}"
    return f"{number:.0f} {unit}".rstrip()


def _shown(shape: Any) -> str:
    if shape and isinstance(shape[0], tuple | list):
        return " + ".join(_shown(part) for part in shape)
    return "×".join(str(size) for size in shape) or "1"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _shape(value: Any) -> Any:
    return tuple(_shape(item) for item in value) if isinstance(value, list | tuple) else value


def _row(data: Mapping[str, Any]) -> LayerRow:
    known = {key: value for key, value in data.items() if key in LayerRow.__dataclass_fields__}
    return LayerRow(**known | {"input_shape": tuple(data["input_shape"]), "output_shape": tuple(data["output_shape"])})
