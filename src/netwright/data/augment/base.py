"""What every augmentation shares: where its chance comes from, and what it is asked to do.

Letters: B batch, C channels, H height, W width, K classes.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from netwright.core import seeds

__all__ = ["Draws", "ImageAugmentation", "Mixing", "choose"]

_STREAMS = 0xA06000  # apart from the streams of other rooms
_PER_PLACE = 16  # decisions that one augmentation may take for an example


class Draws:
    """The random decisions of one augmentation about the examples of a batch: a pure function of (seed, epoch, index).

    Args:
        place: position of the augmentation in its list, so that two of a kind decide differently.
    """

    def __init__(self, seed: int, epoch: int, index: Tensor, place: int) -> None:
        self._seed, self._epoch, self._index = seed, epoch, index
        self._stream = _STREAMS + place * _PER_PLACE

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        """One number an example, in [low, high). Shapes: -> (B,)."""
        return seeds.uniform(self._seed, self._epoch, self._index, self._next())[:, 0] * (high - low) + low

    def integer(self, count: int) -> Tensor:
        """One of 0 … count-1 an example. Shapes: -> (B,) int64."""
        return (self.uniform() * count).long()

    def chance(self, p: float) -> Tensor:
        """Yes with probability `p`. Shapes: -> (B,) bool."""
        return self.uniform() < p

    def normal(self, n: int) -> Tensor:
        """Standard normal numbers. Shapes: -> (B, n)."""
        return seeds.normal(self._seed, self._epoch, self._index, self._next(), n)

    def beta(self, alpha: float) -> Tensor:
        """Numbers from Beta(alpha, alpha), exactly and without rejection.

        The polar method of Bailey ("Polar generation of random variates with the t-distribution", 1994): a t variable
        with 2 alpha degrees of freedom, mapped to (0, 1).

        Shapes: -> (B,).
        """
        # With w = u^(1/alpha), t² / (2 alpha + t²) = (1 - w) cos² / (w + (1 - w) cos²), which overflows nowhere.
        w = (1.0 - self.uniform()).pow(1.0 / alpha)
        cosine = torch.cos(self.uniform(0.0, 2.0 * torch.pi))
        part = (1.0 - w) * cosine.square()
        return 0.5 + 0.5 * cosine.sign() * torch.sqrt(part / (w + part))

    def _next(self) -> int:
        self._stream += 1
        return self._stream


class ImageAugmentation(ABC):
    """A change of pictures that keeps their targets, decided for each example on its own."""

    @abstractmethod
    def __call__(self, x_BCHW: Tensor, draws: Draws) -> Tensor:
        """Shapes: x (B, C, H, W) floats in [0, 1] -> the same, in [0, 1]; the argument is not changed."""

    def misfit(self, shape_CHW: tuple[int, int, int]) -> str | None:
        """Why pictures of this shape cannot be augmented so; None where they can."""
        return None


class Mixing(ABC):
    """A blend of each example with the next of its batch, inputs and targets alike."""

    needs_images = False

    @abstractmethod
    def __call__(self, x: Tensor, targets: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Shapes: x (B, ...) floats, targets (B, ...) floats (one-hot for classes) -> both, of the same shapes."""


def choose(yes: Tensor, changed: Tensor, kept: Tensor) -> Tensor:
    """Examples of `changed` where `yes`, else of `kept`. Shapes: yes (B,) bool; the others (B, ...)."""
    return torch.where(yes.view(-1, *(1,) * (kept.ndim - 1)), changed, kept)
