"""Masks among arrays: a class code for each pixel of pictures (N, C, H, W).

Integers of the pictures' height and width are masks; floats are, where classes are asked for. -100, which torch's
losses leave out, and 255 stand for pixels that do not count. Letters: N examples, C channels, H height, W width.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from netwright.core.errors import DataError
from netwright.data.masks import IGNORED, MOST_CLASSES, binary_codes, code_counts, mask_classes
from netwright.data.schema import Target
from netwright.data.targets import MadeTarget, Wanted

__all__ = ["array_masks", "made_masks"]

_LEFT_OUT = -100  # what torch's losses do not count


def array_masks(targets: Any, shape: torch.Size, wanted: Wanted | None) -> Tensor | None:
    """The targets as masks of inputs of this shape; None where they are something else.

    Shapes: shape (N, C, H, W); targets (N, H, W), (N, 1, H, W) or (N, H, W, 1) -> (N, H, W) int64; where classes are
        asked for, one-hot (N, K, H, W) or (N, H, W, K), too.

    Raises:
        DataError: class codes for places, but not for the pixels of these inputs.
    """
    values = targets.detach().cpu() if isinstance(targets, Tensor) else _array(targets)
    if values is None or len(shape) != 4 or values.ndim not in (3, 4) or wanted not in (None, "class"):
        return None
    if values.ndim == 4:
        values = _codes(values, (shape[0], *shape[2:]), wanted)
    if values.is_floating_point() and (wanted is None or not bool((values == values.round()).all())):
        return None
    if values.ndim != 3:
        return None
    if values.shape != (shape[0], *shape[2:]):
        template = "targets of shape {got} are no masks of inputs {shape}; give one class code a pixel, {wanted}"
        raise DataError(template, got=tuple(values.shape), shape=tuple(shape), wanted=(shape[0], *shape[2:]))
    return values.long()


def made_masks(masks_NHW: Tensor, name: str) -> MadeTarget:
    """The classes of these masks, and the masks as bytes; classes are named by their codes.

    Raises:
        DataError: codes that are none, or a single class.
    """
    codes = torch.where(masks_NHW == _LEFT_OUT, IGNORED, masks_NHW)
    low, high = int(codes.min()), int(codes.max())
    if low < 0 or high > IGNORED:
        template = "{name}: masks hold codes from {low} to {high}; expected 0 to {last}, or 255 for ignored"
        raise DataError(template, name=name, low=low, high=high, last=MOST_CLASSES - 1)
    masks = codes.to(torch.uint8)
    counts = code_counts(masks)
    if binary_codes(counts):
        masks, counts = (masks > 0).to(torch.uint8), code_counts((masks > 0).to(torch.uint8))
    return MadeTarget(Target("mask", mask_classes(counts, None, name)), masks)


def _codes(values: Tensor, shape: tuple[int, ...], wanted: Wanted | None) -> Tensor:
    """Four dimensions as three, where one of them has a single number or tells the class by a 1 among zeros."""
    for axis in (1, 3):
        if values.amax(axis).shape != shape:
            continue
        if values.shape[axis] == 1:
            return values.squeeze(axis)
        one = (values == 1).int()
        if wanted == "class" and bool((one.sum(axis) == 1).all()) and torch.equal(one.to(values.dtype), values):
            return one.argmax(axis)
    return values


def _array(targets: Any) -> Tensor | None:
    """None for words and other things that are not numbers in one shape."""
    try:
        values = np.asarray(targets)
    except ValueError:
        return None
    if values.dtype.kind not in "biuf":
        return None
    return torch.from_numpy(values.astype(np.int64) if values.dtype.kind != "f" else values.astype(np.float32))
