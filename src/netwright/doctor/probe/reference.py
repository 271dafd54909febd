"""What can be learned from these examples at all: a plain network with plain settings, judged on examples it never saw.

It tells "nothing can be learned here" (labels that do not depend on the inputs) from "this network does not learn it".
The same with labels by a planted rule tells whether so many examples would have shown it.
"""

import time
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netwright.doctor.check.reading import rows
from netwright.doctor.probe.batches import Batches, size_of
from netwright.doctor.probe.fitting import FITTING
from netwright.doctor.probe.fork import Batch
from netwright.doctor.probe.plain_net import Plain, planted, tensors_of
from netwright.doctor.probe.running import Examples, run
from netwright.doctor.probe.scene import Scene
from netwright.doctor.probe.well import set_well

__all__ = ["Reference", "held_out", "plain"]

Targets = Literal["own", "shuffled", "planted"]  # as they are; what luck alone gives; by a random rule of the inputs

_EXAMPLES, _LEAST_EXAMPLES, _WIDEST = 2000, 60, 20_000  # that are looked at, at most and at least; numbers in one
_STEPS, _OFTEN, _BATCH, _RATE = 300, 20, 64, 2e-3  # of a plain network; every so many steps it is judged
_PILOT, _LEAST = 4, 75  # steps, halved while they would take more than the share of the budget
_SHARE = 0.15
_EVENED = 40  # rounds


@dataclass(frozen=True)
class Reference:
    """`left`: the lowest unexplained share of held-out examples along a plain network's run; for one-of-many labels,
    `right`: the share of them that it then had right, and `surest`: the same of the third that it was surest of.
    `linked`: by how many standard errors its answers go with the targets more than chance lets them, at the most.
    """

    left: float
    right: float | None = None
    surest: float | None = None
    linked: float = 0.0


def plain(scene: Scene, targets: Targets = "own") -> Reference | None:
    """A plain network's run on these targets; None where it does not apply."""
    pool, outputs = scene.batches.pool, _outputs(scene)
    if outputs is None or pool is None or not _readable(pool) or scene.train.yardstick is None:
        return None
    known, unknown = _halves(_ruled(scene, pool) if targets == "planted" else pool)
    if targets == "shuffled":
        known, unknown = _shuffled(known), _shuffled(unknown)
    (x, y), (held_x, held_y) = known, unknown
    y = y.float() if scene.kind in {"numbers", "marks"} else y
    if scene.kind == "numbers":
        middle, spread = y.mean(0, keepdim=True), y.std(0, keepdim=True).clamp(min=1e-12)
        y, held_y = (y - middle) / spread, (held_y.float() - middle) / spread
    return _trained(scene, (x, y), (held_x, held_y), outputs)


