"""What the data look like: the kind of input, its shape, the columns of a table, the target.

The schema is inferred, shown (`netwright data describe`), written into the run folder and bound to networks: `sizes()`
gives every size that the data decide, so that nobody types one twice. It is JSON all through.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from netwright.core.errors import ConfigError
from netwright.core.messages import say
from netwright.data.tokenizing.settings import TokenSettings

__all__ = ["Column", "ColumnKind", "GraphShape", "Kind", "Schema", "Target", "TargetKind"]

Kind = Literal["image", "table", "text", "array", "environment", "series", "graph"]
TargetKind = Literal[
    "class", "number", "multilabel", "next-token", "none", "action", "control", "mask", "text", "span", "forecast"
]  # fmt: skip
ColumnKind = Literal["numeric", "category", "boolean", "datetime", "text", "id"]

_TASKS: dict[str, str] = {
    "action": "q-learning", "control": "actor-critic", "forecast": "forecasting", "mask": "image-segmentation",
    "multilabel": "multilabel-classification", "next-token": "language-modeling", "number": "regression",
    "span": "question-answering", "text": "sequence-to-sequence",
}  # fmt: skip
_OF_CLASSES: dict[str, str] = {"image": "image-classification", "text": "text-classification"}
_OF_GRAPHS: dict[tuple[str, str], str] = {
    ("node", "class"): "node-classification", ("graph", "class"): "graph-classification",
    ("graph", "number"): "graph-regression",
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """What is to be predicted: `classes` in the order of their codes, or the `names` of numbers or labels.

    A "mask" is a class code for every pixel, (H, W); see `masks.IGNORED` for pixels that do not count. A "text" is
    to be written (sequence to sequence), a "span" to be found in a second text (questions). A "forecast" is the next
    `horizon` values of each of `names`; after `season` steps the series is like itself again. Where it `may_lack`, some
    questions have no answer. An "action" is one of `classes`; "control" is an action of numbers, each between its `low`
    and its `high`.
    """

    kind: TargetKind
    classes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    horizon: int = 1
    season: int = 1
    may_lack: bool = False
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    @property
    def outputs(self) -> int | None:
        """Output units that fit this target; None where something else decides (a vocabulary, an environment)."""
        if self.kind == "forecast":
            return self.horizon * len(self.names)
        if self.kind in ("class", "mask"):
            return len(self.classes)
        return max(1, len(self.names)) if self.kind in ("number", "multilabel") else None


@dataclass(frozen=True)
class Column:
    """One column of a table.

    `missing` and `unique` count over all rows. `categories` are those of the training rows, most frequent 64;
    everything else shares one "unknown" slot. `origin` is subtracted from numbers before they become float32, so that
    time stamps and other large numbers keep their resolution. A column with a `note` is not used as a feature; the note
    says why. `form` is how dates are written, "" for ISO; "," where numbers have a decimal comma.
    """

    name: str
    kind: ColumnKind
    missing: int = 0
    unique: int = 0
    categories: tuple[str, ...] = ()
    origin: float = 0.0
    indicator: bool = False
    note: str = ""
    form: str = ""

    @property
    def width(self) -> int:
        """Features this column becomes: one-hot and an unknown slot, or a number and perhaps a missing indicator."""
        if self.note or self.kind == "text":
            return 0
        return len(self.categories) + 1 if self.kind == "category" else 1 + int(self.indicator)


@dataclass(frozen=True)
class GraphShape:
    """Of graphs: what the examples are (nodes or whole graphs), features of an edge, and whether edges go one way."""

    level: Literal["node", "graph"]
    edge_features: int = 0
    directed: bool = False


@dataclass(frozen=True)
class Schema:
    """The shape of a data set.

    `input_shape` is that of one example as the network sees it: (C, H, W) pictures, (F,) tables after encoding and
    nodes of graphs, () tokens of text, anything for arrays. `input_dtype` is that of the raw tensors. `as_given`:
    floats handed over in Python go to the network unchanged, because the user's own code prepared them. `tokens`: how
    texts become tokens.
    """

    kind: Kind
    input_shape: tuple[int, ...]
    input_dtype: str
    target: Target
    columns: tuple[Column, ...] = ()
    vocab_size: int | None = None
    as_given: bool = False
    tokens: TokenSettings | None = None
    graph: GraphShape | None = None

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns that the network sees, in the order of the raw tensor."""
        return tuple(column for column in self.columns if not column.note)

    def sizes(self) -> dict[str, Any]:
        """The sizes that the data decide, under the names that networks' constructors use."""
        sizes: dict[str, Any] = {}
        if self.kind == "series":
            sizes = {"in_channels": self.input_shape[1], "horizon": self.target.horizon}
        if self.graph is not None:
            sizes = {"level": self.graph.level, "edge_features": self.graph.edge_features}
        if len(self.input_shape) == 3:
            channels, height, width = self.input_shape
            sizes |= {"in_channels": channels, "image_shape": self.input_shape}
            sizes |= {"image_size": height} if height == width else {}
        if self.input_shape and self.kind != "environment":
            sizes["in_features"] = math.prod(self.input_shape)
        if self.vocab_size is not None:
            sizes["vocab_size"] = self.vocab_size
        if self.target.outputs is not None:
            sizes["num_classes"] = self.target.outputs
        if self.target.kind in ("action", "control"):
            numbers = self.target.kind == "control"
            sizes |= {"in_features": math.prod(self.input_shape), "actions": "continuous" if numbers else "discrete"}
            sizes["num_actions"] = len(self.target.names if numbers else self.target.classes)
        return sizes

    def __str__(self) -> str:
        about = {"kind": self.kind, "shape": self.input_shape}
        if self.target.kind == "class":
            return say("{kind} {shape} with target class of {count}", count=len(self.target.classes), **about)
        if self.target.kind == "mask":
            return say("{kind} {shape} with masks of {count} classes", count=len(self.target.classes), **about)
        return say("{kind} {shape} with target {target}", target=self.target.kind, **about)

    def default_task(self) -> str:
        """The task these data are for.

        Raises:
            ConfigError: there is no target and so nothing to infer a task from.
        """
        if self.graph is not None and self.target.kind in ("class", "number"):
            return _OF_GRAPHS[self.graph.level, self.target.kind]
        if self.target.kind == "class":
            return _OF_CLASSES.get(self.kind, "tabular-classification")
        if self.target.kind in _TASKS:
            return _TASKS[self.target.kind]
        if self.kind == "image":
            return "gan"
        raise ConfigError(
            "the data have no target, so no task can be inferred; set data.target to a column, or set task"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Schema":
        """Undo of `to_dict`, from JSON too; fields of a later version are left aside."""
        target = _known(Target, values["target"])
        given = {name: value for name, value in values.items() if name in {field.name for field in fields(cls)}}
        given["input_shape"] = tuple(values["input_shape"])
        words = {name: tuple(target.get(name, ())) for name in ("classes", "names", "low", "high")}
        given["target"] = Target(**{**target, **words})
        columns = [_known(Column, column) for column in values.get("columns", ())]
        given["columns"] = tuple(
            Column(**column | {"categories": tuple(column.get("categories", ()))}) for column in columns
        )
        tokens = values.get("tokens")
        given["tokens"] = None if tokens is None else TokenSettings(**_known(TokenSettings, tokens))
        graph = values.get("graph")
        given["graph"] = None if graph is None else GraphShape(**_known(GraphShape, graph))
        return cls(**given)


def _known(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in values.items() if name in names}
