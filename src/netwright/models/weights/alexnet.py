"""AlexNet's weights as torchvision stores them: `features.N` the convolutions, `classifier.N` the dense layers."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from netwright.models.weights.layout import Layout, Tensors, renamed

__all__ = ["LAYOUTS"]

_CONVS = ("0", "3", "6", "8", "10")  # N of the five convolutions
_USUAL = {"in_channels": 3, "num_classes": 1000, "widths": (64, 192, 384, 256, 256), "hidden": 4096}
_RULES = [
    *((rf"^features\.{place}\.", f"convs.conv{number}.") for number, place in enumerate(_CONVS, start=1)),
    (r"^classifier\.1\.", "dense.linear1."), (r"^classifier\.4\.", "dense.linear2."), (r"^classifier\.6\.", "head."),
]  # fmt: skip


def _identify(tensors: Tensors, config: Mapping[str, Any]) -> str | None:
    names = [*(f"features.{place}.weight" for place in _CONVS), "classifier.1.weight", "classifier.6.weight"]
    found = all(name in tensors for name in names) and tuple(tensors[names[0]].shape[2:]) == (11, 11)
    return "alexnet" if found else None


def _sizes(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "in_channels": tensors["features.0.weight"].shape[1],
        "num_classes": len(tensors["classifier.6.weight"]),
        "widths": tuple(len(tensors[f"features.{place}.weight"]) for place in _CONVS),
        "hidden": len(tensors["classifier.1.weight"]),
    }
    return {name: size for name, size in found.items() if size != _USUAL[name]}


def _rename(tensors: Tensors) -> dict[str, Tensor]:
    return renamed(tensors, _RULES)


LAYOUTS: tuple[Layout, ...] = (Layout("torchvision", _identify, _sizes, _rename),)