def held_out(
    scene: Scene, steps: int, program: Literal["own", "well"] = "own", targets: Targets = "own"
) -> float | None:
    """The share of held-out examples that the user's own program leaves unexplained, or its network trained `well`."""
    pool, measure = scene.batches.pool, scene.train.yardstick
    if pool is None or measure is None or size_of(pool) < _LEAST_EXAMPLES:
        return None
    known, unknown = _halves(_ruled(scene, pool) if targets == "planted" else pool, None)
    size = scene.batches.size if program == "own" else min(scene.batches.size, _BATCH)
    learnt = Batches((), known, size, True).rebatched(size)
    if learnt is None:
        return None
    fork = scene.program.fork() if program == "own" else set_well(scene, _RATE)
    marks = range(0, steps, max(1, steps // 10))
    deadline = scene.deadline - scene.reserve
    outcome = run(fork, learnt.sequence(steps), Examples(unknown, measure), marks=marks, deadline=deadline)
    return min((mark.share for mark in outcome.marks), default=None) if not outcome.error and outcome.whole else None


def _trained(scene: Scene, known: Batch, unknown: Batch, outputs: int) -> Reference | None:
    """None where the budget does not bear it."""
    torch.manual_seed(0)
    (x, targets), (held_x, held_y), measure = known, unknown, scene.train.yardstick
    net = Plain(x, outputs)
    optimizer = torch.optim.AdamW(net.parameters(), _RATE)
    best, steps, took = Reference(float("inf")), _STEPS, float("inf")
    for count in range(_STEPS):
        if count == _PILOT:
            while steps > _LEAST and steps * took > _SHARE * scene.left:
                steps //= 2
            if steps * took > 2 * _SHARE * scene.left:
                return None
        if count >= steps:
            break
        begun = time.monotonic()
        index = torch.randint(0, len(targets), (min(_BATCH, len(targets)),))
        optimizer.zero_grad()
        with torch.enable_grad():
            FITTING[scene.kind](net(rows(x, index)), targets[index]).backward()
        optimizer.step()
        took = min(took, time.monotonic() - begun)
        if count % _OFTEN == _OFTEN - 1 and measure is not None:
            with torch.no_grad():
                scores = net(held_x)
            left = float(measure(scores, held_y).mean())
            linked = max(best.linked, _linked(scene.kind, scores, held_y))
            best = min(best, _judged(scene.kind, left, scores, held_y), key=lambda told: told.left)
            best = replace(best, linked=linked)
    return best


def _linked(kind: str, scores: Tensor, targets: Tensor) -> float:
    """How sure it is that answers and targets vary together, however little of the targets that explains."""
    wanted = targets.reshape(len(targets), -1).float()
    if kind == "classes":
        wanted = F.one_hot(targets.reshape(-1).long(), scores.shape[1]).float()
    answers = scores.log_softmax(1) if kind in {"classes", "soft"} else scores.reshape(wanted.shape)
    each = ((answers - answers.mean(0)) * (wanted - wanted.mean(0))).sum(1)
    return float(each.mean() / (each.std() / len(each) ** 0.5).clamp(min=1e-12))


def _judged(kind: str, left: float, scores: Tensor, labels: Tensor) -> Reference:
    if kind != "classes" or len(scores) < 30:
        return Reference(left)
    right = (scores.argmax(1) == labels.reshape(-1)).float()
    first, second = scores.softmax(1).topk(2, 1).values.unbind(1)
    surest = (first - second).topk(len(right) // 3).indices
    return Reference(left, float(right.mean()), float(right[surest].mean()))


def _readable(pool: Batch) -> bool:
    parts = tensors_of(pool[0])
    if parts is None or not isinstance(pool[1], Tensor) or size_of(pool) < _LEAST_EXAMPLES:
        return False
    return all(len(part) == size_of(pool) and part[0].numel() <= _WIDEST for part in parts)


def _halves(pool: Batch, most: int | None = _EXAMPLES) -> tuple[Batch, Batch]:
    """Seven of ten examples to learn from, and the others."""
    order = torch.randperm(size_of(pool), generator=torch.Generator().manual_seed(7))[:most]
    cut = len(order) * 7 // 10
    known, unknown = order[:cut], order[cut:][:_EXAMPLES]
    return (rows(pool[0], known), rows(pool[1], known)), (rows(pool[0], unknown), rows(pool[1], unknown))


def _shuffled(part: Batch) -> Batch:
    chance = torch.Generator().manual_seed(1)
    return part[0], part[1][torch.randperm(len(part[1]), generator=chance).to(part[1].device)]


def _ruled(scene: Scene, pool: Batch) -> Batch:
    """The same inputs with targets of the same kind, shape and frequencies, made by a random rule."""
    given: Any = pool[1]
    if scene.kind == "classes":
        names, counts = given.reshape(-1).unique(return_counts=True)
        scores = planted(pool[0], len(names)).to(given.device)
        return pool[0], names[_in_shares(scores, counts / counts.sum()).argmax(1)].reshape(given.shape)
    scores = planted(pool[0], int(given[0].numel())).to(given.device).reshape(given.shape)
    if scene.kind == "soft":
        chosen = _in_shares(scores, given.float().mean(0)).argmax(1)
        return pool[0], nn.functional.one_hot(chosen, given.shape[1]).to(given.dtype)
    if scene.kind == "marks":
        rank = scores.argsort(0).argsort(0).float() / len(scores)
        return pool[0], (rank >= 1 - given.float().mean(0)).to(given.dtype)
    return pool[0], scores.to(given.dtype)


def _in_shares(scores: Tensor, wanted: Tensor) -> Tensor:
    """Scores with a constant a class, so that each is the highest as often as it is wanted."""
    for _ in range(_EVENED):
        found = torch.bincount(scores.argmax(1), minlength=len(wanted)) / len(scores)
        scores = scores + 0.3 * ((wanted + 1 / len(scores)) / (found + 1 / len(scores))).log()
    return scores


def _outputs(scene: Scene) -> int | None:
    pool = scene.batches.pool
    targets = pool[1] if pool is not None else None
    if not isinstance(targets, Tensor) or not targets.dim() or not targets.numel():
        return None
    if scene.kind == "classes":
        return max(2, int(targets.max()) + 1) if targets[0].numel() == 1 and int(targets.min()) >= 0 else None
    return int(targets[0].numel()) if targets[0].numel() <= 64 else None
