"""One step of the user's, looked at: what it returned on a batch, and what its network was given and answered."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from netwright.doctor.probe.fork import Batch, Fork, call
from netwright.doctor.probe.scene import Scene
from netwright.doctor.probe.surgery import scale_rate
from netwright.metrics.architecture import main_tensor, tensors_in

__all__ = ["Look", "answers_by_lot", "look_at"]


@dataclass
class Look:
    """A step on a batch: the `value` that it returned, and, where it called its network once, what that was given."""

    batch: Batch
    value: float
    given: Tensor | None = None
    output: Tensor = field(default_factory=lambda: torch.zeros(0))

    @property
    def altered(self) -> float:
        """How far the inputs that the network was given are from the batch's, over the spread of these."""
        asked = self.batch[0]
        if self.given is None or not isinstance(asked, Tensor) or asked.shape != self.given.shape:
            return 0.0
        if not asked.is_floating_point():
            return 0.0
        return float((self.given - asked).square().mean().sqrt() / asked.std().clamp(min=1e-12))

    @property
    def reordered(self) -> bool:
        """Whether the same rows were given, in an order by which targets do not stay with their inputs."""
        asked = self.batch[0][0] if isinstance(self.batch[0], tuple) else self.batch[0]
        if self.given is None or not isinstance(asked, Tensor) or asked.shape != self.given.shape:
            return False
        if torch.equal(asked, self.given):
            return False
        old, new = (
            torch.unique(part.reshape(len(part), -1), dim=0, return_inverse=True) for part in (asked, self.given)
        )
        targets = self.batch[1]
        if old[0].shape != new[0].shape or not torch.equal(old[0], new[0]):
            return False
        first = {int(row): at for at, row in enumerate(old[1])}
        moved = torch.tensor([first[int(row)] for row in new[1]])
        return not torch.equal(targets[moved.to(targets.device)], targets)


def look_at(scene: Scene, batch: Batch, seed: int = 0) -> Look:
    """One step at a rate of 0 on a fresh fork, from a seed."""
    fork, calls = scene.program.fork(), list[tuple[Tensor | None, Tensor]]()
    scale_rate(fork, 0.0)

    def keep(_: nn.Module, given: tuple[object, ...], output: object) -> None:
        made = main_tensor(output)
        if made is not None and made.requires_grad:
            calls.append((next(tensors_in(given), None), made.detach()))

    own = _answer(fork, batch, seed)
    fork.net.register_forward_hook(keep)
    torch.manual_seed(seed)
    told = fork.advance(batch)
    value = next(tensors_in(told), None)
    given, output = calls[0] if len(calls) == 1 else (None, own)
    return Look(batch, float(value.detach().float().mean()) if value is not None else float(told), given, output)


def answers_by_lot(scene: Scene, batch: Batch) -> bool:
    """Whether the network draws its answers, as a variational one does; dropout aside."""
    fork = scene.program.fork()
    for module in fork.net.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
    one, other = (_answer(fork, batch, seed) for seed in range(2))
    return not torch.allclose(one, other, rtol=1e-3, atol=1e-4, equal_nan=True)


def _answer(fork: Fork, batch: Batch, seed: int) -> Tensor:
    """The answer to a batch as the step would get it: for steps that call parts of the network one by one."""
    torch.manual_seed(seed)
    with torch.no_grad():
        made = main_tensor(call(fork.net, batch[0]))
    assert made is not None
    return made.float()
