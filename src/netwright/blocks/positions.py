"""Absolute positions added to token embeddings: learned (GPT-2, BERT) and sinusoidal (Vaswani et al., 2017).

``T`` time, ``D`` width.
"""

import math

import torch
from torch import Tensor, nn

__all__ = ["LearnedPositions", "SinusoidalPositions"]


class LearnedPositions(nn.Module):
    """One trained vector a position.

    Shapes:
        (length, start) -> [length, D], the vectors of positions start .. start + length - 1
    """

    def __init__(self, context: int, hidden_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(context, hidden_size))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, length: int, start: int = 0) -> Tensor:
        return self.weight[start : start + length]


class SinusoidalPositions(nn.Module):
    """Fixed waves: channel 2i is sin(t / 10000^(2i/D)), channel 2i+1 the cosine of the same angle.

    Shapes:
        (length, start) -> [length, D], the vectors of positions start .. start + length - 1
    """

    weight: Tensor

    def __init__(self, context: int, hidden_size: int) -> None:
        super().__init__()
        time = torch.arange(context, dtype=torch.float32)[:, None]
        rate = torch.exp(torch.arange(0, hidden_size, 2, dtype=torch.float32) * (-math.log(10_000.0) / hidden_size))
        waves = torch.stack((torch.sin(time * rate), torch.cos(time * rate)), dim=2).flatten(1)
        # Computed, so not saved: a checkpoint holds only what was learned.
        self.register_buffer("weight", waves[:, :hidden_size], persistent=False)

    def forward(self, length: int, start: int = 0) -> Tensor:
        return self.weight[start : start + length]
