"""How well examples agree with the pattern that the training data show: pictures that were turned, shifted, covered or
whose channels were swapped agree less, however alike their means and spreads are.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Agreement", "flatness", "unlike"]

_ENOUGH, _CLASS = 24, 6  # examples of a side, and of a class
_SURE = 6.0  # standard errors
_CLEAR = 0.05  # correlation of training examples with the pattern, below which there is none
_MOST, _CELLS = 1024, 4_000_000  # examples and numbers of a side that are looked at


@dataclass(frozen=True)
class Agreement:
    """A mean measure of training examples and of validation examples."""

    training: float
    validation: float


def unlike(one: Tensor, two: Tensor, labels: Tensor | None, others: Tensor | None, least: float) -> float | None:
    """How well validation examples agree with their class's pattern, over how well training examples do, where that is
    less than `least` and beyond chance; else None. Without labels all examples share one pattern.

    Half of the training examples make the patterns, the other half are what validation is compared with.
    """
    (one, labels), (two, others) = _spread(one, labels), _spread(two, others)
    if len(two) < _ENOUGH or len(one) < 2 * _ENOUGH:
        return None
    known = labels is not None and others is not None
    mine = labels if known and labels is not None else torch.zeros(len(one), device=one.device)
    theirs = others if known and others is not None else torch.zeros(len(two), device=two.device)
    order = torch.randperm(len(one), generator=torch.Generator().manual_seed(0)).to(one.device)
    half, rest = order[: len(one) // 2], order[len(one) // 2 :]
    middle = one[half].mean(0)
    for away in (middle.mean(), middle) if known else (middle.mean(),):  # a whole picture; what sets its class apart
        classes = [
            (one[half][mine[half] == label], one[rest][mine[rest] == label], two[theirs == label])
            for label in mine[half].unique()
        ]
        own, held = _agreed(classes, away)
        if _less(own, held, least):
            return float(held.mean())
    return None


def _agreed(classes: list[tuple[Tensor, Tensor, Tensor]], away: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines of examples with the pattern of their class's first part, each class counted by what is usual for it."""
    own, held = [away.new_zeros(0)], [away.new_zeros(0)]
    for parts in classes:
        if min(len(part) for part in parts) < _CLASS:
            continue
        pattern = parts[0].mean(0) - away
        here, there = (torch.cosine_similarity(part - away, pattern, dim=1) for part in parts[1:])
        if (usual := float(here.mean())) > _CLEAR:
            own.append(here / usual)
            held.append(there / usual)
    return torch.cat(own), torch.cat(held)


def _spread(rows: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """As many rows as can be looked at quickly, evenly spread, with their labels."""
    count = min(len(rows), _MOST, max(64, _CELLS * len(rows) // max(rows.numel(), 1)))
    index = torch.linspace(0, len(rows) - 1, count).long().to(rows.device)
    fits = labels is not None and len(labels) == len(rows)
    return rows[index].flatten(1).float(), labels[index.to(labels.device)] if fits and labels is not None else None


def _less(own: Tensor, held: Tensor, least: float) -> bool:
    if min(len(own), len(held)) < _ENOUGH:
        return False
    return float(held.mean()) < least and float(own.mean() - held.mean()) > _SURE * _chance(own, held)


def _chance(one: Tensor, two: Tensor) -> float:
    """The standard error of a difference of means."""
    return math.sqrt(float(one.var()) / len(one) + float(two.var()) / len(two))


def flatness(one: Tensor, two: Tensor) -> Agreement | None:
    """The share of neighbouring cells that are exactly equal: padding, covering and turning fill in one value."""
    own, held = (_flat(_spread(part, None)[0].view(-1, *part.shape[1:])) for part in (one, two))
    if min(len(own), len(held)) < _ENOUGH:
        return None
    mean, other = float(own.mean()), float(held.mean())
    return Agreement(mean, other) if other > 2 * mean + 0.02 and other - mean > _SURE * _chance(own, held) else None


def _flat(pictures: Tensor) -> Tensor:
    return (pictures[..., 1:] == pictures[..., :-1]).flatten(1).double().mean(1)
