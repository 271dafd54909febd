"""Measuring a network on a batch source: evaluation mode, no gradients, averaged weights where there are any, batch
norms folded away.
"""

from contextlib import nullcontext

import torch
from torch import nn

from netwright.data.batching import BatchSource
from netwright.tasks.base import Task
from netwright.tasks.looking import looking
from netwright.training.engine import Engine
from netwright.training.folding import folded

__all__ = ["evaluate"]


def evaluate(model: nn.Module, task: Task, engine: Engine, source: BatchSource) -> dict[str, float]:
    """The task's figures over all batches of `source`; the loss is the mean over examples. The mode is put back."""
    measure = task.measure()
    total, count = 0.0, 0
    averaged = engine.averaging.swap() if engine.averaging is not None else nullcontext()
    # Chance used here (noise, a judge that is built) must not change what the next training step draws.
    with looking(model), torch.random.fork_rng(), averaged, torch.inference_mode(), engine.autocast(), folded(model):
        for batch in source.epoch(0):
            out = task.evaluation_step(model, batch)
            size = len(out.predictions)
            total += out.loss.item() * size
            count += size
            measure.update(out.predictions, batch.targets)
    return {"loss": total / max(count, 1), **measure.compute()}
