"""What every augmentation shares: where its chance comes from, and what it is asked to do.

Letters: B batch, C channels, H height, W width, K classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from netwright.core import seeds
from netwright.core.errors import ConfigError
from netwright.data.masks import IGNORED

__all__ = ["Draws", "Geometric", "ImageAugmentation", "Mixing", "Photometric", "TextAugmentation", "choose"]

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

    def on_masks(self, masks_BHW: Tensor, draws: Draws) -> Tensor:
        """The same change of masks, whose `draws` decide as those for the pictures do.

        Shapes: (B, H, W) codes -> the same.

        Raises:
            ConfigError: it is not known what becomes of a mask.
        """
        template = "augment: {name} does not say what becomes of masks; leave it out, or derive it from Geometric"
        raise ConfigError(template, path="augment", name=type(self).__name__)


class Photometric(ImageAugmentation):
    """A change of values that moves nothing: masks stay as they are."""

    def on_masks(self, masks_BHW: Tensor, draws: Draws) -> Tensor:
        """The masks themselves."""
        return masks_BHW


class Geometric(ImageAugmentation):
    """A change of places, the same for pictures and masks."""

    @abstractmethod
    def move(self, x_BCHW: Tensor, draws: Draws, nearest: bool) -> Tensor:
        """Move pixels; what comes in from outside is 0, and with `nearest` no new value arises.

        Shapes: (B, C, H, W) floats -> the same; the argument is not changed.
        """

    def __call__(self, x_BCHW: Tensor, draws: Draws) -> Tensor:
        """Shapes: (B, C, H, W) -> (B, C, H, W)."""
        return self.move(x_BCHW, draws, nearest=False)

    def on_masks(self, masks_BHW: Tensor, draws: Draws) -> Tensor:
        """Move the codes; places that come in from outside have no truth."""
        moved = self.move(masks_BHW[:, None].float() + 1, draws, nearest=True)[:, 0].round() - 1
        return torch.where(moved < 0, IGNORED, moved).to(masks_BHW.dtype)


class Mixing(ABC):
    """A blend of each example with the next of its batch, inputs and targets alike."""

    needs_images = False

    @abstractmethod
    def __call__(self, x: Tensor, targets: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Shapes: x (B, ...) floats, targets (B, ...) floats (one-hot for classes) -> both, of the same shapes."""

    def with_masks(self, x_BCHW: Tensor, masks_BHW: Tensor, draws: Draws) -> tuple[Tensor, Tensor] | None:
        """The same for pictures with masks; None where codes of classes cannot be blended so.

        Shapes: (B, C, H, W) and (B, H, W) -> both.
        """
        return None


class TextAugmentation(ABC):
    """A change of texts that keeps their targets, decided for each example on its own."""

    def prepare(self, texts: Sequence[str]) -> None:
        """All texts of training, before the first of them is changed; for what is made once."""

    @abstractmethod
    def __call__(self, texts: Sequence[str], chances: Sequence[int]) -> list[str]:
        """Change texts.

        Args:
            chances: a seed an example, from which alone its change follows.
        """


def choose(yes: Tensor, changed: Tensor, kept: Tensor) -> Tensor:
    """Examples of `changed` where `yes`, else of `kept`. Shapes: yes (B,) bool; the others (B, ...)."""
    return torch.where(yes.view(-1, *(1,) * (kept.ndim - 1)), changed, kept)
