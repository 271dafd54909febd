"""One measure that outlives a change of loss, scale or activation: how much of the targets stays unexplained.

0 is a perfect prediction, 1 one that ignores the input, more than 1 is worse than that. For labels it is the
cross-entropy of the scores, after the one factor that fits them best (so that probabilities, logits and the scores of
a wrong loss can be compared), over the entropy of the labels. For numbers it is the squared error over the variance;
under a loss that nobody knows, which may want a rate's logarithm or only an order, after the line that fits best.
Per example, so that two runs can be compared in pairs.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netwright.doctor.check.losses import view_loss
from netwright.doctor.check.targets import view_targets
from netwright.doctor.probe.fitting import are_shares
from netwright.metrics.architecture import main_tensor

__all__ = ["WORST", "Yardstick", "yardstick_for"]

WORST = 3.0  # what a diverged run is given
_FAR = 1e6  # of one example, before the mean is taken
_LEAST_ENTROPY = 0.05  # nats, of labels that are nearly all the same: less would make any error look huge
_FACTORS = torch.logspace(-2, 1.5, 15)  # of scores of size one


@dataclass(frozen=True)
class Yardstick:
    """`kind`: "classes", "soft" (rows that sum to 1), "marks" (0 and 1, each on its own) or "numbers"."""

    kind: str
    measure: Callable[[Tensor, Any], Tensor]

    def __call__(self, output: Any, targets: Any) -> Tensor:
        """Unexplained share of each example; `WORST` where the output is not finite."""
        scores = main_tensor(output)
        if scores is None:
            return torch.full((1,), WORST)
        if not bool(torch.isfinite(scores).all()):
            return torch.full((max(1, scores.shape[0] if scores.dim() else 1),), WORST)
        each = self.measure(scores.detach().float(), targets).clamp(max=_FAR)
        return each * (WORST / max(WORST, float(each.mean())))  # single examples may be far off


def yardstick_for(output: Any, targets: Any, loss: Callable[..., Any] | None) -> Yardstick | None:
    """The measure that fits these targets and this output; None where there is nothing to compare with."""
    scores = main_tensor(output)
    view = view_targets(targets) if isinstance(targets, Tensor) else None
    if scores is not None and view is not None:
        kind = _kind(scores, targets, view.kind)
        if kind == "classes" and not _as_many(scores, targets) and _unknown(loss, scores, targets):
            return None  # a step of one's own may give labels along that its network does not predict
        if kind is not None:
            try:
                measure = _MEASURES[kind]
                if kind == "classes" and _takes_classes_second(loss):
                    measure = functools.partial(_classes, axes=(1, -1))
                elif kind == "numbers" and loss is not None and _unknown(loss, scores, targets):
                    measure = _in_line
                measure(scores.detach().float(), targets)
                return Yardstick(kind, measure)
            except (RuntimeError, ValueError, IndexError):  # the shapes do not match after all
                pass
    return None


def _kind(scores: Tensor, targets: Tensor, kind: str) -> str | None:
    if kind in {"class", "tokens"} and _class_axis(scores, targets) is not None:
        return "classes"
    if kind in {"one-hot", "distribution"} and scores.shape == targets.shape:
        return "soft"
    marks = kind in {"binary", "multilabel"} or (kind == "class" and int(targets.max()) <= 1)
    if marks or (kind == "number" and _zero_or_one(targets)):
        return "marks" if scores.numel() == targets.numel() else None
    return "numbers" if scores.numel() == targets.numel() else None


def _zero_or_one(targets: Tensor) -> bool:
    """A mask, say, whatever its shape."""
    marks = (targets == 0) | (targets == 1)
    return bool(marks.all()) and bool(targets.min() != targets.max())


def _unknown(loss: Callable[..., Any] | None, scores: Tensor, targets: Tensor) -> bool:
    return loss is None or view_loss(loss, scores[:64].detach(), targets[:64]).kind is None


def _as_many(scores: Tensor, targets: Tensor) -> bool:
    axis = _class_axis(scores, targets)
    return axis is not None and scores.shape[axis] <= int(targets.max()) + 1


def _takes_classes_second(loss: Callable[..., Any] | None) -> bool:
    direct = (F.cross_entropy, F.nll_loss)
    return loss in direct or isinstance(loss, nn.CrossEntropyLoss | nn.NLLLoss)


def _class_axis(scores: Tensor, targets: Tensor, axes: tuple[int, int] = (-1, 1)) -> int | None:
    """Where the classes lie, the first of `axes` that fits; None for a single column."""
    labels = targets.squeeze(-1) if targets.dim() == 2 and targets.shape[1] == 1 else targets
    if scores.dim() == labels.dim() + 1:
        highest = int(labels.max())
        for axis in (axis % scores.dim() for axis in axes):
            rest = scores.shape[:axis] + scores.shape[axis + 1 :]
            if rest == labels.shape and scores.shape[axis] > max(highest, 1):
                return axis
    if scores.dim() == 2 and labels.dim() == 2 and scores.shape[0] == labels.numel():
        return 1
    return None


def _classes(scores: Tensor, targets: Tensor, axes: tuple[int, int] = (-1, 1)) -> Tensor:
    axis = _class_axis(scores, targets, axes)
    if axis is None:
        raise ValueError(scores.shape)
    count = scores.shape[axis]
    flat, labels = scores.movedim(axis, -1).reshape(-1, count), targets.reshape(-1).long()
    keep = (labels >= 0) & (labels < count)
    flat, labels = flat[keep], labels[keep]
    odds = torch.bincount(labels, minlength=count).float() / len(labels)
    entropy = float(-(odds[odds > 0] * odds[odds > 0].log()).sum())
    return _soft(flat, F.one_hot(labels, count).float(), max(entropy, _LEAST_ENTROPY))


def _soft(scores: Tensor, wanted: Tensor, entropy: float | None = None) -> Tensor:
    """Cross-entropy under the best factor for the scores or, where they are probabilities, for their logarithms."""
    if entropy is None:
        odds = wanted.mean(0)
        entropy = max(float(-(odds[odds > 0] * odds[odds > 0].log()).sum()), _LEAST_ENTROPY)
    reading = scores.clamp(min=1e-12).log() if are_shares(scores) else scores
    scale = float((reading - reading.mean(-1, keepdim=True)).square().mean().sqrt())
    factors = (_FACTORS / max(scale, 1e-6)).tolist()
    tries = (-(F.log_softmax(reading * factor, -1) * wanted).sum(-1) for factor in factors)
    return min(tries, key=Tensor.mean) / entropy


def _marks(scores: Tensor, targets: Tensor) -> Tensor:
    """The same for labels of 0 and 1, with a shift beside the factor (two numbers, found by Newton's method)."""
    wanted = targets.reshape(scores.shape[0], -1).float()
    scores = scores.reshape(scores.shape[0], -1)
    if bool(((scores >= 0) & (scores <= 1)).all()):
        scores = scores.clamp(1e-6, 1 - 1e-6).logit()
    scores = (scores - scores.mean()) / scores.std().clamp(min=1e-6)
    odds = wanted.mean(0).clamp(1e-3, 1 - 1e-3)
    entropy = float(F.binary_cross_entropy(odds.expand_as(wanted), wanted))
    slope, shift = 0.0, math.log(float(odds.mean()) / (1 - float(odds.mean())))
    for _ in range(12):
        p = torch.sigmoid(slope * scores + shift)
        w, rest = p * (1 - p), wanted - p
        a, b, c = float((w * scores * scores).mean()) + 1e-3, float((w * scores).mean()), float(w.mean()) + 1e-3
        g, h = float((rest * scores).mean()), float(rest.mean())
        slope, shift = slope + (c * g - b * h) / (a * c - b * b), shift + (a * h - b * g) / (a * c - b * b)
    slope = max(slope, 0.0)
    found = F.binary_cross_entropy_with_logits(slope * scores + shift, wanted, reduction="none")
    return found.mean(1) / max(entropy, _LEAST_ENTROPY)


def _numbers(scores: Tensor, targets: Tensor) -> Tensor:
    """Shares from 0 to 1 may also be meant as a sigmoid's answers: the better reading counts."""
    wanted = targets.float().reshape(targets.shape[0], -1)
    found = scores.reshape(wanted.shape)
    spread = (wanted - wanted.mean(0)).square().mean()
    readings = [found, found.sigmoid()] if bool(((wanted >= 0) & (wanted <= 1)).all()) else [found]
    return min(((one - wanted).square().mean(1) for one in readings), key=Tensor.mean) / spread.clamp(min=1e-12)


def _in_line(scores: Tensor, targets: Tensor) -> Tensor:
    """As `_numbers`, after the best rising line, column by column, of the scores or of their exponentials."""
    wanted = targets.float().reshape(targets.shape[0], -1)
    found = scores.reshape(wanted.shape)
    middle = wanted.mean(0)
    spread = (wanted - middle).square().mean().clamp(min=1e-12)
    readings = []
    for one in (found, (found - found.amax(0)).exp()):
        apart = one - one.mean(0)
        slope = (apart * (wanted - middle)).sum(0) / apart.square().sum(0).clamp(min=1e-12)
        readings.append((middle + slope.clamp(min=0) * apart - wanted).square().mean(1))
    return min(readings, key=Tensor.mean) / spread


_MEASURES: dict[str, Callable[..., Tensor]] = {"classes": _classes, "soft": _soft, "marks": _marks, "numbers": _numbers}
