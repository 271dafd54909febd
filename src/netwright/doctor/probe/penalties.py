"""Penalties that a program adds to what it makes of its answers: in the step, or in a loss that looks at weights.

A loss of (output, targets) reaches the weights through the output alone; whatever else reaches them is a penalty.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from netwright.doctor.probe.batches import Batches
from netwright.doctor.probe.fork import Batch, Fork, call
from netwright.doctor.probe.running import Examples, run
from netwright.doctor.probe.scene import Scene

__all__ = ["penalty", "plain_loss"]


def penalty(scene: Scene) -> float:
    """What the step adds to the loss, over that loss; or how hard what the loss itself adds pulls, over its pull."""
    batch, fork = next(scene.batches.sequence(1)), scene.program.fork()
    if scene.loss is None:
        return 0.0
    added = 0.0
    if fork.custom:
        torch.manual_seed(0)
        fork.loss = fork.loss if fork.loss is not None else scene.loss
        own = Examples(batch, None).loss(fork)
        told = run(fork, [batch], scene.unmeasured).losses
        added = (told[0] - own) / max(abs(own), 1e-12) if told and math.isfinite(own) else 0.0
    return max(added, _pull(scene.program.fork(), batch))


def plain_loss(scene: Scene) -> tuple[Fork, Batches] | None:
    """The program's own loop, with a gradient that comes through the output alone: penalties are left out. Where there
    are none, it would mend whatever else the step does and prove nothing.
    """
    fork = scene.program.fork()
    fork.loss = fork.loss if fork.loss is not None else scene.loss
    if fork.loss is None or not scene.penalised:
        return None
    seen: list[Batch] = []

    def keep(batch: Batch) -> Batch:
        seen[:] = [batch]
        return batch

    fork.prepare.append(keep)

    def before(optimizer: torch.optim.Optimizer, *_: object) -> None:
        optimizer.zero_grad()
        inputs, targets = seen[0]
        assert fork.loss is not None
        with torch.enable_grad():
            output = call(fork.net, inputs)
            if isinstance(output, Tensor):
                output.backward(_to_output(fork.loss, output, targets))
            else:
                fork.loss(output, targets).mean().backward()

    fork.optimizer.register_step_pre_hook(before)
    return fork, scene.batches


def _to_output(loss: Callable[..., Tensor], output: Tensor, targets: Tensor) -> Tensor:
    leaf = output.detach().requires_grad_(True)
    return torch.autograd.grad(loss(leaf, targets).mean(), leaf)[0]


def _pull(fork: Fork, batch: Batch) -> float:
    """The gradient that a loss sends to the weights past the output, over the one through it; 0 without any."""
    if fork.loss is None:
        return 0.0
    inputs, targets = batch
    try:
        with torch.enable_grad():
            output = call(fork.net, inputs)
            if not isinstance(output, Tensor):
                return 0.0
            past = fork.loss(output.detach(), targets)
            if not isinstance(past, Tensor) or not past.requires_grad:
                return 0.0
            weights = [p for p in fork.net.parameters() if p.requires_grad]
            aside = torch.autograd.grad(past.mean(), weights, allow_unused=True)
            through = torch.autograd.grad(output, weights, _to_output(fork.loss, output, targets), allow_unused=True)
    except (RuntimeError, ValueError, IndexError, TypeError):  # the user's loss
        return 0.0
    return _norm(aside) / max(_norm(through), 1e-12)


def _norm(gradients: tuple[Tensor | None, ...]) -> float:
    return math.sqrt(sum(float(grad.square().sum()) for grad in gradients if grad is not None))
