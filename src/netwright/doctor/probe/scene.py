"""Everything that probes share: the program, its cached batches, and the examples that are measured on."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from netwright.doctor.check.reading import rows
from netwright.doctor.probe.batches import Batches, size_of
from netwright.doctor.probe.fitting import fitting
from netwright.doctor.probe.fork import Fork, Program
from netwright.doctor.probe.recognise import agreement
from netwright.doctor.probe.running import Examples, Outcome, run
from netwright.doctor.probe.yardstick import yardstick_for

__all__ = ["Scene", "set_scene"]

_MEASURED = 384  # examples


@dataclass
class Scene:
    """`steps`: how long probes run; `planned`: how long the user's run is, and `length_known` whether somebody said so;
    `deadline` in `time.monotonic` seconds, of which the last `reserve` are not for probes.
    """

    program: Program
    batches: Batches
    train: Examples
    validation: Examples | None
    steps: int
    planned: int
    deadline: float
    reserve: float = 0.0
    length_known: bool = True
    trusted: bool = True  # the loss is one of (output, targets)
    loss: Callable[..., Any] | None = None  # the given one, or the one that the step adds a penalty to
    penalised: bool = False  # something beside the loss pulls at the weights, or cuts the gradient
    twins: list[Outcome] = field(default_factory=list)  # runs that nothing is changed in, one a seed

    @property
    def left(self) -> float:
        """Seconds until the budget is spent."""
        return self.deadline - time.monotonic()

    @property
    def kind(self) -> str:
        """The yardstick's kind; "" without one."""
        return self.train.yardstick.kind if self.train.yardstick is not None else ""

    @property
    def inputs(self) -> Tensor | None:
        """The first input tensor of the examples that are measured."""
        given = self.train.batch[0]
        given = given[0] if isinstance(given, tuple) and given else given
        return given if isinstance(given, Tensor) else None

    @property
    def unmeasured(self) -> Examples:
        """The examples without a yardstick, for runs of which only the steps matter."""
        return replace(self.train, yardstick=None)

    @property
    def targets(self) -> Any:
        """Their targets."""
        return self.train.batch[1]

    def play(self, fork: Fork, batches: Batches, seed: int, steps: int | None = None) -> Outcome:
        """Run a fork as long as probes run."""
        wanted = steps or self.steps
        return run(fork, batches.sequence(wanted, seed), self.train, self.validation, seed, deadline=self.deadline)

    def unchanged(self, seed: int) -> Outcome:
        """The twin that nothing is changed on; run once a seed."""
        while len(self.twins) <= seed:
            self.twins.append(self.play(self.program.fork(), self.batches, len(self.twins)))
        return self.twins[seed]


def set_scene(
    program: Program, batches: Batches, validation: Any, steps: int, planned: int, deadline: float = math.inf
) -> Scene:
    """Choose the examples to measure on and the yardstick that fits the network's output on them."""
    source = batches.pool if batches.pool is not None else batches.epochs[0][0]
    chosen = _some(source)
    fork = program.fork()
    try:
        output = fork.outputs(chosen[0])
        measure = yardstick_for(output, chosen[1], program.loss)
    except Exception:  # the user's forward: probes then go by the losses alone
        measure = None
    like = agreement(program, batches, measure.kind) if measure is not None and program.loss is None else "same"
    measure = measure if like else None
    held = Examples(_some(validation), measure) if validation is not None and measure is not None else None
    known = like in {"same", "penalty"} and measure is not None
    loss = fitting(measure.kind) if like == "penalty" and measure is not None else program.loss
    return Scene(program, batches, Examples(chosen, measure), held, steps, planned, deadline, trusted=known, loss=loss)


def _some(source: Any) -> tuple[Any, Any]:
    count = size_of(source)
    index = torch.linspace(0, count - 1, min(_MEASURED, count)).long()
    return rows(source[0], index), rows(source[1], index)
