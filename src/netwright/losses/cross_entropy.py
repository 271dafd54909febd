"""Cross-entropy of raw scores against classes: `-Σ_k t_k log softmax(s)_k`.

Label smoothing: Szegedy et al., "Rethinking the Inception architecture", 2016. Soft targets: Zhang et al., "mixup",
2018. Letters: B batch, K classes, T time.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.core.errors import ConfigError
from netwright.core.schemas import Count, NonNegative, Probability, Size
from netwright.losses.base import Loss, Reduction, classes_last

__all__ = ["CrossEntropy", "balanced_weights"]


class CrossEntropy(Loss):
    """Softmax cross-entropy, for one class an example.

    Args:
        label_smoothing: share of the target that is spread evenly over all classes.
        class_weights: a weight a class, or `balanced`: N / (K · examples of the class).
        class_counts: examples of each class in the training part; bound from the data, needed for `balanced`.
        num_classes: bound from the data; checks the number of weights.
        ignore_index: class number of places that do not count (class targets only).
        reduction: `mean` divides by the weights of the targets (by their number when they are soft), as torch does.

    Shapes:
        prediction (B, K), (B, T, K) or (B, K, H, W) raw scores; target without the K dimension as int, or with it as
        floats that sum to 1. Where both would fit, three dimensions are read as (B, T, K).

    Raises:
        ConfigError: weights that do not fit; shapes that do not fit.
    """

    expects = "logits"
    target_kind = "class"
    soft_targets = True
    weight: Tensor | None

    def __init__(
        self,
        *,
        label_smoothing: Probability = 0.0,
        class_weights: Literal["balanced"] | list[NonNegative] | None = None,
        class_counts: list[Count] | None = None,
        num_classes: Size | None = None,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index
        weights = balanced_weights(class_counts) if class_weights == "balanced" else class_weights
        if weights is not None and num_classes is not None and len(weights) != num_classes:
            template = "loss.class_weights has {got} numbers for {wanted} classes; give one a class"
            raise ConfigError(template, path="loss.class_weights", got=len(weights), wanted=num_classes)
        self._is_plain = not label_smoothing and weights is None and ignore_index == -100 and reduction == "mean"
        # Not persistent: a model's weights must not depend on how it was trained.
        self.register_buffer("weight", None if weights is None else torch.tensor(weights), persistent=False)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch; `none` gives a value an example or place, in the shape of the class targets."""
        usual = self._is_plain and prediction.shape[:-1] == target.shape and target.dim() == 1 < prediction.shape[-1]
        if usual and target.dtype == torch.int64 and prediction.dtype == torch.float32:
            return F.cross_entropy(prediction, target)  # no microsecond spent on the less usual
        places = target.shape if not target.is_floating_point() else None
        rows, classes = classes_last(prediction, target)
        weight = self.weight if self.weight is None else self.weight.to(rows)
        ignored = self.ignore_index if places is not None else -100
        values = F.cross_entropy(
            rows, classes, weight, ignore_index=ignored, reduction=self.reduction, label_smoothing=self.label_smoothing
        )
        if self.reduction == "mean" and places is not None:  # a batch without a place that counts costs nothing
            values = values.where((classes != ignored).any(), 0.0)
        return values.view(places) if self.reduction == "none" and places is not None else values


def balanced_weights(class_counts: list[int] | None) -> list[float]:
    """Weights under which every class counts the same; a class without examples is weighted as if it had one.

    Raises:
        ConfigError: the counts are not known.
    """
    if not class_counts:
        template = "loss.class_weights=balanced needs the examples of each class counted; write the weights as a list"
        raise ConfigError(template, path="loss.class_weights")
    total = sum(class_counts)
    return [total / (len(class_counts) * max(count, 1)) for count in class_counts]
