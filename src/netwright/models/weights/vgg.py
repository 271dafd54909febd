"""VGG's weights as torchvision stores them: `features.N` in one row through all blocks, `classifier.N` dense layers.

Neighbours in the row that are farther apart than convolution, norm and ReLU have a pooling between them, and with it
the border of two blocks.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from netwright.models.weights.layout import Layout, Tensors, renamed

__all__ = ["LAYOUTS"]

_NAMES: Mapping[tuple[int, ...], str] = {
    (1, 1, 2, 2, 2): "vgg11", (2, 2, 2, 2, 2): "vgg13", (2, 2, 3, 3, 3): "vgg16", (2, 2, 4, 4, 4): "vgg19",
}  # fmt: skip
_WIDTHS = (64, 128, 256, 512, 512)
_USUAL = {"in_channels": 3, "num_classes": 1000, "hidden": (4096, 4096), "pool_size": 7}


def _identify(tensors: Tensors, config: Mapping[str, Any]) -> str | None:
    convs = _places(tensors, "features", 4)
    if not convs or convs[0] != 0 or not _places(tensors, "classifier", 2):
        return None
    if any(tuple(tensors[f"features.{place}.weight"].shape[2:]) != (3, 3) for place in convs):
        return None
    blocks = _blocks(tensors)
    if _widths(tensors, blocks) != _WIDTHS:
        return "vgg"
    name = _NAMES.get(tuple(map(len, blocks)))
    return "vgg" if name is None else f"{name}_bn" if _has_norm(tensors) else name


def _sizes(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Any]:
    blocks, (dense, head) = _blocks(tensors), _dense(tensors)
    widths = _widths(tensors, blocks)
    first = tensors[f"classifier.{(dense or head)[0]}.weight"]
    found: dict[str, Any] = {
        "in_channels": tensors["features.0.weight"].shape[1],
        "hidden": tuple(len(tensors[f"classifier.{place}.weight"]) for place in dense),
        "pool_size": math.isqrt(first.shape[1] // widths[-1]),
    }
    if head:
        found["num_classes"] = len(tensors[f"classifier.{head[0]}.weight"])
    sizes = {name: size for name, size in found.items() if size != _USUAL[name]}
    if _identify(tensors, config) == "vgg":
        norm = "batch" if _has_norm(tensors) else "none"
        sizes |= {"depths": tuple(map(len, blocks)), "widths": widths, "norm": norm}
    return sizes


def _rename(tensors: Tensors) -> dict[str, Tensor]:
    rules = []
    for block, places in enumerate(_blocks(tensors)):
        for number, place in enumerate(places, start=1):
            rules.append((rf"^features\.{place}\.", f"blocks.{block}.conv{number}."))
            rules.append((rf"^features\.{place + 1}\.", f"blocks.{block}.norm{number}."))
    dense, head = _dense(tensors)
    rules += [(rf"^classifier\.{place}\.", f"dense.linear{number}.") for number, place in enumerate(dense, start=1)]
    return renamed(tensors, [*rules, *((rf"^classifier\.{place}\.", "head.") for place in head)])


def _dense(tensors: Tensors) -> tuple[list[int], list[int]]:
    """N of the dense layers and of the head after them, which is cut off where only two are left, the last square."""
    places = _places(tensors, "classifier", 2)
    last = tensors.get(f"classifier.{places[-1]}.weight") if len(places) == 2 else None
    cut = last is not None and last.dim() == 2 and last.shape[0] == last.shape[1]
    return (places, []) if cut else (places[:-1], places[-1:])


def _blocks(tensors: Tensors) -> list[list[int]]:
    """N of the convolutions, a list for each block."""
    step = 3 if _has_norm(tensors) else 2
    blocks: list[list[int]] = []
    for place in _places(tensors, "features", 4):
        if not blocks or place - blocks[-1][-1] > step:
            blocks.append([])
        blocks[-1].append(place)
    return blocks


def _widths(tensors: Tensors, blocks: list[list[int]]) -> tuple[int, ...]:
    return tuple(len(tensors[f"features.{places[0]}.weight"]) for places in blocks)


def _has_norm(tensors: Tensors) -> bool:
    return any(name.endswith(".running_mean") for name in tensors)


def _places(tensors: Tensors, part: str, dims: int) -> list[int]:
    """N of the layers of a part whose weights have so many dimensions, in order; a bias tells of one that lacks."""
    found = {int(at[1]) for name in tensors if (at := re.fullmatch(rf"{part}\.(\d+)\.(?:weight|bias)", name))}
    return sorted(place for place in found if _dims(tensors, f"{part}.{place}") in (dims, None))


def _dims(tensors: Tensors, layer: str) -> int | None:
    """Dimensions of a layer's weight; None where it lacks, 1 for a norm's."""
    if f"{layer}.running_mean" in tensors:
        return 1
    return tensors[f"{layer}.weight"].dim() if f"{layer}.weight" in tensors else None


LAYOUTS: tuple[Layout, ...] = (Layout("torchvision", _identify, _sizes, _rename),)
