"""Triplet loss with mining inside the batch: like must be nearer than unlike, by a margin.

Hermans et al., "In defense of the triplet loss for person re-identification", 2017: for each anchor the farthest of its
kind and the nearest of another (batch-hard), or all triplets (batch-all). Semi-hard: Schroff et al., "FaceNet: a
unified embedding for face recognition and clustering", 2015. Letters: B batch, D width of the embedding, N pairs.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.core.schemas import NonNegative
from netwright.losses.base import Loss, Reduction, demand, products, reduced, wide

__all__ = ["Triplet", "distances"]


class Triplet(Loss):
    """`max(0, m + d(anchor, positive) - d(anchor, negative))`, d the Euclidean distance.

    Args:
        margin: m, in units of distance; None takes the soft margin `log(1 + exp(·))`.
        mining: `hard`, one triplet an anchor; `semi-hard`, one a pair that is alike, with the nearest of another kind
            that is farther than the positive (the farthest where none is); `all`, every triplet, averaged over those
            with a loss, as in the paper.
        normalize: put embeddings on the unit sphere first.

    Shapes: prediction (B, D) embeddings; target (B,) whose like are of a kind. Anchors without both a positive and a
    negative do not count; a batch without any gives 0, with a gradient of 0. `none` gives a value a triplet.
    """

    expects = "values"
    target_kind = "identity"

    def __init__(
        self,
        *,
        margin: NonNegative | None = 0.2,
        mining: Literal["hard", "semi-hard", "all"] = "hard",
        normalize: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.margin = margin
        self.mining = mining
        self.normalize = normalize

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        fits = prediction.dim() == 2 and target.shape in (prediction.shape[:1], (len(prediction), 1))
        demand(fits, "triplet", "embeddings (B, D) and kinds (B,)", prediction, target)
        embedding_BD = F.normalize(wide(prediction), dim=1) if self.normalize else wide(prediction)
        apart_BB = distances(embedding_BD)
        like_BB = target.view(-1, 1) == target.view(1, -1)
        other_BB = ~like_BB
        like_BB = like_BB & ~torch.eye(len(target), dtype=torch.bool, device=target.device)
        mined = {"hard": self._hard, "semi-hard": self._semi_hard, "all": self._all}[self.mining]
        values = mined(apart_BB, like_BB, other_BB)
        # A sum over nothing keeps the graph; a mean over nothing would be NaN.
        return values.sum() if self.reduction == "mean" and values.numel() == 0 else reduced(values, self.reduction)

    def _hard(self, apart_BB: Tensor, like_BB: Tensor, other_BB: Tensor) -> Tensor:
        farthest_B = apart_BB.masked_fill(~like_BB, -torch.inf).amax(1)
        nearest_B = apart_BB.masked_fill(~other_BB, torch.inf).amin(1)
        usable_B = like_BB.any(1) & other_BB.any(1)
        return self._hinge(farthest_B[usable_B] - nearest_B[usable_B])

    def _semi_hard(self, apart_BB: Tensor, like_BB: Tensor, other_BB: Tensor) -> Tensor:
        anchor_N, positive_N = (like_BB & other_BB.any(1, keepdim=True)).nonzero(as_tuple=True)
        near_N, apart_NB, other_NB = apart_BB[anchor_N, positive_N], apart_BB[anchor_N], other_BB[anchor_N]
        beyond_NB = other_NB & (apart_NB > near_N[:, None])
        nearest_N = apart_NB.masked_fill(~beyond_NB, torch.inf).amin(1)
        farthest_N = apart_NB.masked_fill(~other_NB, -torch.inf).amax(1)
        return self._hinge(near_N - torch.where(beyond_NB.any(1), nearest_N, farthest_N))

    def _all(self, apart_BB: Tensor, like_BB: Tensor, other_BB: Tensor) -> Tensor:
        gap_BBB = apart_BB[:, :, None] - apart_BB[:, None, :]
        values = self._hinge(gap_BBB[like_BB[:, :, None] & other_BB[:, None, :]])
        return values[values > 1e-9] if self.reduction == "mean" else values

    def _hinge(self, gap: Tensor) -> Tensor:
        return F.softplus(gap) if self.margin is None else F.relu(gap + self.margin)


def distances(embedding_BD: Tensor) -> Tensor:
    """Euclidean distances of all pairs, with a finite gradient where two embeddings agree. Shapes: (B, D) -> (B, B)."""
    centred_BD = embedding_BD - embedding_BD.detach().mean(0)  # far from the origin the sum below would lose digits
    square_B = centred_BD.square().sum(1)
    square_BB = square_B[:, None] + square_B[None, :] - 2 * products(centred_BD, centred_BD)
    return square_BB.clamp_min(1e-12).sqrt()
