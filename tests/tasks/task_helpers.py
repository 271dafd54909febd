"""Small sources and nets that the tests of tasks share."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from netwright.data.batching import Batch
from netwright.data.schema import Schema, Target


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


PICTURES = Schema("image", (1, 8, 8), "uint8", Target("class", ("cat", "dog", "owl")))
ROWS = Schema("table", (2,), "float32", Target("class", ("no", "yes")))
