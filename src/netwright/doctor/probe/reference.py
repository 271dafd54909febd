"""What can be learned from these examples at all: a plain network with plain settings, judged on examples it never saw.

It tells "nothing can be learned here" (labels that do not depend on the inputs) from "this network does not learn it".
"""

import torch
from torch import Tensor, nn

from netwright.doctor.probe.batches import Batches, rows, size_of
from netwright.doctor.probe.changes import FITTING
from netwright.doctor.probe.running import Examples, run
from netwright.doctor.probe.scene import Scene

__all__ = ["Plain", "held_out", "plain"]

_EXAMPLES, _STEPS, _HIDDEN, _WIDEST = 1500, 240, 64, 4096


class Plain(nn.Module):
    """One hidden layer on standardised numbers, or on the mean of embeddings for whole numbers."""

    def __init__(self, sample: Tensor, outputs: int) -> None:
        super().__init__()
        self.tokens = not sample.is_floating_point() and sample.dim() == 2 and int(sample.min()) >= 0
        flat = sample.reshape(len(sample), -1).float()
        width = _HIDDEN if self.tokens else flat.shape[1]
        self.table = nn.Embedding(int(sample.max()) + 1, _HIDDEN) if self.tokens else None
        self.mean, self.std = flat.mean(0), flat.std(0, correction=0)
        self.std = torch.where(self.std > 1e-6, self.std, torch.ones_like(self.std))
        self.body = nn.Sequential(nn.Linear(width, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """From (B, ...) to (B, outputs)."""
        if self.table is not None:
            return self.body(self.table(inputs.clamp(0, self.table.num_embeddings - 1)).mean(1))  # type: ignore[no-any-return]
        return self.body((inputs.reshape(len(inputs), -1).float() - self.mean) / self.std)  # type: ignore[no-any-return]


def plain(scene: Scene, permuted: int = 0) -> float | None:
    """The lowest unexplained share of held-out examples along a plain network's run; None where it does not apply.

    With `permuted` the targets are shuffled by that seed: what luck alone gives.
    """
    parts = _parts(scene)
    if parts is None or scene.train.yardstick is None:
        return None
    (x, y), (held_x, held_y) = parts
    if permuted:
        chance = torch.Generator().manual_seed(permuted)
        y, held_y = y[torch.randperm(len(y), generator=chance)], held_y[torch.randperm(len(held_y), generator=chance)]
    targets = y.float() if scene.kind in {"numbers", "marks"} else y
    if scene.kind == "numbers":
        middle, spread = targets.mean(0, keepdim=True), targets.std(0, keepdim=True).clamp(min=1e-12)
        targets, held_y = (targets - middle) / spread, (held_y.float() - middle) / spread
    outputs = _outputs(scene, y)
    if outputs is None or x[0].numel() > _WIDEST:
        return None
    torch.manual_seed(0)
    net = Plain(x, outputs)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    best = float("inf")
    for count in range(_STEPS):
        index = torch.randint(0, len(x), (min(64, len(x)),))
        optimizer.zero_grad()
        with torch.enable_grad():
            FITTING[scene.kind](net(x[index]), targets[index]).backward()
        optimizer.step()
        if count % 20 == 19:
            with torch.no_grad():
                best = min(best, float(scene.train.yardstick(net(held_x), held_y).mean()))
    return best


def held_out(scene: Scene, steps: int) -> float | None:
    """The same for the user's own program, trained on 7 of 10 examples."""
    pool, measure = scene.batches.pool, scene.train.yardstick
    if pool is None or measure is None or size_of(pool) < 60:
        return None
    order = torch.randperm(size_of(pool), generator=torch.Generator().manual_seed(7))
    cut = len(order) * 7 // 10
    known, unknown = order[:cut], order[cut:][:_EXAMPLES]
    part = Batches((), (rows(pool[0], known), rows(pool[1], known)), scene.batches.size, True)
    learnt = part.rebatched(part.size)
    if learnt is None:
        return None
    fork, test = scene.program.fork(), Examples((rows(pool[0], unknown), rows(pool[1], unknown)), measure)
    told = run(fork, learnt.sequence(steps, 0), test, marks=max(1, steps // 10), deadline=scene.deadline)
    return min((share for _, share, *_ in told.marks), default=None) if not told.error else None


def _parts(scene: Scene) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]] | None:
    pool = scene.batches.pool
    if pool is None or not isinstance(pool[0], Tensor) or not isinstance(pool[1], Tensor) or size_of(pool) < 60:
        return None
    order = torch.randperm(size_of(pool), generator=torch.Generator().manual_seed(7))[:_EXAMPLES]
    cut = len(order) * 7 // 10
    return (pool[0][order[:cut]], pool[1][order[:cut]]), (pool[0][order[cut:]], pool[1][order[cut:]])


def _outputs(scene: Scene, targets: Tensor) -> int | None:
    if scene.kind == "classes":
        return int(targets.max()) + 1 if targets.dim() == 1 or targets[0].numel() == 1 else None
    return int(targets[0].numel()) if targets[0].numel() <= 64 else None
