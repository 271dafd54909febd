"""What can be learned from these examples at all: a plain network with plain settings, judged on examples it never saw.

It tells "nothing can be learned here" (labels that do not depend on the inputs) from "this network does not learn it".
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from netwright.doctor.probe.batches import Batches, rows, size_of
from netwright.doctor.probe.changes import FITTING
from netwright.doctor.probe.running import Examples, run
from netwright.doctor.probe.scene import Scene

__all__ = ["Plain", "Reference", "held_out", "plain"]

_EXAMPLES, _STEPS, _HIDDEN, _WIDEST = 1000, 180, 64, 4096


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


@dataclass(frozen=True)
class Reference:
    """`left`: the lowest unexplained share of held-out examples along a plain network's run; for one-of-many labels,
    `right`: the share of them that it then had right, and `surest`: the same of the third that it was surest of.
    """

    left: float
    right: float | None = None
    surest: float | None = None


def plain(scene: Scene, permuted: int = 0) -> Reference | None:
    """A plain network's run; None where it does not apply.

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
    best = Reference(float("inf"))
    for count in range(_STEPS):
        index = torch.randint(0, len(x), (min(64, len(x)),))
        optimizer.zero_grad()
        with torch.enable_grad():
            FITTING[scene.kind](net(x[index]), targets[index]).backward()
        optimizer.step()
        if count % 20 == 19:
            with torch.no_grad():
                scores = net(held_x)
            left = float(scene.train.yardstick(scores, held_y).mean())
            best = min(best, _judged(scene.kind, left, scores, held_y), key=lambda told: told.left)
    return best


def _judged(kind: str, left: float, scores: Tensor, labels: Tensor) -> Reference:
    if kind != "classes" or len(scores) < 30:
        return Reference(left)
    right = (scores.argmax(1) == labels.reshape(-1)).float()
    first, second = scores.softmax(1).topk(2, 1).values.unbind(1)
    surest = (first - second).topk(len(right) // 3).indices
    return Reference(left, float(right.mean()), float(right[surest].mean()))


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
    marks = range(0, steps, max(1, steps // 10))
    told = run(fork, learnt.sequence(steps, 0), test, marks=marks, deadline=scene.deadline)
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
