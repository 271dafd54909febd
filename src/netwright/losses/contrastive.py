"""Contrastive loss: of all pairs in the batch, the true partner is to be recognised.

InfoNCE: van den Oord et al., "Representation learning with contrastive predictive coding", 2018. Both ways, image to
text and text to image: Radford et al., "Learning transferable visual models from natural language supervision" (CLIP),
2021. Several partners, all of one class: Khosla et al., "Supervised contrastive learning", 2020; with two views of each
picture as the only two of their kind it is NT-Xent of Chen et al., "A simple framework for contrastive learning of
visual representations" (SimCLR), 2020. Letters: B pairs or examples, D width of the embeddings.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.core.errors import ConfigError
from netwright.core.schemas import Positive
from netwright.losses.base import Loss, Reduction, demand, products, reduced, wide

__all__ = ["InfoNCE"]


class InfoNCE(Loss):
    """Cross-entropy of each row's partner among the batch; the k-th of one side belongs to the k-th of the other.

    With kinds as targets, the partners of an example are all others of its kind: the mean of their cross-entropies, and
    over the examples that have any (0 where none has).

    Args:
        temperature: divides cosine similarities; not used where the network gives the scores (CLIP learns its own).
        symmetric: the mean of both ways, or only from the first side to the second; without meaning where kinds are
            given.

    Shapes: prediction (B, B) scores of all pairs or a tuple of two embeddings (B, D), target None; or one embedding
    (B, D) with target (B,), whose like are of a kind. `none` gives (B,), of kinds a value an example with a partner.

    Raises:
        ConfigError: scores that are not square, or kinds that do not fit the embeddings.
    """

    expects = "logits"
    target_kind = "pair"

    def __init__(self, *, temperature: Positive = 0.07, symmetric: bool = True, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.temperature = temperature
        self.symmetric = symmetric

    def forward(self, prediction: Tensor | tuple[Tensor, Tensor], target: Tensor | None = None) -> Tensor:
        """The loss of a batch."""
        if isinstance(prediction, Tensor) and target is not None:
            return self._by_kind(prediction, target)
        scores_BB = self._scores(prediction)
        if scores_BB.dim() != 2 or scores_BB.shape[0] != scores_BB.shape[1]:
            template = "loss: contrastive wants scores of all pairs (B, B) or a tuple of two embeddings, got {got}"
            raise ConfigError(template, path="loss", got=tuple(scores_BB.shape))
        partner_B = torch.arange(len(scores_BB), device=scores_BB.device)
        there = F.cross_entropy(scores_BB, partner_B, reduction=self.reduction)
        if not self.symmetric:
            return there
        return (there + F.cross_entropy(scores_BB.T, partner_B, reduction=self.reduction)) / 2

    def _by_kind(self, embedding_BD: Tensor, kind_B: Tensor) -> Tensor:
        fits = embedding_BD.dim() == 2 and kind_B.shape in (embedding_BD.shape[:1], (len(embedding_BD), 1))
        demand(fits, "contrastive", "embeddings (B, D) and kinds (B,)", embedding_BD, kind_B)
        unit_BD = F.normalize(wide(embedding_BD), dim=1)
        itself_BB = torch.eye(len(unit_BD), dtype=torch.bool, device=unit_BD.device)
        like_BB = (kind_B.view(-1, 1) == kind_B.view(1, -1)) & ~itself_BB
        scores_BB = products(unit_BD, unit_BD) / self.temperature
        # The lowest number rather than minus infinity: alone in its batch, an example still has a finite softmax.
        said_BB = F.log_softmax(scores_BB.masked_fill(itself_BB, torch.finfo(scores_BB.dtype).min), dim=1)
        partners_B = like_BB.sum(1)
        usable_B = partners_B > 0
        values = -said_BB.masked_fill(~like_BB, 0.0).sum(1)[usable_B] / partners_B[usable_B]
        # A sum over nothing keeps the graph; a mean over nothing would be NaN.
        return values.sum() if self.reduction == "mean" and values.numel() == 0 else reduced(values, self.reduction)

    def _scores(self, prediction: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        if isinstance(prediction, Tensor):
            return wide(prediction)
        first_BD, second_BD = (F.normalize(wide(side), dim=1) for side in prediction)
        return products(first_BD, second_BD) / self.temperature
