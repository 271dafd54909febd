"""ViT's published weights: torchvision's .pth files, and transformers' folders under the names of now and of before 5.

Both are first read under our names; sizes come from the shapes there. Heads leave no trace in the shapes: config.json
tells their number, and without it each is taken to be 64 wide, as in all sizes of the paper but the largest.
``D`` width, ``T`` tokens, ``P`` a patch's side.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch

from netwright.core.errors import CheckpointError
from netwright.models.weights.layout import Layout, Tensors, renamed

__all__ = ["LAYOUTS"]

_PARTS = ("query", "key", "value")
_PUBLISHED = {(192, 12): "ti", (384, 12): "s", (768, 12): "b", (1024, 24): "l"}  # (width, layers)
_PATCHES = (8, 16, 32)
_HUGE_HEADS = {1280: 16}  # ViT-H, whose heads are 80 wide
_FREE = {"in_channels": 3, "image_size": 224, "num_classes": 1000, "norm_eps": 1e-6, "qkv_bias": True}

_TORCHVISION = (
    (r"^conv_proj\.", "patches.project."),
    (r"^encoder\.pos_embedding$", "positions.weight"),
    (r"^encoder\.ln\.", "norm."),
    (r"^heads\.head\.", "head."),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.", r"blocks.\1."),
    (r"\.ln_1\.", ".attention_norm."),
    (r"\.ln_2\.", ".feed_forward_norm."),
    (r"\.self_attention\.in_proj_(weight|bias)$", r".attention.query_key_value.\1"),
    (r"\.self_attention\.out_proj\.", ".attention.project."),
    (r"\.mlp\.(?:0|linear_1)\.", ".feed_forward.expand."),  # linear_1: files from before torchvision 0.14
    (r"\.mlp\.(?:3|linear_2)\.", ".feed_forward.project."),
)
_TRANSFORMERS = (
    (r"^vit\.", ""),
    (r"^embeddings\.cls_token$", "class_token"),
    (r"^embeddings\.position_embeddings$", "positions.weight"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patches.project."),
    (r"^layernorm\.", "norm."),
    (r"^classifier\.", "head."),
    (r"^(?:encoder\.layer|layers)\.(\d+)\.", r"blocks.\1."),
    (r"\.layernorm_before\.", ".attention_norm."),
    (r"\.layernorm_after\.", ".feed_forward_norm."),
    (r"\.attention\.attention\.(query|key|value)\.", r".attention.\1."),
    (r"\.attention\.q_proj\.", ".attention.query."),
    (r"\.attention\.k_proj\.", ".attention.key."),
    (r"\.attention\.v_proj\.", ".attention.value."),
    (r"\.attention\.(?:output\.dense|o_proj)\.", ".attention.project."),
    (r"\.(?:intermediate\.dense|mlp\.fc1)\.", ".feed_forward.expand."),
    (r"\.(?:output\.dense|mlp\.fc2)\.", ".feed_forward.project."),
)
_LEFT_OUT = ("pooler.", "embeddings.mask_token")  # of pre-training; no classifier reads them


def _rename_torchvision(tensors: Tensors) -> dict[str, torch.Tensor]:
    return _reshaped(renamed(tensors, _TORCHVISION))


def _rename_transformers(tensors: Tensors) -> dict[str, torch.Tensor]:
    named = renamed(tensors, _TRANSFORMERS)
    return _joined(_reshaped({name: named[name] for name in named if not name.startswith(_LEFT_OUT)}))


def _reshaped(named: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The class token without its two ones, [1, 1, D] -> [D], and the positions without theirs, [1, T, D] -> [T, D]."""
    if "class_token" in named:
        named["class_token"] = named["class_token"].flatten()
    if "positions.weight" in named:
        named["positions.weight"] = named["positions.weight"].flatten(0, -2)
    return named


