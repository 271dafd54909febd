"""What a loss without a name is, found by calling it.

Random scores go in; the answers are compared with those of known losses up to a factor and a constant. Where none fits,
a loss that does not notice constants added to all scores of an example has a softmax of its own.
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Likeness", "likeness"]

Candidate = tuple[str, str, bool, Callable[[Tensor], Tensor]]
_UNIT_ONLY = {"bce", "nll-of-log"}  # defined for scores in (0, 1) alone


@dataclass(frozen=True)
class Likeness:
    """The known loss that another behaves like. `inside`: an activation applied within; `sign`: -1 where reversed."""

    kind: str
    inside: str = ""
    onehot: bool = False
    sign: int = 1


def likeness(loss: Callable[..., Any], scores: Tensor, targets: Tensor) -> Likeness | None:
    """What `loss` behaves like on scores and targets shaped like these; None where it is none of the known ones."""
    rows = min(16, scores.shape[0], targets.shape[0] if targets.dim() else 1)
    scores, targets = scores.detach()[:rows], _legal(scores, targets.detach()[:rows])
    function = copy.deepcopy(loss) if isinstance(loss, nn.Module) else loss
    probes = [_probe(scores, seed) for seed in range(6)]
    answers = _answers(function, probes, targets)
    if answers is None:  # some overflow where the output is far from the target
        return Likeness("distance") if _is_distance(function, scores, targets) else None
    wide = [6 * probe - 3 for probe in probes]
    wide_answers = _answers(function, wide, targets)
    for kind, inside, onehot, candidate in _candidates(scores, targets):
        slope = _slope(candidate, probes, answers)
        if slope and kind not in _UNIT_ONLY and wide_answers is not None:
            slope = slope if _slope(candidate, wide, wide_answers) else 0.0  # |x - 1| is a line between 0 and 1
        if slope:
            return Likeness(kind, inside, onehot, 1 if slope > 0 else -1)
    if _has_softmax(function, probes, targets, answers):
        return Likeness("cross-entropy")
    return Likeness("distance") if _is_distance(function, scores, targets) else None


def _legal(scores: Tensor, targets: Tensor) -> Tensor:
    """Labels that have no unit are folded back, so that a loss can be told even where it would fail on them."""
    if targets.is_floating_point() or scores.dim() < 2 or targets.dim() != scores.dim() - 1:
        return targets
    units = min(scores.shape[1], scores.shape[-1])
    fits = targets.dtype == torch.bool or (int(targets.min()) >= 0 and int(targets.max()) < units)
    return targets if fits else targets.remainder(units)


def _probe(scores: Tensor, seed: int) -> Tensor:
    """Random scores in (0, 1), which is a legal value for every loss."""
    noise = torch.rand(scores.shape, generator=torch.Generator().manual_seed(seed))
    return (0.03 + 0.94 * noise).to(scores.device, scores.dtype)


def _answers(function: Callable[..., Any], probes: list[Tensor], targets: Tensor) -> list[float] | None:
    """What the loss says of each probe; None where it fails or gives no number."""
    try:
        answers = [_scalar(function(probe, targets)) for probe in probes]
    except Exception:  # the user's code, on input it was not written for
        return None
    return answers if all(math.isfinite(answer) for answer in answers) else None


def _scalar(value: Any) -> float:
    return float(value.detach().double().mean()) if isinstance(value, Tensor) else float(value)


def _slope(candidate: Callable[[Tensor], Tensor], probes: list[Tensor], answers: list[float]) -> float:
    """The factor a in answer = a * candidate + b; 0 where no such line fits."""
    try:
        guesses = [_scalar(candidate(probe)) for probe in probes]
    except Exception:  # shapes that this candidate does not take
        return 0.0
    x, y = torch.tensor(guesses, dtype=torch.float64), torch.tensor(answers, dtype=torch.float64)
    x, y = x - x.mean(), y - y.mean()
    if float(x.norm()) < 1e-9 or float(y.norm()) < 1e-9:
        return 0.0
    slope = float((x @ y) / (x @ x))
    return slope if float((y - slope * x).norm() / y.norm()) < 2e-3 else 0.0


def _candidates(scores: Tensor, targets: Tensor) -> Iterator[Candidate]:
    """(kind, activation inside, one-hot targets, function of scores)."""
    integer = not targets.is_floating_point()
    if scores.dim() >= 2 and integer and targets.dim() == scores.dim() - 1:
        yield from _class_candidates(scores, targets.long())
    if scores.numel() == targets.numel():
        yield from _aligned_candidates(targets.reshape(scores.shape).to(scores.dtype))
    if scores.dim() == 2 and scores.shape == targets.shape:
        soft = targets.to(scores.dtype)
        yield "cross-entropy", "", False, lambda p: F.cross_entropy(p, soft)
        yield "cross-entropy", "softmax", False, lambda p: F.cross_entropy(p.softmax(1), soft)
        if not integer and bool((targets >= 0).all()):
            yield "kl", "", False, lambda p: F.kl_div(p, targets, reduction="batchmean")
    if scores.dim() == 2 and targets.dim() == 2 and scores.shape == targets.shape:
        yield "cross-entropy", "", True, lambda p: F.cross_entropy(p, targets.argmax(1))


def _class_candidates(scores: Tensor, labels: Tensor) -> Iterator[Candidate]:
    for axis in {1, scores.dim() - 1}:
        count = scores.shape[axis]
        if int(labels.max()) >= count or int(labels.min()) < 0:
            continue
        flat = labels.reshape(-1)
        onehot = F.one_hot(flat, count).to(scores.dtype)

        def rows(p: Tensor, axis: int = axis, count: int = count) -> Tensor:
            return p.movedim(axis, -1).reshape(-1, count)

        yield "cross-entropy", "", False, lambda p, r=rows, t=flat: F.cross_entropy(r(p), t)  # type: ignore[misc]
        yield "nll", "", False, lambda p, r=rows, t=flat: F.nll_loss(r(p), t)  # type: ignore[misc]
        yield "nll-of-log", "", False, lambda p, r=rows, t=flat: F.nll_loss(r(p).log(), t)  # type: ignore[misc]
        yield "cross-entropy", "softmax", False, lambda p, r=rows, t=flat: F.cross_entropy(r(p).softmax(1), t)  # type: ignore[misc]
        yield "cross-entropy", "sigmoid", False, lambda p, r=rows, t=flat: F.cross_entropy(r(p).sigmoid(), t)  # type: ignore[misc]
        yield "cross-entropy", "batch-axis", False, lambda p, r=rows, t=flat: F.nll_loss(F.log_softmax(r(p), 0), t)  # type: ignore[misc]
        for kind, inside, _, function in _aligned_candidates(onehot):
            yield kind, inside, True, lambda p, r=rows, f=function: f(r(p))  # type: ignore[misc]
        yield "mse", "softmax", True, lambda p, r=rows, t=onehot: F.mse_loss(r(p).softmax(1), t)  # type: ignore[misc]
        yield "mae", "softmax", True, lambda p, r=rows, t=onehot: F.l1_loss(r(p).softmax(1), t)  # type: ignore[misc]


def _aligned_candidates(targets: Tensor) -> Iterator[Candidate]:
    yield "mse", "", False, lambda p: F.mse_loss(p, targets)
    yield "mse", "", False, lambda p: F.mse_loss(p, targets).sqrt()
    yield "mae", "", False, lambda p: F.l1_loss(p, targets)
    yield "huber", "", False, lambda p: F.smooth_l1_loss(p, targets)
    yield "bce-logits", "", False, lambda p: F.binary_cross_entropy_with_logits(p, targets)
    yield "bce-logits", "sigmoid", False, lambda p: F.binary_cross_entropy_with_logits(p.sigmoid(), targets)
    yield "mse", "sigmoid", False, lambda p: F.mse_loss(p.sigmoid(), targets)
    # Last: torch refuses targets outside [0, 1] here, so the formula is written out.
    yield "bce", "", False, lambda p: -(targets * p.log() + (1 - targets) * (1 - p).log()).mean()


def _has_softmax(function: Callable[..., Any], probes: list[Tensor], targets: Tensor, answers: list[float]) -> bool:
    if probes[0].dim() < 2 or probes[0].shape[1] < 2 or targets.is_floating_point():
        return False
    rows = torch.linspace(-0.3, 1, len(probes[0])).to(probes[0]).view(-1, *[1] * (probes[0].dim() - 1))
    moved = _answers(function, [probe + rows for probe in probes], targets)
    if moved is None:
        return False
    scale = max(abs(a - answers[0]) for a in answers)
    return scale > 0 and all(abs(a - b) < 1e-4 * scale for a, b in zip(moved, answers, strict=True))


def _is_distance(function: Callable[..., Any], scores: Tensor, targets: Tensor) -> bool:
    """Whether the loss is least where the output is the target, and grows on every way from there."""
    if not targets.is_floating_point() or scores.shape != targets.shape or not float(targets.std()):
        return False
    size = float(targets.std())
    ways = [size * (_probe(scores, seed) - 0.5) for seed in range(4)]
    at = targets.to(scores.dtype)
    steps = [at, *(at + far * way for way in ways for far in (-2.0, -1.0, 1.0, 2.0))]
    found = _answers(function, steps, targets)
    if found is None:
        return False
    least, rest = found[0], found[1:]
    rows = [rest[place : place + 4] for place in range(0, len(rest), 4)]
    return all(far > near > least and farther > further > least for far, near, further, farther in rows)
