"""The joins of hand-made networks: what a residual branch is added to, and which branches can stand side by side."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from netwright.blocks.init import scaled_init
from netwright.blocks.residual import DenseJoin, Residual
from netwright.models.layers.signal import Layer, LayerMisfitError, Signal
from netwright.models.layers.spatial import conv

__all__ = ["Branches", "concatenate", "sum_join"]


def sum_join(before: Signal, branch: nn.Module, after: Signal) -> Layer:
    """The residual around `branch`; a 1x1 convolution meets a change of channels or a stride, a linear layer of width.

    Raises:
        LayerMisfitError: no projection brings the input to the branch's shape.
    """
    if before.shape == after.shape:
        return Residual(branch), after
    layout = "map" if before.layout == "raw" and after.layout == "map" else before.layout
    if layout == after.layout and layout in ("flat", "sequence") and before.shape[:-1] == after.shape[:-1]:
        linear = nn.Linear(before.shape[-1], after.shape[-1])
        scaled_init(linear)
        return Residual(branch, linear), after
    if layout == after.layout == "map" and len(before.shape) == len(after.shape):
        strides = [math.ceil(n / m) for n, m in zip(before.shape[1:], after.shape[1:], strict=True)]
        skip, projected = conv(Signal(before.shape, "map"), after.shape[0], 1, strides)
        if projected.shape == after.shape:
            scaled_init(skip)
            return Residual(branch, skip), after
    raise LayerMisfitError(
        "the branch turns a {before} into a {after}, and the two cannot be added; keep the size with padding: same, "
        "or shrink it by a stride",
        after, before=before, after=after,
    )  # fmt: skip


def concatenate(kind: str, before: Signal, branches: Sequence[Layer]) -> Layer:
    """The branches' outputs side by side: channels of maps, width of sequences; `dense` puts the input before them.

    Raises:
        LayerMisfitError: maps of different sizes, or sequences of different lengths.
    """
    parts = [after for _, after in branches]
    layout = parts[0].layout
    if kind == "dense":
        parts.insert(0, Signal(before.shape, layout if before.layout == "raw" else before.layout))
    axis = -1 if layout == "sequence" else 0
    if len({(part.layout, len(part.shape), part.shape[:axis] if axis else part.shape[1:]) for part in parts}) > 1:
        raise LayerMisfitError(
            "{parts} cannot stand side by side; give all the same size, with padding: same or the same strides",
            parts[-1], parts=", ".join(map(str, parts)),
        )  # fmt: skip
    wide = list(parts[0].shape)
    wide[axis] = sum(part.shape[axis] for part in parts)
    after = Signal(tuple(wide), layout)
    modules = [module for module, _ in branches]
    if kind == "dense" and axis == 0:
        return DenseJoin(modules[0]), after
    return Branches([nn.Identity(), *modules] if kind == "dense" else modules, -1 if axis else 1), after


class Branches(nn.Sequential):
    """All branches read the same input; their outputs stand side by side, as in Inception (Szegedy et al., 2014).

    Shapes:
        [B, C, *S] -> [B, sum of the branches' channels, *S']; sequences [B, T, D] are joined in D
    """

    def __init__(self, branches: Sequence[nn.Module], axis: int) -> None:
        super().__init__(*branches)
        self._axis = axis

    def forward(self, x: Any) -> Tensor:
        return torch.cat([branch(x) for branch in self], dim=self._axis)
