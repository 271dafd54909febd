"""GoogLeNet's weights as torchvision stores them, with or without its auxiliary heads.

The published ones want pixels scaled to -1..1 (`models/vision/googlenet.py` says why). They hold auxiliary heads; a
network that is built without them passes over those.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from netwright.models.weights.layout import Layout, Tensors, renamed

__all__ = ["LAYOUTS"]

_USUAL = {"in_channels": 3, "num_classes": 1000}
_RULES = [
    (r"\.bn\.", ".norm."),
    (r"^(conv\d|inception(?:3.|4a))\.", r"lower.\1."),
    (r"^(inception4[bcd])\.", r"middle.\1."),
    (r"^(inception(?:4e|5.))\.", r"upper.\1."),
    (r"\.branch1\.", ".one."),
    (r"\.branch2\.", ".three."),
    (r"\.branch3\.", ".five."),
    (r"\.branch4\.", ".pooled."),
    (r"^aux1\.", "auxiliary.0."),
    (r"^aux2\.", "auxiliary.1."),
    (r"^(auxiliary\..)\.fc1\.", r"\1.dense.0."),
    (r"^(auxiliary\..)\.fc2\.", r"\1.head."),
    (r"^fc\.", "head."),
]


def _identify(tensors: Tensors, config: Mapping[str, Any]) -> str | None:
    names = ("conv1.conv.weight", "inception3a.branch1.conv.weight", "inception5b.branch4.1.conv.weight", "fc.weight")
    return "googlenet" if all(name in tensors for name in names) else None


def _sizes(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Any]:
    found = {"in_channels": tensors["conv1.conv.weight"].shape[1], "num_classes": len(tensors["fc.weight"])}
    return {name: size for name, size in found.items() if size != _USUAL[name]}


def _rename(tensors: Tensors) -> dict[str, Tensor]:
    return renamed(tensors, _RULES)


LAYOUTS: tuple[Layout, ...] = (Layout("torchvision", _identify, _sizes, _rename),)
