"""Contrastive loss: of all pairs in the batch, the true partner is to be recognised.

InfoNCE: van den Oord et al., "Representation learning with contrastive predictive coding", 2018. Both ways, image to
text and text to image: Radford et al., "Learning transferable visual models from natural language supervision" (CLIP),
2021. Letters: B pairs, D width of the embeddings.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.core.errors import ConfigError
from netwright.core.schemas import Positive
from netwright.losses.base import Loss, Reduction, wide

__all__ = ["InfoNCE"]


class InfoNCE(Loss):
    """Cross-entropy of each row's partner among the batch; the k-th of one side belongs to the k-th of the other.

    Args:
        temperature: divides cosine similarities; not used where the network gives the scores (CLIP learns its own).
        symmetric: the mean of both ways, or only from the first side to the second.

    Shapes: prediction (B, B) scores of all pairs, or a tuple of two embeddings (B, D); target is not looked at (None).
    `none` gives (B,).

    Raises:
        ConfigError: scores that are not square.
    """

    expects = "logits"
    target_kind = "pair"

    def __init__(self, *, temperature: Positive = 0.07, symmetric: bool = True, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.temperature = temperature
        self.symmetric = symmetric

    def forward(self, prediction: Tensor | tuple[Tensor, Tensor], target: Tensor | None = None) -> Tensor:
        """The loss of a batch."""
        scores_BB = self._scores(prediction)
        if scores_BB.dim() != 2 or scores_BB.shape[0] != scores_BB.shape[1]:
            template = "loss: contrastive wants scores of all pairs (B, B) or a tuple of two embeddings, got {got}"
            raise ConfigError(template, path="loss", got=tuple(scores_BB.shape))
        partner_B = torch.arange(len(scores_BB), device=scores_BB.device)
        there = F.cross_entropy(scores_BB, partner_B, reduction=self.reduction)
        if not self.symmetric:
            return there
        return (there + F.cross_entropy(scores_BB.T, partner_B, reduction=self.reduction)) / 2

    def _scores(self, prediction: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        if isinstance(prediction, Tensor):
            return wide(prediction)
        first_BD, second_BD = (F.normalize(wide(side), dim=1) for side in prediction)
        return first_BD @ second_BD.T / self.temperature
