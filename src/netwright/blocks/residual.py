"""Joins: how a branch of layers meets its own input again.

Sum: He, Zhang, Ren and Sun, 2015, "Deep residual learning for image recognition" (equations 1 and 2). The branch learns
a change of its input, so a deeper network starts as good as a shallower one. Concatenation: Huang, Liu, van der Maaten
and Weinberger, 2016, "Densely connected convolutional networks" (equation 2). Every later layer reads what every
earlier one found. ``B`` batch, ``C`` channels, ``*S`` the spatial sizes.
"""

import torch
from torch import Tensor, nn

from netwright.blocks.drop_path import DropPath

__all__ = ["DenseJoin", "Residual"]


class Residual(nn.Module):
    """skip(x) + branch(x), where skip is the identity or, when the branch changes the shape, a projection.

    drop_path: the part of the examples that go past the branch in training.

    Shapes:
        [B, *S] -> [B, *S']
    """

    def __init__(self, branch: nn.Module, skip: nn.Module | None = None, drop_path: float = 0.0) -> None:
        super().__init__()
        self.branch = branch
        self.skip = nn.Identity() if skip is None else skip
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.skip(x) + self.drop_path(self.branch(x))
        return out


class DenseJoin(nn.Module):
    """The input's channels, then those that the branch makes of them.

    Shapes:
        [B, C, *S] -> [B, C + C', *S], where the branch gives [B, C', *S]
    """

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, self.branch(x)), dim=1)
