"""Binary cross-entropy of raw scores: for yes/no questions, and for several labels an example."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.core.errors import ConfigError
from netwright.core.schemas import Count, NonNegative, Probability
from netwright.losses.base import Loss, Reduction, aligned, reduced

__all__ = ["BinaryCrossEntropy"]


class BinaryCrossEntropy(Loss):
    """Sigmoid and cross-entropy in one, `log(1 + exp(-s))` for a yes and `log(1 + exp(s))` for a no.

    Args:
        pos_weight: weight of a yes (one number, or one a label), or `balanced`: number of noes over number of yeses.
        class_counts: examples of no and of yes; bound from the data, needed for `balanced`.
        label_smoothing: share of the target that is moved towards one half.
        ignore_index: target of places that do not count; bound from masks.

    Shapes: prediction (B,), (B, 1), (B, L) or (B, …) raw scores; target the same, 0 or 1 or in between.

    Raises:
        ConfigError: `balanced` without the two counts; shapes that do not fit.
    """

    expects = "logits"
    target_kind = "binary"
    soft_targets = True
    pos_weight: Tensor | None

    def __init__(
        self,
        *,
        pos_weight: Literal["balanced"] | NonNegative | list[NonNegative] | None = None,
        class_counts: list[Count] | None = None,
        label_smoothing: Probability = 0.0,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index
        if pos_weight == "balanced":
            if class_counts is None or len(class_counts) != 2:
                template = "loss.pos_weight=balanced needs two classes with counts, got {got}; write it as a number"
                raise ConfigError(template, path="loss.pos_weight", got=class_counts)
            pos_weight = class_counts[0] / max(class_counts[1], 1)
        made = None if pos_weight is None else torch.tensor(pos_weight, dtype=torch.float32)
        self.register_buffer("pos_weight", made, persistent=False)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        scores, wanted = aligned(prediction, target)
        counted = None if self.ignore_index is None else wanted != self.ignore_index
        wanted = wanted if counted is None else wanted.where(counted, 0.0)
        if self.label_smoothing:
            wanted = wanted * (1 - self.label_smoothing) + 0.5 * self.label_smoothing
        weight = self.pos_weight if self.pos_weight is None else self.pos_weight.to(scores)
        if counted is None:
            return F.binary_cross_entropy_with_logits(scores, wanted, pos_weight=weight, reduction=self.reduction)
        values = F.binary_cross_entropy_with_logits(scores, wanted, pos_weight=weight, reduction="none") * counted
        mean = self.reduction == "mean"
        return values.sum() / counted.sum().clamp_min(1) if mean else reduced(values, self.reduction)
