"""What every source gives: one data set of all usable examples, and what is known about where they came from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from netwright.data.dataset import BadRow, Dataset

__all__ = ["PARTS", "Loaded", "Origin", "official_parts"]

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Origin:
    """Where data come from and under which licence; `source` is a path, a package or an address."""

    source: str
    licence: str = ""

    def to_dict(self) -> dict[str, str]:
        """JSON-able form."""
        return {"source": self.source, "licence": self.licence}


@dataclass
class Loaded:
    """All usable examples of a source, before they are split.

    `official` holds the index lists of a split that came with the data. `keys` holds every column of a table as numbers
    (codes for words), used or not as a feature: what to group, order and audit by. `total` counts bad examples too.
    `place` tells where an example stands, for messages.
    """

    dataset: Dataset
    origin: Origin
    total: int
    problems: list[BadRow] = field(default_factory=list)
    official: Mapping[str, Tensor] = field(default_factory=dict)
    keys: Mapping[str, Tensor] = field(default_factory=dict)
    place: Callable[[int], str] | None = None


def official_parts(parts: Tensor) -> dict[str, Tensor]:
    """Index lists from the part each row belongs to; empty if all train. Shapes: parts (N,) codes into `PARTS`."""
    if not bool(parts.any()):
        return {}  # everything is training data: nothing was split officially
    found = {name: torch.nonzero(parts == code).flatten() for code, name in enumerate(PARTS)}
    return {name: rows for name, rows in found.items() if len(rows)}
