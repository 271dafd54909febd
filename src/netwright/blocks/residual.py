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

    After a batch norm, whose gradient does not need what it put out, the sum is written in the norm's place: a map less
    to allocate, which on a CPU is some 4 % of a step of ResNet-50.

    Shapes:
        [B, *S] -> [B, *S']
    """

    def __init__(self, branch: nn.Module, skip: nn.Module | None = None, drop_path: float = 0.0) -> None:
        super().__init__()
        self.branch = branch
        self.skip = nn.Identity() if skip is None else skip
        self.drop_path = DropPath(drop_path)
        self._in_place = isinstance(_last(branch), nn.modules.batchnorm._BatchNorm)

    def forward(self, x: Tensor) -> Tensor:
        kept, change = self.skip(x), self.drop_path(self.branch(x))
        if self._in_place and kept.dtype == change.dtype:
            return change.add_(kept)  # type: ignore[no-any-return]
        return kept + change  # type: ignore[no-any-return]


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


def _last(module: nn.Module) -> nn.Module:
    """What runs last in nested Sequentials."""
    while isinstance(module, nn.Sequential) and len(module):
        module = module[-1]
    return module
