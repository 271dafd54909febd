"""Focal loss: cross-entropy that looks away from what is already easy, for rare classes.

Lin et al., "Focal loss for dense object detection", 2017: `-α (1 - p)^γ log p`, p the probability of the truth. Differs
from the paper: with integer targets and several scores the probability is the softmax's; the paper has sigmoids only.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.core.schemas import Fraction, NonNegative
from netwright.losses.base import Loss, Reduction, aligned, classes_last, reduced, wide

__all__ = ["Focal"]


class Focal(Loss):
    """Focal loss of raw scores.

    Args:
        gamma: how much easy examples are played down; 0 is cross-entropy.
        alpha: weight of a yes against a no (sigmoid form), or of each class (softmax form); None weighs nothing.
        ignore_index: class number of places that do not count (softmax form).

    Shapes:
        softmax form: prediction (B, K), (B, T, K) or (B, K, H, W), target its class numbers;
        sigmoid form: prediction (B,), (B, 1) or (B, …), target the same, 0 or 1.
    """

    expects = "logits"
    target_kind = "class"

    def __init__(
        self,
        *,
        gamma: NonNegative = 2.0,
        alpha: Fraction | list[NonNegative] | None = None,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.gamma = gamma
        self.alpha = alpha
        self.ignore_index = ignore_index

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        single = prediction.dim() == 1 or (prediction.dim() == 2 and prediction.shape[1] == 1)
        if single or (target.shape == prediction.shape):
            return reduced(self._sigmoid(*aligned(prediction, target)), self.reduction)
        rows, classes = classes_last(wide(prediction), target)
        counted = classes != self.ignore_index
        values = self._softmax(rows, classes.where(counted, 0)) * counted
        if self.reduction == "mean":
            return values.sum() / counted.sum().clamp_min(1)
        return reduced(values, self.reduction)

    def _sigmoid(self, scores: Tensor, yes: Tensor) -> Tensor:
        surprise = F.binary_cross_entropy_with_logits(scores, yes, reduction="none")
        values = (1 - torch.exp(-surprise)) ** self.gamma * surprise
        if isinstance(self.alpha, list) or self.alpha is None:
            return values
        return values * (self.alpha * yes + (1 - self.alpha) * (1 - yes))

    def _softmax(self, scores_NK: Tensor, classes_N: Tensor) -> Tensor:
        surprise_N = F.cross_entropy(scores_NK, classes_N, reduction="none")
        values_N = (1 - torch.exp(-surprise_N)) ** self.gamma * surprise_N
        if self.alpha is None:
            return values_N
        if isinstance(self.alpha, list):
            return values_N * torch.tensor(self.alpha, device=values_N.device, dtype=values_N.dtype)[classes_N]
        return values_N * self.alpha
