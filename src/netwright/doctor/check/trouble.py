"""An error that the user's network or loss raised, and what kind of error it is.

torch has one `RuntimeError` for everything, so the kind is read from the words.
"""

import re
from dataclasses import dataclass
from typing import Literal

from torch import nn

__all__ = ["Reason", "Trouble"]

Reason = Literal["type", "index", "single-value", "probability", "shape"]

_REASONS: list[tuple[Reason, re.Pattern[str]]] = [
    ("single-value", re.compile(r"more than 1 value per channel")),
    ("probability", re.compile(r"between 0 and 1|Assertion .*(<= 1|>= 0)")),
    ("index", re.compile(r"index out of range|out of bounds")),
    (
        "type",
        re.compile(
            r"dtype|scalar type|Input type|can't be cast|not implemented for|expected .*\b(Long|Float|Double)\b"
        ),
    ),
]


@dataclass(frozen=True)
class Trouble:
    """What was raised: at which `stage` ("forward" or "loss"), in which module, on which shapes, in which mode."""

    stage: str
    message: str
    kind: str
    path: str
    module: nn.Module | None
    shapes: list[tuple[int, ...]]
    training: bool = True

    @property
    def reason(self) -> Reason:
        """The kind of error; what is not recognised is taken for sizes that do not fit."""
        return next((reason for reason, pattern in _REASONS if pattern.search(self.message)), "shape")
