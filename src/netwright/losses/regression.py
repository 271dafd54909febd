"""Losses of numbers: squared, absolute, and between the two. (B, 1) and (B,) are the same here and never broadcast."""

from torch import Tensor
from torch.nn import functional as F

from netwright.core.schemas import Positive
from netwright.losses.base import Loss, Reduction, aligned

__all__ = ["Huber", "MeanAbsoluteError", "MeanSquaredError"]


class MeanSquaredError(Loss):
    """`(p - t)²`: the mean of the targets is its best answer. Shapes: prediction and target (B,) or (B, …)."""

    expects = "values"
    target_kind = "number"
    soft_targets = True

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        return F.mse_loss(*aligned(prediction, target), reduction=self.reduction)


class MeanAbsoluteError(Loss):
    """`|p - t|`: the median of the targets is its best answer. Shapes: prediction and target (B,) or (B, …)."""

    expects = "values"
    target_kind = "number"
    soft_targets = True

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        return F.l1_loss(*aligned(prediction, target), reduction=self.reduction)


class Huber(Loss):
    """Half the square within `delta`, a straight line beyond it (Huber, 1964): outliers pull with a bounded force.

    Args:
        delta: where the line begins, in the unit of the (standardised) targets.

    Shapes: prediction and target (B,) or (B, …).
    """

    expects = "values"
    target_kind = "number"
    soft_targets = True

    def __init__(self, *, delta: Positive = 1.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.delta = delta

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        return F.huber_loss(*aligned(prediction, target), reduction=self.reduction, delta=self.delta)
