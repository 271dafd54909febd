"""The loss that fits each kind of target, of raw scores or of what a last softmax or sigmoid makes of them."""

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from netwright.metrics.architecture import main_tensor

__all__ = ["FITTING", "are_shares", "fitting"]

_ROUNDED = 1e-3  # by which shares may miss their sum of one


def _cross_entropy(scores: Tensor, targets: Tensor) -> Tensor:
    axis = 2 if scores.dim() == 3 and scores.shape[:2] == targets.shape else 1
    return F.cross_entropy(_raw(scores.movedim(axis, -1).flatten(0, -2)), targets.reshape(-1).long())


def _raw(scores: Tensor) -> Tensor:
    """Scores before a softmax or a sigmoid at the network's end: what cross-entropy takes."""
    if scores.shape[-1] < 2 or bool(((scores < 0) | (scores > 1)).any()):
        return scores
    if are_shares(scores):
        return scores.clamp(min=1e-12).log()
    return scores.clamp(1e-6, 1 - 1e-6).logit()


def _yes_or_no(scores: Tensor, targets: Tensor) -> Tensor:
    if bool(((scores >= 0) & (scores <= 1)).all()):
        scores = scores.clamp(1e-6, 1 - 1e-6).logit()
    return F.binary_cross_entropy_with_logits(scores.reshape(len(scores), -1), targets.reshape(len(scores), -1).float())


def _squared(scores: Tensor, targets: Tensor) -> Tensor:
    return F.mse_loss(scores.reshape(targets.shape), targets.float())


def _of_soft(scores: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(_raw(scores), targets.float())


FITTING: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "classes": _cross_entropy,
    "soft": _of_soft,
    "marks": _yes_or_no,
    "numbers": _squared,
}


def are_shares(scores: Tensor) -> bool:
    """Whether the last axis holds shares of one, as a softmax gives them."""
    return bool((scores >= 0).all()) and bool(((scores.sum(-1) - 1).abs() < _ROUNDED).all())


def fitting(kind: str) -> Callable[[Any, Tensor], Tensor]:
    """The same for whatever a network returns: its main tensor counts."""

    def loss(output: Any, targets: Tensor) -> Tensor:
        scores = main_tensor(output)
        assert scores is not None
        return FITTING[kind](scores, targets)

    return loss
