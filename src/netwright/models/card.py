"""What a catalog knows of a network without building it."""

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["ModelCard"]


@dataclass(frozen=True)
class ModelCard:
    """The card that `models` and `explain` print.

    target: the constructor. kin: the paper's family that shares one file and one drawing (`resnet` for all ResNets).
    parameters: of a build with no arguments. input: shape of one example for that build. input_kind: "float", "tokens"
    (int64 below the vocabulary), "token-pairs" (a source and a target, both of that shape), "graph" (nodes with so many
    features, in a ring) or "noise". gmacs: published
    multiply-accumulates of one example, in 10^9. layouts: the reference projects' checkpoints that this network reads,
    as `"package.module:LAYOUTS"` (`models/weights/`). aliases: other names that people use for it.
    """

    target: str
    family: str
    tasks: tuple[str, ...]
    summary: str
    kin: str = ""
    parameters: int | None = None
    input: tuple[int, ...] = ()
    input_kind: str = "float"
    gmacs: float | None = None
    paper: str = ""
    idea: str = ""
    when: str = ""
    layouts: str = ""
    aliases: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The card as JSON-able values."""
        return asdict(self)