def _joined(named: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Queries, keys and values in one matrix; what has lost a part stays as it is, and will be told as unexpected."""
    for query in [name for name in named if ".attention.query." in name]:
        names = [query.replace(".query.", f".{part}.") for part in _PARTS]
        parts = [named[name] for name in names if name in named]
        if len(parts) == len(names) and len({part.shape[1:] for part in parts}) == 1:
            named[query.replace(".query.", ".query_key_value.")] = torch.cat(parts)
            for name in names:
                del named[name]
    return named


def _torchvision_name(tensors: Tensors, config: Mapping[str, Any]) -> str | None:
    named = renamed(tensors, _TORCHVISION)
    return _name(_measured(named)) if "conv_proj.weight" in tensors and _is_ours(named) else None


def _torchvision_sizes(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Any]:
    return _differing(_measured(renamed(tensors, _TORCHVISION)))


def _transformers_name(tensors: Tensors, config: Mapping[str, Any]) -> str | None:
    named = renamed(tensors, _TRANSFORMERS)
    if config.get("model_type", "vit") != "vit" or not _is_ours(named):
        return None
    # DeiT's second token and BEiT's scales of residuals: neighbours under the same names.
    if any(name.endswith(("distillation_token", "lambda_1")) for name in named):
        return None
    return _name(_configured(named, config))


def _transformers_sizes(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Any]:
    if config.get("hidden_act", "gelu") != "gelu":
        raise CheckpointError(
            "config.json: hidden_act={got!r}, but this ViT computes gelu; load weights that were trained with it",
            got=config["hidden_act"],
        )
    return _differing(_configured(renamed(tensors, _TRANSFORMERS), config))


def _is_ours(named: Tensors) -> bool:
    """Whether what `_measured` reads is there."""
    ranks = {"patches.project.weight": 4, "positions.weight": 3, "blocks.0.feed_forward.expand.weight": 2}
    return "class_token" in named and all(name in named and named[name].dim() == ranks[name] for name in ranks)


def _measured(named: Tensors) -> dict[str, Any]:
    """What the shapes tell, under the names of our constructor."""
    width, channels, patch_size, _ = named["patches.project.weight"].shape
    layers = {name.split(".")[1] for name in named if name.startswith("blocks.")}
    attention = "blocks.0.attention"
    sizes = {
        "in_channels": channels,
        "image_size": patch_size * math.isqrt(named["positions.weight"].shape[-2] - 1),
        "patch_size": patch_size,
        "num_layers": len(layers),
        "num_heads": _HUGE_HEADS.get(width, max(1, width // 64)),
        "hidden_size": width,
        "inner_size": named["blocks.0.feed_forward.expand.weight"].shape[0],
        "qkv_bias": f"{attention}.query.bias" in named or f"{attention}.query_key_value.bias" in named,
    }
    if "head.weight" in named:
        sizes["num_classes"] = named["head.weight"].shape[0]
    return sizes


def _configured(named: Tensors, config: Mapping[str, Any]) -> dict[str, Any]:
    sizes = _measured(named)
    heads = config.get("num_attention_heads", sizes["num_heads"])
    return {**sizes, "num_heads": heads, "norm_eps": config.get("layer_norm_eps", 1e-12)}


def _name(sizes: Mapping[str, Any]) -> str:
    width, patch_size = sizes["hidden_size"], sizes["patch_size"]
    size = _PUBLISHED.get((width, sizes["num_layers"]))
    usual = sizes["inner_size"] == 4 * width and sizes["num_heads"] == width // 64
    return f"vit_{size}_{patch_size}" if size and usual and patch_size in _PATCHES else "vit"


def _differing(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Without what the name says already."""
    free = sizes if _name(sizes) == "vit" else {name: sizes[name] for name in sizes if name in _FREE}
    return {name: value for name, value in free.items() if _FREE.get(name) != value}


LAYOUTS = (
    Layout("torchvision", _torchvision_name, _torchvision_sizes, _rename_torchvision),
    Layout("transformers", _transformers_name, _transformers_sizes, _rename_transformers),
)
