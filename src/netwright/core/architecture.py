"""What a network is made of, as plain data: a row a module, one a stage, and the whole.

`metrics.architecture` measures it; reports read it again without torch.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

__all__ = ["Architecture", "LayerRow", "Stage"]

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
class Stage:
    """A step of the network as a paper's table would list it; `metrics.architecture.stages` says how they are found.

    `holds`: what it is made of ("3 x Bottleneck"), of which `repeats` blocks are alike. `kind`: what does its work.
    `channels` and `size` read the output shape: features a position, and the positions on each axis (none for a
    vector). `inside`: "residual", "concatenation" and "gate" where paths meet within. `sources`: places in the list of
    the stages it reads, -1 for the network's input; `joined`: how it puts several together ("add", "cat" or "").
    """

    name: str
    holds: str
    kind: str
    output_shape: Shape
    parameters: int
    flops: int
    activation_bytes: int
    receptive_field: int | None
    channels: int = 1
    size: Shape = ()
    repeats: int = 1
    inside: tuple[str, ...] = ()
    sources: tuple[int, ...] = ()
    joined: str = ""


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
    stages: list[Stage] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: lists, strings and numbers only."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Architecture":
        """Undo of `to_dict`; keys of a later version are ignored, stages of an earlier one are empty."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        known["layers"] = [_row(LayerRow, row) for row in data["layers"]]
        known["stages"] = [_row(Stage, row) for row in data.get("stages", ())]
        known["input_shape"] = _shape(data["input_shape"])
        known["output_shape"] = tuple(data["output_shape"])
        return cls(**known)

    def described(self, idea: str = "", paper: str = "", when: str = "") -> "Architecture":
        """The same with the catalog's words."""
        return replace(self, idea=idea, paper=paper, when=when)

    def text(self, rows: str = "stages") -> str:
        """For a terminal: the totals, a table of the "stages" or of all "layers", and the catalog's words."""
        from netwright.core.architecture_text import text  # which is about this class

        return text(self, rows)

    def __str__(self) -> str:
        return self.text()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _shape(value: Any) -> Any:
    return tuple(_shape(item) for item in value) if isinstance(value, list | tuple) else value


def _row(kind: Any, data: Mapping[str, Any]) -> Any:
    return kind(**{key: _shape(value) for key, value in data.items() if key in kind.__dataclass_fields__})
