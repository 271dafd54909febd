"""Small pictures for exhibits: back from the network's inputs to pixels, single PNGs and grids.

Letters: B batch, C channels, H height, W width.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from netwright.data.preprocess import Preprocessor

__all__ = ["SIDE", "pixels_of", "write_grid", "write_picture", "write_png"]

SIDE = 84  # pixels that a single picture has at least, so that 28x28 can be looked at
_GRID_SIDE = 56


def pixels_of(inputs_BCHW: Tensor, preprocess: Preprocessor) -> Tensor:
    """Undo the normalisation. Shapes: (B, C, H, W) -> the same, on the CPU, in [0, 1].

    Normalisation is an affine map for each channel, so what it makes of 0 and of 1 is enough to turn it round. Pictures
    that were handed over as floats in a range of their own are stretched to [0, 1].
    """
    dark = preprocess.normalise(torch.zeros_like(inputs_BCHW[:1, :, :1, :1]))
    light = preprocess.normalise(torch.ones_like(inputs_BCHW[:1, :, :1, :1]))
    pixels = ((inputs_BCHW - dark) / (light - dark)).float().cpu()
    low, high = pixels.amin((1, 2, 3), keepdim=True), pixels.amax((1, 2, 3), keepdim=True)
    outside = (low < -0.01) | (high > 1.01)
    stretched = (pixels - low) / (high - low).clamp_min(1e-6)
    return torch.where(outside, stretched, pixels).clamp(0, 1)


def write_png(pixels_CHW: Tensor, path: Path, side: int = SIDE) -> None:
    """Write one picture, enlarged by a whole factor (pixels stay squares) until it has about `side` pixels.

    Shapes: (C, H, W) with 1 or 3 channels, in [0, 1]; of other numbers of channels the first is shown.
    """
    from PIL import Image

    channels, height, width = pixels_CHW.shape
    factor = max(1, round(side / max(height, width)))
    shown = pixels_CHW if channels in (1, 3) else pixels_CHW[:1]
    large = shown.repeat_interleave(factor, 1).repeat_interleave(factor, 2).mul(255).round().to(torch.uint8)
    array = large[0].numpy() if len(large) == 1 else large.permute(1, 2, 0).contiguous().numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, optimize=True)


def write_picture(pixels_CHW: NDArray[np.float32], path: Path) -> None:
    """Write one picture at its own size. Shapes: (C, H, W), in [0, 1]."""
    write_png(torch.from_numpy(pixels_CHW).clamp(0, 1), path, side=1)


def write_grid(pixels_BCHW: Tensor, path: Path, columns: int) -> None:
    """Write many pictures as one, row by row, with a light line of a pixel between them."""
    height, width = pixels_BCHW.shape[-2:]
    missing = -len(pixels_BCHW) % columns
    framed = F.pad(pixels_BCHW, (0, 1, 0, 1), value=1.0)
    framed = torch.cat([framed, torch.ones_like(framed[:1]).expand(missing, -1, -1, -1)])
    rows = [torch.cat(list(row), dim=2) for row in framed.split(columns)]
    whole = torch.cat(rows, dim=1)
    write_png(whole, path, max(1, round(_GRID_SIDE / max(height, width))) * max(whole.shape[1:]))
