"""From the states of a sequence to one vector: the last, the mean, the largest, or those that are worth attending to.

Attention: Yang et al., 2016, "Hierarchical attention networks for document classification", section 2.2; the additive
form of Bahdanau et al., 2015, against one trained query. ``B`` batch, ``T`` time, ``D`` width.
"""

from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["AttentionPooling", "PoolingName", "SequencePooling"]

PoolingName = Literal["last", "mean", "max", "attention"]


class AttentionPooling(nn.Module):
    """sum_t a_t h_t with a = softmax(v' tanh(W h_t + b)).

    Shapes:
        [B, T, D], mask [B, T] True where there is something to look at -> [B, D]; weights: [B, T]
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.project = nn.Linear(hidden_size, hidden_size)
        self.query = nn.Linear(hidden_size, 1, bias=False)

    def weights(self, hidden_BTD: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        """How much each place counts; they sum to 1."""
        scores_BT: Tensor = self.query(torch.tanh(self.project(hidden_BTD)))[:, :, 0]
        if mask_BT is not None:
            scores_BT = scores_BT.masked_fill(~mask_BT, torch.finfo(scores_BT.dtype).min)
        return scores_BT.softmax(dim=1)

    def forward(self, hidden_BTD: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        weights_BT = self.weights(hidden_BTD, mask_BT)
        return torch.matmul(weights_BT[:, None].to(hidden_BTD.dtype), hidden_BTD)[:, 0]


class SequencePooling(nn.Module):
    """One of the four by name. A row whose mask is all False gives finite numbers that mean nothing.

    directions: 2 if the second half of D was read backwards; "last" is then each half's own last place.

    Shapes:
        [B, T, D], mask [B, T] -> [B, D]
    """

    def __init__(self, kind: PoolingName, hidden_size: int, directions: int = 1) -> None:
        super().__init__()
        self.kind = kind
        self.directions = directions
        self.attention = AttentionPooling(hidden_size) if kind == "attention" else None

    def forward(self, hidden_BTD: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        if self.attention is not None:
            out: Tensor = self.attention(hidden_BTD, mask_BT)
            return out
        if self.kind == "last":
            return _last(hidden_BTD, mask_BT, self.directions)
        return _mean(hidden_BTD, mask_BT) if self.kind == "mean" else _max(hidden_BTD, mask_BT)


def _mean(hidden_BTD: Tensor, mask_BT: Tensor | None) -> Tensor:
    if mask_BT is None:
        return hidden_BTD.mean(dim=1)
    kept_BTD = hidden_BTD.masked_fill(~mask_BT[:, :, None], 0)
    return kept_BTD.sum(dim=1) / mask_BT.sum(dim=1, keepdim=True).clamp(min=1)


def _max(hidden_BTD: Tensor, mask_BT: Tensor | None) -> Tensor:
    if mask_BT is None:
        return hidden_BTD.amax(dim=1)
    largest_BD = hidden_BTD.masked_fill(~mask_BT[:, :, None], torch.finfo(hidden_BTD.dtype).min).amax(dim=1)
    return largest_BD.masked_fill(~mask_BT.any(dim=1, keepdim=True), 0)


def _last(hidden_BTD: Tensor, mask_BT: Tensor | None, directions: int) -> Tensor:
    parts = hidden_BTD.chunk(directions, dim=2)
    if mask_BT is None:
        return torch.cat([part[:, -step] for step, part in zip((1, 0), parts, strict=False)], dim=1)
    marks_BT = mask_BT.long()
    first_B, last_B = marks_BT.argmax(dim=1), marks_BT.shape[1] - 1 - marks_BT.flip(1).argmax(dim=1)
    return torch.cat([_place(part, at_B) for part, at_B in zip(parts, (last_B, first_B), strict=False)], dim=1)


def _place(hidden_BTD: Tensor, place_B: Tensor) -> Tensor:
    return hidden_BTD.gather(1, place_B[:, None, None].expand(-1, 1, hidden_BTD.shape[2]))[:, 0]
