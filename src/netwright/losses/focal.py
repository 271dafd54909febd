"""Focal loss: cross-entropy that looks away from what is already easy, for rare classes.

Lin et al., "Focal loss for dense object detection", 2017: `-α (1 - p)^γ log p`, p the probability of the truth. Differs
from the paper: with integer targets and several scores the probability is the softmax's; the paper has sigmoids only.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.core.errors import ConfigError
from netwright.core.schemas import Fraction, NonNegative
from netwright.losses.base import Loss, Reduction, aligned, classes_last, reduced, wide

__all__ = ["Focal"]


class Focal(Loss):
    """Focal loss of raw scores.

    Args:
        gamma: how much easy examples are played down; 0 is cross-entropy.
        alpha: a weight a class, in the sigmoid form of no and of yes; one number is the weight of a yes (sigmoid form;
            a no gets the rest to 1) or of everything (softmax form); None weighs nothing.
        ignore_index: target of places that do not count.

    Shapes:
        softmax form: prediction (B, K), (B, T, K) or (B, K, H, W), target its class numbers;
        sigmoid form: prediction (B,), (B, 1) or (B, …), target of as many values, 0 or 1.

    Raises:
        ConfigError: (in a step) not as many weights as classes; shapes that do not fit.
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
        if prediction.numel() == target.numel():
            scores, yes = aligned(prediction, target)
            counted = yes != self.ignore_index
            values = self._sigmoid(scores, yes.where(counted, 0.0)) * counted
        else:
            rows, classes = classes_last(wide(prediction), target)
            counted = classes != self.ignore_index
            values = self._softmax(rows, classes.where(counted, 0)) * counted
        if self.reduction == "mean":
            return values.sum() / counted.sum().clamp_min(1)
        return reduced(values, self.reduction)

    def _sigmoid(self, scores: Tensor, yes: Tensor) -> Tensor:
        surprise = F.binary_cross_entropy_with_logits(scores, yes, reduction="none")
        values = (1 - torch.exp(-surprise)) ** self.gamma * surprise
        if self.alpha is None:
            return values
        no_weight, yes_weight = self._weights(2) if isinstance(self.alpha, list) else (1 - self.alpha, self.alpha)
        return values * (yes_weight * yes + no_weight * (1 - yes))

    def _softmax(self, scores_NK: Tensor, classes_N: Tensor) -> Tensor:
        surprise_N = F.cross_entropy(scores_NK, classes_N, reduction="none")
        values_N = (1 - torch.exp(-surprise_N)) ** self.gamma * surprise_N
        if self.alpha is None:
            return values_N
        if isinstance(self.alpha, list):
            return values_N * torch.tensor(self._weights(scores_NK.shape[1])).to(values_N)[classes_N]
        return values_N * self.alpha

    def _weights(self, classes: int) -> list[float]:
        assert isinstance(self.alpha, list)
        if len(self.alpha) != classes:
            template = "loss.alpha has {got} numbers for {wanted} classes; give one a class"
            raise ConfigError(template, path="loss.alpha", got=len(self.alpha), wanted=classes)
        return self.alpha
