"""torchvision's layout of DenseNet: features.conv0, features.denseblock1.denselayer1.norm1 …, classifier.

Its published files are older than its code and write `norm.1` and `conv.1` for `norm1` and `conv1`; both are read.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from netwright.models.weights.layout import Layout, Tensors, end_sizes, renamed

__all__ = ["LAYOUTS"]

_PUBLISHED: Mapping[tuple[tuple[int, ...], int, int], str] = {  # depths, growth rate, initial channels
    ((6, 12, 24, 16), 32, 64): "densenet121",
    ((6, 12, 36, 24), 48, 96): "densenet161",
    ((6, 12, 32, 32), 32, 64): "densenet169",
    ((6, 12, 48, 32), 32, 64): "densenet201",
}
_RULES: Sequence[tuple[str, str]] = [
    (r"^features\.(conv|norm)0\.", r"trunk.stem.\1."),
    (r"^features\.denseblock(\d+)\.denselayer(\d+)\.(norm|conv)\.?(\d)\.", r"trunk.block\1.layer\2.branch.\3\4."),
    (r"^features\.transition(\d+)\.", r"trunk.transition\1."),
    (r"^features\.norm\d+\.", "trunk.norm."),
    (r"^classifier\.", "head."),
]
_LAYER = re.compile(r"^trunk\.block(\d+)\.layer(\d+)\.branch\.conv2\.weight$")


def _identify(tensors: Tensors, config: Mapping[str, Any]) -> str | None:
    if "features.conv0.weight" not in tensors or not any(_LAYER.match(name) for name in _rename(tensors)):
        return None
    read = _read(tensors)
    published = _PUBLISHED.get((read["depths"], read["growth_rate"], read["initial_channels"]))
    return published if published and read["bottleneck"] == 4 else "densenet"


def _sizes(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Any]:
    own = _read(tensors) if _identify(tensors, config) == "densenet" else {}
    return {**own, **end_sizes(tensors, "features.conv0.weight", "classifier.weight")}


def _rename(tensors: Tensors) -> dict[str, Tensor]:
    return renamed(tensors, _RULES)


def _read(tensors: Tensors) -> dict[str, Any]:
    """The sizes that tell one DenseNet from another, from the names and the shapes."""
    layers = {at.groups(): tensor for name, tensor in _rename(tensors).items() if (at := _LAYER.match(name))}
    growth_rate, inner = next(iter(layers.values())).shape[:2]
    blocks = max(int(block) for block, _ in layers)
    return {
        "depths": tuple(sum(int(block) == number for block, _ in layers) for number in range(1, blocks + 1)),
        "growth_rate": growth_rate,
        "initial_channels": tensors["features.conv0.weight"].shape[0],
        "bottleneck": inner // growth_rate,
    }


LAYOUTS: tuple[Layout, ...] = (Layout("torchvision", _identify, _sizes, _rename),)
