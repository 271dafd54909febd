"""A plain network that overlooks nothing: tokens and numbers by their place, and what short stretches hold anywhere.

It is the yardstick for what examples allow, so it has to see order, repetition and neighbourhood alike; and a random
rule of the same inputs tells whether so many examples are enough for it to find one.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Plain", "planted", "tensors_of"]

_HIDDEN, _TABLE, _VOCABULARY = 64, 16, 20_000
_WIDEST = 4096  # numbers of an example that are looked at one by one
_CHANNELS, _WINDOW = 24, 3
_FINE = 256  # places; beyond them every second one is looked at
_PLACES, _UNITS = 12, 16


def tensors_of(inputs: Any) -> list[Tensor] | None:
    """Inputs as a list of tensors with one row an example; None for others."""
    parts = list(inputs) if isinstance(inputs, tuple) else [inputs]
    return parts if parts and all(isinstance(part, Tensor) and part.dim() for part in parts) else None


def _tokens(part: Tensor) -> bool:
    whole = not part.is_floating_point() and part.dtype != torch.bool and part.dim() <= 2
    return whole and int(part.min()) >= 0 and int(part.max()) < _VOCABULARY


class _OfTokens(nn.Module):
    """Embeddings one after the other, their mean, and the strongest answers of windows of three."""

    def __init__(self, sample: Tensor) -> None:
        super().__init__()
        length = sample.reshape(len(sample), -1).shape[1]
        self.table = nn.Embedding(int(sample.max()) + 1, _TABLE)
        self.windows = nn.Conv1d(_TABLE, _CHANNELS, _WINDOW, padding=1)
        self.placed = length * _TABLE <= _WIDEST
        self.width = _TABLE + _CHANNELS + length * _TABLE * self.placed

    def forward(self, part: Tensor) -> Tensor:
        """From (B, L) or (B,) to (B, width)."""
        known = self.table(part.reshape(len(part), -1).long().clamp(0, self.table.num_embeddings - 1))
        mean = known.mean(1) * known.shape[1] ** 0.5
        views = [mean, F.relu(self.windows(known.transpose(1, 2))).amax(2)]
        return torch.cat([*views, known.flatten(1)] if self.placed else views, 1)


class _OfNumbers(nn.Module):
    """Standardised numbers by place; for series and pictures also the mean and top answers of small windows."""

    def __init__(self, sample: Tensor) -> None:
        super().__init__()
        flat = sample.reshape(len(sample), -1).float()
        self.mean, self.std = flat.mean(0), flat.std(0, correction=0)
        self.std = torch.where(self.std > 1e-6, self.std, torch.ones_like(self.std))
        self.placed = flat.shape[1] <= _WIDEST
        kind = {3: nn.Conv1d, 4: nn.Conv2d}.get(sample.dim())
        self.turned = sample.dim() == 3 and sample.shape[1] >= sample.shape[2]  # (B, time, features)
        channels = sample.shape[2 if self.turned else 1] if kind else 1
        apart = 2 if flat.shape[1] > _FINE * channels else 1
        self.windows = kind(channels, _CHANNELS, _WINDOW, stride=apart, padding=1) if kind else None
        self.second = kind(_CHANNELS, _CHANNELS, _WINDOW, padding=1) if kind else None
        self.width = flat.shape[1] * self.placed + 2 * _CHANNELS * (kind is not None)

    def forward(self, part: Tensor) -> Tensor:
        """From (B, ...) to (B, width)."""
        flat = (part.reshape(len(part), -1).float() - self.mean) / self.std
        if self.windows is None or self.second is None:
            return flat
        grid = flat.reshape(part.shape)
        seen = F.relu(self.windows(grid.transpose(1, 2) if self.turned else grid))
        seen = F.relu(self.second(seen)).flatten(2)
        return torch.cat([seen.mean(2), seen.amax(2), *([flat] if self.placed else [])], 1)


class Plain(nn.Module):
    """Two hidden layers on all views of all inputs."""

    def __init__(self, sample: Any, outputs: int) -> None:
        super().__init__()
        parts = tensors_of(sample) or []
        self.views = nn.ModuleList(_OfTokens(part) if _tokens(part) else _OfNumbers(part) for part in parts)
        width = sum(view.width for view in self.views)  # type: ignore[misc]
        self.body = nn.Sequential(
            nn.Linear(width, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, outputs)
        )

    def forward(self, inputs: Any) -> Tensor:
        """From a tensor or a tuple of them to (B, outputs)."""
        parts = tensors_of(inputs) or []
        seen = [view(part) for view, part in zip(self.views, parts, strict=True)]
        return self.body(torch.cat(seen, 1))  # type: ignore[no-any-return]


def planted(inputs: Any, columns: int) -> Tensor:
    """Scores by a random rule of the inputs, each column of mean 0 and variance 1."""
    chance = torch.Generator().manual_seed(11)
    total = torch.stack([_rule(part.detach().cpu(), columns, chance) for part in tensors_of(inputs) or []]).sum(0)
    return (total - total.mean(0)) / total.std(0, correction=0).clamp(min=1e-9)


def _rule(part: Tensor, columns: int, chance: torch.Generator) -> Tensor:
    """A token counts by its place; numbers go through a layer of tanh, from their main directions if they are many."""
    if _tokens(part):
        flat = part.reshape(len(part), -1).long()
        moving = (flat != flat[:1]).any(0).nonzero().reshape(-1)
        places = moving[torch.randperm(len(moving), generator=chance)[:_PLACES]].tolist()
        worth = torch.randn(len(places), int(flat.max()) + 1, columns, generator=chance)
        told = [worth[at][flat[:, place]] for at, place in enumerate(places)]
        return torch.stack(told).sum(0) if told else torch.zeros(len(flat), columns)
    flat = part.reshape(len(part), -1).float().nan_to_num(0.0, 0.0, 0.0)
    flat = (flat - flat.mean(0)) / flat.std(0, correction=0).clamp(min=1e-6)
    if flat.shape[1] > _UNITS:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(11)
            flat = flat @ torch.pca_lowrank(flat, _PLACES)[2]
        flat = flat / flat.std(0, correction=0).clamp(min=1e-6)
    inner = torch.tanh(flat @ torch.randn(flat.shape[1], _UNITS, generator=chance) / flat.shape[1] ** 0.5)
    return inner @ torch.randn(_UNITS, columns, generator=chance)
