"""Kullback-Leibler divergence from a target distribution: for soft labels, and for a student who follows a teacher.

With `temperature` τ both are flattened by it and the loss is multiplied by τ², so that gradients keep their size
(Hinton et al., "Distilling the knowledge in a neural network", 2015).
"""

from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from netwright.core.schemas import Positive
from netwright.losses.base import Loss, Reduction, classes_last, demand, reduced

__all__ = ["KLDivergence"]


class KLDivergence(Loss):
    """`Σ_k t_k (log t_k - log softmax(s)_k)`, an example.

    Args:
        targets: whether the targets are `probabilities`, or raw scores (`logits`) of a teacher.
        temperature: divides the scores before the softmax, on both sides (probabilities stay as they are).

    Shapes: prediction (B, K), (B, T, K) or (B, K, H, W) raw scores; target the same shape. `none` gives a value a row.
    """

    expects = "logits"
    target_kind = "distribution"
    soft_targets = True

    def __init__(
        self,
        *,
        targets: Literal["probabilities", "logits"] = "probabilities",
        temperature: Positive = 1.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.targets = targets
        self.temperature = temperature

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        demand(target.is_floating_point(), "kl", "distributions as targets", prediction, target)
        scores_NK, target_NK = classes_last(prediction, target)
        said_NK = F.log_softmax(scores_NK / self.temperature, 1)
        if self.targets == "logits":
            wanted_NK = F.log_softmax(target_NK / self.temperature, 1)
            values = F.kl_div(said_NK, wanted_NK, reduction="none", log_target=True)
        else:
            values = F.kl_div(said_NK, target_NK, reduction="none")
        return reduced(values.sum(1) * self.temperature**2, self.reduction)
