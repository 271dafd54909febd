"""Running a fork for a few steps, and what came of it."""

import math
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor

from netwright.core.seeds import seed_everything
from netwright.doctor.probe.fork import Batch, Fork
from netwright.doctor.probe.yardstick import WORST, Yardstick
from netwright.metrics.architecture import tensors_in

__all__ = ["Examples", "Mark", "Outcome", "in_a_line", "run"]

_LINE = 200  # characters of an error
_STARTED = 10  # steps, after which an exception is the end of a schedule and not a program that does not run


@dataclass(frozen=True)
class Examples:
    """Examples to measure on, and by what."""

    batch: Batch
    yardstick: Yardstick | None

    def loss(self, fork: Fork) -> float:
        """The program's own loss on them; NaN where it cannot be had."""
        inputs, targets = fork.take(self.batch)
        try:
            return _value(fork.loss(fork.outputs(inputs), targets)) if fork.loss is not None else math.nan
        except (RuntimeError, ValueError, IndexError, TypeError):
            return math.nan

    def measure(self, fork: Fork) -> Tensor | None:
        """The unexplained share of each example now; None where there is no yardstick."""
        if self.yardstick is None:
            return None
        inputs, targets = fork.take(self.batch)
        try:
            return self.yardstick(fork.outputs(inputs), targets)
        except (RuntimeError, ValueError, IndexError):
            return None


class Mark(NamedTuple):
    """A look along the way: the unexplained share of training and of validation examples, and the validation loss."""

    step: int
    share: float
    held: float | None
    held_loss: float


@dataclass
class Outcome:
    """One run. `each`: the unexplained share of each training example at the end, `held`: of each validation example.
    `whole`: no deadline cut it short; `error`: what the program raised within its first steps.
    """

    losses: list[float] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    each: Tensor | None = None
    held: Tensor | None = None
    seconds: float = 0.0
    whole: bool = True
    error: str = ""

    @property
    def bad(self) -> bool:
        """Whether it ended in NaN or infinity."""
        return bool(self.losses) and not math.isfinite(self.losses[-1])

    @property
    def unexplained(self) -> float:
        """The measure to compare by: the yardstick's mean, or else the last losses over the first."""
        if self.error:
            return WORST
        if self.each is not None:
            return WORST if self.bad else float(self.each.mean())
        return self.relative_loss

    @property
    def relative_loss(self) -> float:
        """The mean loss of the last fifth over the first loss; `WORST` after a NaN."""
        if self.bad or not self.losses:
            return WORST
        if min(self.losses) <= 0:  # a loss that may cross zero has no shares
            return 1.0
        part, first = self.losses[-max(3, len(self.losses) // 5) :], self.losses[0]
        return min(WORST, sum(part) / len(part) / first)


def run(
    fork: Fork,
    batches: Iterable[Batch],
    train: Examples,
    validation: Examples | None = None,
    seed: int = 0,
    marks: Collection[int] = (),
    deadline: float = math.inf,
    watcher: Callable[[Any], None] | None = None,
) -> Outcome:
    """Take a step a batch, from `seed`, and measure at the steps in `marks` and, with any, at the end; stop at the
    `deadline` (of `time.monotonic`), after a NaN, or where a schedule refuses to go on.
    """
    seed_everything(seed)
    outcome, begun = Outcome(), time.monotonic()
    try:
        for count, batch in enumerate(batches):
            if count in marks:
                outcome.marks.append(_mark(fork, count, train.measure(fork), validation)[0])
            loss = fork.advance(batch)
            outcome.losses.append(_value(loss))
            if watcher is not None:
                watcher(loss if loss is not None else 0.0)
            if outcome.bad:
                break
            if time.monotonic() > deadline:
                outcome.whole = False
                break
    except Exception as error:  # the user's step, on a changed network, may raise anything
        outcome.whole = False
        if len(outcome.losses) < _STARTED:
            outcome.error = in_a_line(error)
    if not outcome.error:
        outcome.each = train.measure(fork)
        if marks:
            mark, outcome.held = _mark(fork, len(outcome.losses), outcome.each, validation)
            outcome.marks.append(mark)
        else:
            outcome.held = validation.measure(fork) if validation else None
    outcome.seconds = time.monotonic() - begun
    return outcome


def in_a_line(error: Exception) -> str:
    """What a program raised: the kind of error, and its first line."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"[:_LINE]


def _mark(fork: Fork, step: int, each: Tensor | None, validation: Examples | None) -> tuple[Mark, Tensor | None]:
    """What is known of this step, and what is unexplained of each validation example."""
    held = validation.measure(fork) if validation is not None else None
    return Mark(
        step, float(each.mean()) if each is not None else math.nan,
        float(held.mean()) if held is not None else None, validation.loss(fork) if validation is not None else math.nan,
    ), held  # fmt: skip


def _value(loss: Any) -> float:
    tensor = next(tensors_in(loss), None)
    if tensor is not None:
        return float(tensor.detach().float().mean())
    return float(loss) if isinstance(loss, int | float) else 0.0
