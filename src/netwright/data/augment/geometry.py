"""Augmentations that move pixels: flip, rotate, crop, resized crop; erase, which covers some and keeps their masks.

Letters: B batch, C channels, H height, W width.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from netwright.core.errors import ConfigError
from netwright.core.messages import say
from netwright.core.schemas import Fraction, Size
from netwright.data.augment.base import Draws, Geometric, Photometric, choose

__all__ = ["Crop", "Erase", "Flip", "ResizedCrop", "Rotate"]

_PAD_MODES = {"zero": "constant", "reflect": "reflect", "edge": "replicate"}


@dataclass(frozen=True)
class Flip(Geometric):
    """Mirror the picture, left to right (`horizontal`) or top to bottom (`vertical`), with probability `p`."""

    direction: Literal["horizontal", "vertical"] = "horizontal"
    p: Fraction = 0.5

    def move(self, x_BCHW: Tensor, draws: Draws, nearest: bool) -> Tensor:
        """Shapes: (B, C, H, W) -> (B, C, H, W)."""
        return choose(draws.chance(self.p), x_BCHW.flip(3 if self.direction == "horizontal" else 2), x_BCHW)


@dataclass(frozen=True)
class Rotate(Geometric):
    """Turn the picture about its centre by up to `degrees` either way; what comes in from outside is black."""

    degrees: Annotated[float, Field(gt=0, le=180)] = 10.0
    p: Fraction = 1.0

    def move(self, x_BCHW: Tensor, draws: Draws, nearest: bool) -> Tensor:
        """Shapes: (B, C, H, W) -> (B, C, H, W)."""
        yes, angle = draws.chance(self.p), torch.deg2rad(draws.uniform(-self.degrees, self.degrees))
        cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
        aspect = x_BCHW.shape[2] / x_BCHW.shape[3]  # grid coordinates run from -1 to 1 both ways, whatever the shape
        rows = [torch.stack([cosine, -sine * aspect, zero], 1), torch.stack([sine / aspect, cosine, zero], 1)]
        return choose(yes, _resample(x_BCHW, torch.stack(rows, 1), "zeros", nearest), x_BCHW)


@dataclass(frozen=True)
class Crop(Geometric):
    """Add `padding` pixels on every side and cut the old size out at a random place: a shift by up to `padding`."""

    padding: Size = 2
    fill: Literal["zero", "reflect", "edge"] = "zero"
    p: Fraction = 1.0

    def move(self, x_BCHW: Tensor, draws: Draws, nearest: bool) -> Tensor:
        """Shapes: (B, C, H, W) -> (B, C, H, W)."""
        yes, height, width = draws.chance(self.p), x_BCHW.shape[2], x_BCHW.shape[3]
        places = 2 * self.padding + 1
        down, right = (torch.where(yes, draws.integer(places), self.padding) for _ in range(2))
        padded = F.pad(x_BCHW, (self.padding,) * 4, mode=_PAD_MODES[self.fill])
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view: every place at which it can be cut
        return windows[torch.arange(len(x_BCHW), device=x_BCHW.device), :, down, right]

    def misfit(self, shape_CHW: tuple[int, int, int]) -> str | None:
        """A reflection cannot be longer than the picture."""
        if self.fill != "reflect" or self.padding < min(shape_CHW[1:]):
            return None
        template = "padding={padding} reflects more than the picture has; use at most {most}"
        return say(template, padding=self.padding, most=min(shape_CHW[1:]) - 1)


@dataclass(frozen=True)
class ResizedCrop(Geometric):
    """Cut out a random part and stretch it to the old size (Szegedy et al., "Going deeper with convolutions", 2014).

    The part has between `scale` and all of the area, and an aspect ratio between 1/`ratio` and `ratio` (log-uniform).
    Differs from torchvision's: a part that would stick out is clipped to the picture instead of drawn again, and
    there is no anti-aliasing, as parts are enlarged.
    """

    scale: Annotated[float, Field(gt=0, le=1)] = 0.35
    ratio: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 4 / 3
    p: Fraction = 1.0

    def move(self, x_BCHW: Tensor, draws: Draws, nearest: bool) -> Tensor:
        """Shapes: (B, C, H, W) -> (B, C, H, W)."""
        yes, height, width = draws.chance(self.p), x_BCHW.shape[2], x_BCHW.shape[3]
        tall, wide = _box(draws, (self.scale, 1.0), self.ratio, height, width)
        tall, wide = tall.clamp(max=height) / height, wide.clamp(max=width) / width
        down, right = (1 - tall) * draws.uniform(-1, 1), (1 - wide) * draws.uniform(-1, 1)
        zero = torch.zeros_like(tall)
        rows = [torch.stack([wide, zero, right], 1), torch.stack([zero, tall, down], 1)]
        return choose(yes, _resample(x_BCHW, torch.stack(rows, 1), "border", nearest), x_BCHW)


@dataclass(frozen=True)
class Erase(Photometric):
    """Cover a random rectangle with one grey value (Zhong et al., "Random erasing data augmentation", 2017).

    Args:
        largest, smallest: share of the picture that the rectangle has (before it is clipped to the picture).
        ratio: its aspect ratio lies between 1/`ratio` and `ratio`.
        value: what it is filled with, 0 black to 1 white.
    """

    largest: Annotated[float, Field(gt=0, lt=1)] = 0.25
    smallest: Annotated[float, Field(gt=0, lt=1)] = 0.02
    ratio: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 3.3
    value: Fraction = 0.0
    p: Fraction = 0.5

    def __post_init__(self) -> None:
        if self.smallest > self.largest:
            raise ConfigError(
                "smallest={smallest} is more than largest={largest}; give smallest <= largest",
                smallest=self.smallest,
                largest=self.largest,
            )

    def __call__(self, x_BCHW: Tensor, draws: Draws) -> Tensor:
        """Shapes: (B, C, H, W) -> (B, C, H, W)."""
        yes, height, width = draws.chance(self.p), x_BCHW.shape[2], x_BCHW.shape[3]
        tall, wide = _box(draws, (self.smallest, self.largest), self.ratio, height, width)
        rows_BH = _span(tall.round().clamp(1, height), draws.uniform(), height)
        columns_BW = _span(wide.round().clamp(1, width), draws.uniform(), width)
        inside_BHW = rows_BH[:, :, None] & columns_BW[:, None, :] & yes[:, None, None]
        return x_BCHW.masked_fill(inside_BHW[:, None], self.value)


def _box(draws: Draws, area: tuple[float, float], ratio: float, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Height and width, in pixels, of a box with a random area (a share of the picture) and a random aspect ratio."""
    pixels = draws.uniform(*area) * height * width
    aspect = torch.exp(draws.uniform(-math.log(ratio), math.log(ratio)))
    return torch.sqrt(pixels / aspect), torch.sqrt(pixels * aspect)


def _span(length: Tensor, place: Tensor, size: int) -> Tensor:
    """True on `length` neighbouring cells of `size`; `place` in [0, 1) draws the first. Shapes: -> (B, size)."""
    first = torch.floor(place * (size - length + 1))
    cells = torch.arange(size, device=length.device)
    return (cells >= first[:, None]) & (cells < (first + length)[:, None])


def _resample(x_BCHW: Tensor, theta_B23: Tensor, outside: str, nearest: bool) -> Tensor:
    """Bilinear (or nearest) resampling under an affine map from new to old grid coordinates."""
    grid = F.affine_grid(theta_B23.to(x_BCHW.dtype), list(x_BCHW.shape), align_corners=False)
    if nearest:
        return F.grid_sample(x_BCHW, grid, mode="nearest", padding_mode=outside, align_corners=False)
    # Weights of four neighbours may sum to a little more than 1.
    return F.grid_sample(x_BCHW, grid, padding_mode=outside, align_corners=False).clamp_(0.0, 1.0)
