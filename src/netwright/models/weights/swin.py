"""Swin's published weights: torchvision's .pth files; every size can be read from the shapes.

torchvision counts the patches, the stages and the merges between them in one row, `features.0` to `features.7`.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from netwright.models.weights.layout import Layout, Tensors, renamed

__all__ = ["LAYOUTS"]

_STAGES = 8  # more than anybody has
_RULES = (
    (r"^features\.0\.0\.", "patches.project."),
    (r"^features\.0\.2\.", "patch_norm."),
    *((rf"^features\.{2 * stage + 1}\.(\d+)\.", rf"stages.{stage}.block\1.") for stage in range(_STAGES)),
    *((rf"^features\.{2 * stage}\.(norm|reduction)\.", rf"stages.{stage}.merge.\1.") for stage in range(1, _STAGES)),
    (r"\.norm1\.", ".attention_norm."),
    (r"\.norm2\.", ".feed_forward_norm."),
    (r"\.attn\.qkv\.", ".attention.query_key_value."),
    (r"\.attn\.proj\.", ".attention.project."),
    (r"\.attn\.relative_position_bias_table$", ".attention.relative_bias"),
    (r"\.mlp\.0\.", ".feed_forward.expand."),
    (r"\.mlp\.3\.", ".feed_forward.project."),
)
_PUBLISHED = {  # (width, depths, heads) -> name
    (96, (2, 2, 6, 2), (3, 6, 12, 24)): "swin_t",
    (96, (2, 2, 18, 2), (3, 6, 12, 24)): "swin_s",
    (128, (2, 2, 18, 2), (4, 8, 16, 32)): "swin_b",
}
_FREE = {"in_channels": 3, "num_classes": 1000}


def _rename(tensors: Tensors) -> dict[str, Tensor]:
    """Without the index of relative positions, which we compute."""
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(".relative_position_index")}
    return renamed(kept, _RULES)


def _identify(tensors: Tensors, config: Mapping[str, Any]) -> str | None:
    named = _rename(tensors)
    # The second version of Swin computes its bias by a network, and has no table.
    ranks = {"patches.project.weight": 4, "patch_norm.weight": 1, "stages.0.block0.attention.relative_bias": 2}
    ours = all(name in named and named[name].dim() == ranks[name] for name in ranks)
    return _name(_measured(named)) if ours else None


def _sizes(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Any]:
    sizes = _measured(_rename(tensors))
    free = sizes if _name(sizes) == "swin" else {name: sizes[name] for name in sizes if name in _FREE}
    return {name: value for name, value in free.items() if _FREE.get(name) != value}


def _measured(named: Tensors) -> dict[str, Any]:
    """What the shapes tell, under the names of our constructor."""
    width, channels, patch_size, _ = named["patches.project.weight"].shape
    tables = {name: tensor.shape for name, tensor in named.items() if name.endswith(".attention.relative_bias")}
    blocks = {match.groups() for name in named if (match := re.match(r"stages\.(\d+)\.block(\d+)\.", name))}
    order = sorted({stage for stage, _ in blocks}, key=int)
    sizes = {
        "in_channels": channels,
        "patch_size": patch_size,
        "width": width,
        "depths": tuple(sum(stage == at for at, _ in blocks) for stage in order),
        "num_heads": tuple(tables[f"stages.{stage}.block0.attention.relative_bias"][-1] for stage in order),
        "window": (math.isqrt(next(iter(tables.values()))[0]) + 1) // 2,
    }
    if "head.weight" in named:
        sizes["num_classes"] = named["head.weight"].shape[0]
    return sizes


def _name(sizes: Mapping[str, Any]) -> str:
    usual = sizes["patch_size"] == 4 and sizes["window"] == 7
    return _PUBLISHED.get((sizes["width"], sizes["depths"], sizes["num_heads"]), "swin") if usual else "swin"


LAYOUTS = (Layout("torchvision", _identify, _sizes, _rename),)
