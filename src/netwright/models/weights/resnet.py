"""torchvision's layout of ResNet (timm's is the same): conv1, bn1, layer1.0.conv1 …, fc."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from netwright.models.weights.layout import Layout, Tensors, end_sizes, renamed

__all__ = ["LAYOUTS"]

_PUBLISHED: Mapping[tuple[str, tuple[int, ...]], str] = {
    ("basic", (2, 2, 2, 2)): "resnet18",
    ("basic", (3, 4, 6, 3)): "resnet34",
    ("bottleneck", (3, 4, 6, 3)): "resnet50",
    ("bottleneck", (3, 4, 23, 3)): "resnet101",
    ("bottleneck", (3, 8, 36, 3)): "resnet152",
}
_BLOCK_PARTS = [
    rule
    for number in (1, 2, 3)
    for rule in (
        (rf"^(layer\d+\.\d+)\.conv{number}\.", rf"\1.join.branch.{number - 1}.conv."),
        (rf"^(layer\d+\.\d+)\.bn{number}\.", rf"\1.join.branch.{number - 1}.norm."),
    )
]
_RULES: Sequence[tuple[str, str]] = [
    (r"^conv1\.", "trunk.stem.conv."),
    (r"^bn1\.", "trunk.stem.norm."),
    *_BLOCK_PARTS,
    (r"\.downsample\.0\.", ".join.skip.conv."),
    (r"\.downsample\.1\.", ".join.skip.norm."),
    (r"^layer(\d+)\.", r"trunk.stage\1."),
    (r"^fc\.", "head."),
]


def _identify(tensors: Tensors, config: Mapping[str, Any]) -> str | None:
    """A published size, or `resnet`; ResNeXt and Wide ResNet, whose 3x3 convolution is another, are none of ours."""
    needed = ("conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "layer1.0.bn1.weight", "layer1.0.conv2.weight")
    if any(name not in tensors for name in needed):
        return None
    inner = tensors["layer1.0.conv2.weight"]
    if tuple(inner.shape) != (_width(tensors), _width(tensors), 3, 3):
        return None
    return _PUBLISHED.get((_block(tensors), _depths(tensors)), "resnet") if _width(tensors) == 64 else "resnet"


def _sizes(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Any]:
    own: dict[str, Any] = {}
    if _identify(tensors, config) == "resnet":
        own = {"block": _block(tensors), "depths": _depths(tensors), "width": _width(tensors)}
    return {**own, **end_sizes(tensors, "conv1.weight", "fc.weight")}


def _rename(tensors: Tensors) -> dict[str, Tensor]:
    return renamed(tensors, _RULES)


def _width(tensors: Tensors) -> int:
    return tensors["conv1.weight"].shape[0]


def _block(tensors: Tensors) -> str:
    return "bottleneck" if "layer1.0.conv3.weight" in tensors else "basic"


def _depths(tensors: Tensors) -> tuple[int, ...]:
    """Blocks of each stage, counted from the names."""
    blocks = {(int(at[1]), int(at[2])) for at in (re.match(r"layer(\d+)\.(\d+)\.", name) for name in tensors) if at}
    stages = max(stage for stage, _ in blocks)
    return tuple(sum(stage == number for stage, _ in blocks) for number in range(1, stages + 1))


LAYOUTS: tuple[Layout, ...] = (Layout("torchvision", _identify, _sizes, _rename),)
