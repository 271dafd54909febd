"""Patches: an image as a grid of vectors, and the table of their positions for a grid of another size.

Dosovitskiy et al., 2021, "An image is worth 16x16 words". ``B`` batch, ``C`` channels, ``H``, ``W`` sides in pixels,
``D`` width, ``P`` a patch's side in pixels, ``S`` the grid's side in patches.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.blocks.init import scaled_init

__all__ = ["PatchEmbedding", "resize_positions"]


class PatchEmbedding(nn.Module):
    """One linear map of each square of P x P pixels: a convolution that strides by its own width.

    Pixels at the right and the bottom that fill no patch are not seen.

    Shapes:
        [B, C, H, W] -> [B, H // P, W // P, D]
    """

    def __init__(self, in_channels: int, hidden_size: int, patch_size: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(in_channels, hidden_size, kernel_size=patch_size, stride=patch_size)
        scaled_init(self.project)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        patches_BDHW: Tensor = self.project(image_BCHW)
        return patches_BDHW.permute(0, 2, 3, 1)


def resize_positions(positions_TD: Tensor, side: int) -> Tensor:
    """The table of a square grid's positions for a grid of `side` patches a side, by bicubic interpolation.

    The first row is the class token's, which stands nowhere on the grid; it is kept.

    Shapes:
        [1 + S * S, D] -> [1 + side * side, D]
    """
    token_1D, grid_ND = positions_TD[:1], positions_TD[1:]
    old = math.isqrt(len(grid_ND))
    grid_DSS = grid_ND.T.unflatten(1, (old, old))
    resized_DSS = F.interpolate(grid_DSS[None], size=(side, side), mode="bicubic", align_corners=False)[0]
    return torch.cat((token_1D, resized_DSS.flatten(1).T))
