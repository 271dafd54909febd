"""Small sources and nets that the tests of tasks share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from netwright.core.errors import Preempted
from netwright.data.batching import Batch
from netwright.data.schema import Schema, Target
from netwright.experiment.assemble import assemble
from netwright.experiment.config import load_config
from netwright.tasks.base import StepOutput
from netwright.training.hooks.base import Hook
from netwright.training.session import Session


class Source:
    """Batches that are given beforehand."""

    def __init__(self, *batches: Batch) -> None:
        self._batches = batches

    @property
    def steps_per_epoch(self) -> int:
        return len(self._batches)

    @property
    def examples(self) -> int:
        return sum(len(batch.inputs) for batch in self._batches)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        yield from self._batches[start:]

    def bind(self, model: Any) -> None:
        pass

    def logs(self) -> dict[str, float]:
        return {}

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        pass


def make_batch(inputs: Tensor, targets: Tensor | None, first: int = 0) -> Batch:
    return Batch(inputs, targets, torch.arange(first, first + len(inputs)))


def measured(task: Any, model: Any, source: Any) -> dict[str, float]:
    """As training/evaluation.py does it."""
    measure, total, count = task.measure(), 0.0, 0
    model.eval()
    with torch.inference_mode():
        for batch in source.epoch(0):
            out = task.evaluation_step(model, batch)
            total += out.loss.item() * len(out.predictions)
            count += len(out.predictions)
            measure.update(out.predictions, batch.targets)
    return {"loss": total / count, **measure.compute()}


def session(config: dict[str, Any], folder: Path) -> Session:
    """A run that is ready for the loop, in a folder of its own."""
    folder.mkdir(exist_ok=True)
    return assemble(load_config(config), folder, quiet=True).session


class _Leave(Hook):
    """Asks the run to save and leave after a number of steps, as SIGTERM does."""

    name, stride = "leave", 1

    def __init__(self, step: int) -> None:
        self._step = step

    def step_end(self, run: Session, out: StepOutput) -> None:
        if run.progress.step == self._step:
            run.leave = lambda: Preempted("left at step {step}", step=self._step)


def leave_at(run: Session, step: int) -> None:
    run.hooks.append(_Leave(step))
    run._steppers.append(run.hooks[-1])


PICTURES = Schema("image", (1, 8, 8), "uint8", Target("class", ("cat", "dog", "owl")))
ROWS = Schema("table", (2,), "float32", Target("class", ("no", "yes")))
