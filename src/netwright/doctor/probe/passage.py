"""What becomes of a gradient between the backward pass and the optimizer's step, added to an older one, or cut; and
whether the loop itself moves weights beside the optimizer.

Seen on a few steps of a fork, for every parameter that the optimizer holds.
"""

import math
import statistics
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from netwright.doctor.probe.fork import Fork
from netwright.doctor.probe.running import run
from netwright.doctor.probe.scene import Scene
from netwright.doctor.probe.surgery import scale_rate

__all__ = ["Passage", "passage"]

_LOOKED = 6  # steps


@dataclass(frozen=True)
class Passage:
    """`piled`: parameters whose gradients are never cleared although the optimizer steps every time (a scheme of
    accumulation steps rarely). `left`: the norm that reaches the step, over the one that the backward pass left.
    `pushed`: how far a step at a learning rate of 0 moves the weights, over their size.
    """

    piled: tuple[str, ...] = ()
    left: float = 1.0
    pushed: float = 0.0


def passage(scene: Scene) -> Passage:
    """Of a step of the user's own; the plain one clears, and cuts nothing."""
    fork = scene.program.fork()
    if not fork.custom:
        return Passage()
    held = {id(p) for group in fork.optimizer.param_groups for p in group["params"]}
    looks = [_Look(name, p) for name, p in fork.net.named_parameters() if id(p) in held and p.requires_grad]
    steps, shares = list[bool](), list[float]()

    def begin(_: Fork) -> None:
        steps.append(False)
        for look in looks:
            look.first = True

    def stepping(*_: object) -> None:
        steps[-1:] = [True]
        came = math.hypot(*(look.norm for look in looks))
        now = math.hypot(*(float(look.parameter.grad.norm()) for look in looks if look.parameter.grad is not None))
        if 0 < came < math.inf:
            shares.append(now / came)

    fork.before.append(begin)
    fork.optimizer.register_step_pre_hook(stepping)
    run(fork, scene.batches.sequence(_LOOKED), scene.unmeasured, deadline=scene.deadline)
    whole = len(steps) == _LOOKED and all(steps)
    piled = tuple(look.name for look in looks if whole and look.piled >= _LOOKED - 1)
    return Passage(piled, statistics.median(shares) if shares else 1.0, _pushed(scene))


def _pushed(scene: Scene) -> float:
    fork = scene.program.fork()
    weights = [p for group in fork.optimizer.param_groups for p in group["params"] if p.requires_grad]
    before = [p.detach().clone() for p in weights]
    scale_rate(fork, 0.0)
    run(fork, scene.batches.sequence(2), scene.unmeasured, deadline=scene.deadline)
    apart = math.hypot(*(float((p.detach() - old).norm()) for p, old in zip(weights, before, strict=True)))
    return apart / max(math.hypot(*(float(old.norm()) for old in before)), 1e-12)


class _Look:
    """One parameter. Only the first gradient of a step tells of an older one: two losses may add up within a step."""

    def __init__(self, name: str, parameter: nn.Parameter) -> None:
        self.name, self.parameter = name, parameter
        self.piled, self.norm, self.first = 0, 0.0, True
        self._came = torch.zeros(())
        parameter.register_hook(self._arrives)
        parameter.register_post_accumulate_grad_hook(self._lies)

    def _arrives(self, gradient: Tensor) -> None:
        if self.first:
            self._came = gradient.detach().clone()

    def _lies(self, leaf: Tensor) -> None:
        if leaf.grad is None or leaf.grad.layout != torch.strided:
            return
        if self.first:
            self.piled += int(not torch.equal(leaf.grad.detach(), self._came))
        self.first, self.norm = False, float(leaf.grad.norm())
