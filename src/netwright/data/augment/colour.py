"""Augmentations that change values and move nothing: brightness, contrast, saturation, noise.

Each factor is drawn from [1 - amount, 1 + amount] for each example; results are clipped to [0, 1].
Letters: B batch, C channels, H height, W width.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

from netwright.core.messages import say
from netwright.core.schemas import Fraction
from netwright.data.augment.base import Draws, Photometric, choose

__all__ = ["Brightness", "Contrast", "Noise", "Saturation"]

_Amount = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True)
class Brightness(Photometric):
    """Multiply all values by one factor."""

    amount: _Amount = 0.2
    p: Fraction = 1.0

    def __call__(self, x_BCHW: Tensor, draws: Draws) -> Tensor:
        """Shapes: (B, C, H, W) -> (B, C, H, W)."""
        yes, factor = draws.chance(self.p), _factor(draws, self.amount)
        return choose(yes, (x_BCHW * factor).clamp_(0.0, 1.0), x_BCHW)


@dataclass(frozen=True)
class Contrast(Photometric):
    """Stretch or shrink the distance of all values to the mean grey of the picture."""

    amount: _Amount = 0.2
    p: Fraction = 1.0

    def __call__(self, x_BCHW: Tensor, draws: Draws) -> Tensor:
        """Shapes: (B, C, H, W) -> (B, C, H, W)."""
        yes, factor = draws.chance(self.p), _factor(draws, self.amount)
        mean = _grey(x_BCHW).mean((1, 2, 3), keepdim=True)
        return choose(yes, (mean + (x_BCHW - mean) * factor).clamp_(0.0, 1.0), x_BCHW)


@dataclass(frozen=True)
class Saturation(Photometric):
    """Stretch or shrink the distance of each pixel to its own grey; for pictures of three channels."""

    amount: _Amount = 0.2
    p: Fraction = 1.0

    def __call__(self, x_BCHW: Tensor, draws: Draws) -> Tensor:
        """Shapes: (B, 3, H, W) -> (B, 3, H, W)."""
        yes, factor = draws.chance(self.p), _factor(draws, self.amount)
        grey = _grey(x_BCHW)
        return choose(yes, (grey + (x_BCHW - grey) * factor).clamp_(0.0, 1.0), x_BCHW)

    def misfit(self, shape_CHW: tuple[int, int, int]) -> str | None:
        """Grey pictures have no saturation."""
        if shape_CHW[0] == 3:
            return None
        template = "changes colours, and the pictures have {channels} channel(s), not 3; leave it out"
        return say(template, channels=shape_CHW[0])


@dataclass(frozen=True)
class Noise(Photometric):
    """Add Gaussian noise of standard deviation `std` (of the range 0 to 1) to every value."""

    std: _Amount = 0.05
    p: Fraction = 1.0

    def __call__(self, x_BCHW: Tensor, draws: Draws) -> Tensor:
        """Shapes: (B, C, H, W) -> (B, C, H, W)."""
        yes, noise = draws.chance(self.p), draws.normal(x_BCHW[0].numel()).view_as(x_BCHW)
        return choose(yes, (x_BCHW + self.std * noise).clamp_(0.0, 1.0), x_BCHW)


def _factor(draws: Draws, amount: float) -> Tensor:
    return draws.uniform(1.0 - amount, 1.0 + amount)[:, None, None, None]


def _grey(x_BCHW: Tensor) -> Tensor:
    """Brightness of each pixel, by the weights of ITU-R BT.601 for three channels. Shapes: -> (B, 1, H, W)."""
    if x_BCHW.shape[1] != 3:
        return x_BCHW.mean(1, keepdim=True)
    red, green, blue = x_BCHW.unbind(1)
    return (0.299 * red + 0.587 * green + 0.114 * blue)[:, None]
