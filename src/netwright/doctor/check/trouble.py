"""An error that the user's network or loss raised, and what kind of error it is.

torch has one `RuntimeError` for everything, so the kind is read from the words.
"""

import re
from dataclasses import dataclass
from typing import Literal

from torch import nn

from netwright.core.errors import ConfigError, NetwrightError
from netwright.core.messages import say
from netwright.metrics.architecture import Recorder

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


_LONGEST = 300  # characters of a message


@dataclass(frozen=True)
class Trouble:
    """What was raised: at which `stage`, in which module, on which shapes, in which mode.

    Raises:
        ConfigError: the network or the loss was called wrongly, which tells nothing about training.
    """

    stage: Literal["forward", "loss"]
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

    @classmethod
    def of_network(cls, error: Exception, recorder: Recorder, training: bool) -> "Trouble":
        """What a recorded pass ended with, in the innermost module that had begun and not ended."""
        _refuse(error, say("the network"))
        call = recorder.open[-1] if recorder.open else None
        path, module, shapes = (call.path, call.module, call.input_shapes) if call else ("", None, [])
        return cls("forward", _line(error), type(error).__name__, path, module, shapes, training)

    @classmethod
    def of_loss(cls, error: Exception, shapes: list[tuple[int, ...]]) -> "Trouble":
        """What the loss raised on an output and targets of these shapes."""
        _refuse(error, say("the loss"))
        return cls("loss", _line(error), type(error).__name__, "", None, shapes)


def _refuse(error: Exception, who: str) -> None:
    """Errors of calling, not of sizes, types or values, tell nothing about training."""
    known = isinstance(error, RuntimeError | ValueError | IndexError | AssertionError | NetwrightError)
    known = known or "must be Tensor, not tuple" in str(error)  # a layer is given all that an LSTM returns
    if not known or "missing the required" in str(error):
        raise ConfigError(
            "{who} raised {kind} on this batch: {error}; check calls net(*inputs) and loss(output, targets)",
            who=who, kind=type(error).__name__, error=_line(error),
        ) from error  # fmt: skip


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:_LONGEST] if lines else type(error).__name__
