"""How good a trained program is, in one number, larger is better; and the training itself."""

import math
from typing import Any

import torch
from material import Built
from torch import Tensor

from netwright.doctor.check.reading import pair_of
from netwright.doctor.probe.fork import call, plain_step

__all__ = ["figure", "judged", "trained"]

_WORST = {"class": 0.0, "tokens": 0.0, "balanced": 0.0, "number": -1.0, "marks": 0.5, "answers": 0.0, "": math.nan}


def figure(kind: str, output: Any, targets: Tensor) -> float:
    """Accuracy ("class", "tokens"), mean recall ("balanced"), R2 ("number"), mean area under the curve ("marks"), share
    of examples with all answers right ("answers").
    """
    scores = output[0] if isinstance(output, tuple | list) else output
    if not kind or not bool(torch.isfinite(scores).all()):
        return _WORST[kind]
    if kind == "number":
        targets = targets.reshape(scores.shape) if scores.numel() == targets.numel() else targets
        left = (scores - targets).square().mean() / (targets - targets.mean(0)).square().mean()
        return max(-1.0, float(1 - left))
    if kind == "marks":
        columns = zip(scores.reshape(len(scores), -1).T, targets.reshape(len(targets), -1).T, strict=True)
        return float(torch.stack([_area(one, marks) for one, marks in columns]).mean())
    if kind == "answers":
        middle = 0.5 if bool(((scores >= 0) & (scores <= 1)).all()) else 0.0
        return float(((scores > middle) == (targets > 0.5)).all(1).float().mean())
    right = scores.argmax(-1) == targets
    if kind == "balanced":
        return float(torch.stack([right[targets == label].float().mean() for label in targets.unique()]).mean())
    return float(right.float().mean())


def _area(scores: Tensor, marks: Tensor) -> Tensor:
    """How often a marked example scores above an unmarked one; half where they tie."""
    high, low = scores[marks > 0.5][:, None], scores[marks <= 0.5][None]
    return ((high > low).float() + 0.5 * (high == low).float()).mean()


def trained(built: Built) -> float:
    """The figure after the program's whole planned run; the kind's worst where it does not run."""
    step = built.step or plain_step(built.loss)
    built.net.train()
    try:
        for _ in range(built.epochs):
            for batch in built.train:
                built.net.train()
                step(built.net, built.opt, pair_of(batch))
        return judged(built)
    except (RuntimeError, ValueError, IndexError, TypeError):
        return _WORST[built.kind]


def judged(built: Built) -> float:
    """The figure as the network is now, on honest examples."""
    held = built.test or built.validation
    if held is None or not built.kind:
        return math.nan
    built.net.eval()
    inputs, targets = held
    with torch.no_grad():
        output = call(built.net, inputs)
    return figure(built.kind, output, targets)
