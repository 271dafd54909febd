"""The residual join of hand-made networks: which projection brings the input to the shape of the branch's output."""

import math

from torch import nn

from netwright.blocks.init import scaled_init
from netwright.blocks.residual import Residual
from netwright.models.layers.signal import Layer, LayerMisfitError, Signal
from netwright.models.layers.spatial import conv

__all__ = ["join"]


def join(before: Signal, branch: nn.Module, after: Signal) -> Layer:
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
