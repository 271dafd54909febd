"""Dice loss: one minus the overlap of predicted and true area, which does not care how small the area is.

Milletari et al., "V-Net", 2016. Differs from the paper: areas are plain sums, not sums of squares.
Letters: B batch, K classes, P places (pixels, voxels).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.core.schemas import NonNegative
from netwright.losses.base import Loss, Reduction, aligned, class_axis, reduced, wide

__all__ = ["Dice"]


class Dice(Loss):
    """`1 - (2 Σ p t + s) / (Σ p + Σ t + s)`, an example and class, then the mean.

    Args:
        smooth: s, which makes mistakes about small areas cost less; nothing said of an area that is not there costs 0.
        background: whether class 0 counts.
        ignore_index: target of places that do not count.

    Shapes:
        prediction (B, K, …) raw scores, target (B, …) class numbers: softmax over K;
        prediction (B, 1, …) or (B, …) and a target of as many values: sigmoid.
        `none` gives (B, K), or (B, 1) for a single area.
    """

    expects = "logits"
    target_kind = "class"

    def __init__(
        self,
        *,
        smooth: NonNegative = 1.0,
        background: bool = True,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.smooth = smooth
        self.background = background
        self.ignore_index = ignore_index

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        share_BKP, truth_BKP = self._areas(wide(prediction), target)
        doubled = 2 * (share_BKP * truth_BKP).sum(2) + self.smooth
        total = share_BKP.sum(2) + truth_BKP.sum(2) + self.smooth
        overlap_BK = torch.where(total > 0, doubled / total.clamp_min(torch.finfo(total.dtype).eps), 1.0)
        return reduced(1 - overlap_BK, self.reduction)

    def _areas(self, scores: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        counted_B1P = (target != self.ignore_index).reshape(len(target), -1)[:, None]
        if scores.numel() == target.numel():
            scores, truth = aligned(scores, target)
            areas = scores.sigmoid().flatten(1)[:, None], truth.flatten(1)[:, None]
            return areas[0] * counted_B1P, areas[1].where(counted_B1P, 0.0)
        axis = class_axis(scores, target)
        batch, count = len(scores), scores.shape[axis]
        share_BKP = scores.softmax(axis).movedim(axis, 1).reshape(batch, count, -1)
        codes_BP = target.long().reshape(batch, -1).where(counted_B1P[:, 0], 0)
        truth_BKP: Tensor = F.one_hot(codes_BP, count).movedim(2, 1)
        first = 0 if self.background else 1
        return share_BKP[:, first:] * counted_B1P, truth_BKP[:, first:].to(share_BKP.dtype) * counted_B1P
