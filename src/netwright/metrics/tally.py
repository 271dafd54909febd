"""Running sums on the device, and what is made of them; the base of all metric sets' insides."""

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["Tally", "divide"]


class Tally(ABC):
    """Sums and, for metrics of ranks, kept scores; subclasses say what a batch adds and what the figures are."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.kept: dict[str, list[Tensor]] = {}

    @abstractmethod
    def update(self, predictions: Tensor, targets: Tensor | None) -> None:
        """Take one batch in."""

    @abstractmethod
    def figures(self, names: Iterable[str]) -> dict[str, float]:
        """The metrics by name, from the sums."""

    def reset(self) -> None:
        """Forget everything."""
        self.sums.clear()
        self.kept.clear()

    def add(self, name: str, value: Tensor) -> None:
        """Add to a sum, which lives on the device of its first value."""
        if name in self.sums:
            self.sums[name] += value
        else:
            self.sums[name] = value.clone()

    def keep(self, name: str, value: Tensor) -> None:
        """Keep a batch's values as they are."""
        self.kept.setdefault(name, []).append(value)

    def joined(self, name: str) -> Tensor:
        """All kept values, in one."""
        return torch.cat(self.kept[name])


def divide(above: Tensor, below: Tensor) -> Tensor:
    """`above / below` in float64, and 0 where nothing is below."""
    above, below = above.double(), below.double()
    return torch.where(below != 0, above / below.where(below != 0, torch.ones_like(below)), torch.zeros_like(above))
