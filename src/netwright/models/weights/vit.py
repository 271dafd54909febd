"""ViT's published weights: torchvision's .pth files, timm's (which has the sizes ti and s; DeiT's own files are like
them), and transformers' folders under the names of now and of before 5.

All are first read under our names; sizes come from the shapes there. Heads leave no trace in the shapes: config.json
tells their number, and without it each is taken to be 64 wide, as in all sizes of the paper but the largest.
``D`` width, ``T`` tokens, ``P`` a patch's side.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from netwright.core.errors import CheckpointError
from netwright.models.weights.layout import Layout, Tensors, joined, renamed, warn_of_heads

__all__ = ["LAYOUTS"]

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
_TIMM = (
    (r"^cls_token$", "class_token"),
    (r"^pos_embed$", "positions.weight"),
    (r"^patch_embed\.proj\.", "patches.project."),
    (r"\.norm1\.", ".attention_norm."),
    (r"\.norm2\.", ".feed_forward_norm."),
    (r"\.attn\.qkv\.", ".attention.query_key_value."),
    (r"\.attn\.proj\.", ".attention.project."),
    (r"\.mlp\.fc1\.", ".feed_forward.expand."),
    (r"\.mlp\.fc2\.", ".feed_forward.project."),
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
# Of neighbours: DeiT's second token, the scaled residuals of BEiT and DINOv2, norms that stand elsewhere.
_NEIGHBOURS = ("distillation_token", "dist_token", "lambda_1", ".gamma", "norm_pre.weight", "fc_norm.weight")


def _rename_transformers(tensors: Tensors) -> dict[str, torch.Tensor]:
    named = renamed(tensors, _TRANSFORMERS)
    return joined(_reshaped({name: named[name] for name in named if not name.startswith(_LEFT_OUT)}))


def _reshaped(named: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The class token without its two ones, [1, 1, D] -> [D], and the positions without theirs, [1, T, D] -> [T, D]."""
    if "class_token" in named:
        named["class_token"] = named["class_token"].flatten()
    if "positions.weight" in named:
        named["positions.weight"] = named["positions.weight"].flatten(0, -2)
    return named


def _transformers_name(tensors: Tensors, config: Mapping[str, Any]) -> str | None:
    named = renamed(tensors, _TRANSFORMERS)
    fits = config.get("model_type", "vit") == "vit" and _is_ours(named)
    return _name(_configured(named, config)) if fits else None


def _transformers_sizes(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Any]:
    if config.get("hidden_act", "gelu") != "gelu":
        raise CheckpointError(
            "config.json: hidden_act={got!r}, but this ViT computes gelu; load weights that were trained with it",
            got=config["hidden_act"],
        )
    sizes = _configured(renamed(tensors, _TRANSFORMERS), config)
    return _differing(sizes if "num_attention_heads" in config else _guessed(sizes))


def _is_ours(named: Tensors) -> bool:
    """Whether what `_measured` reads is there, and nothing that a neighbour adds."""
    ranks = {"patches.project.weight": 4, "positions.weight": 3, "blocks.0.feed_forward.expand.weight": 2}
    whole = "class_token" in named and all(name in named and named[name].dim() == ranks[name] for name in ranks)
    return whole and not any(name.endswith(_NEIGHBOURS) for name in named)


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


def _guessed(sizes: dict[str, Any]) -> dict[str, Any]:
    """The same, and a word about the heads of a size that nobody has published."""
    if _name(sizes) == "vit" and sizes["hidden_size"] not in _HUGE_HEADS:
        warn_of_heads(sizes["num_heads"], sizes["hidden_size"])
    return sizes


def _differing(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Without what the name says already."""
    free = sizes if _name(sizes) == "vit" else {name: sizes[name] for name in sizes if name in _FREE}
    return {name: value for name, value in free.items() if _FREE.get(name) != value}


def _of_files(source: str, rules: Sequence[tuple[str, str]]) -> Layout:
    """The layout of a project whose files come without a config.json: the shapes tell all."""
    return Layout(
        source,
        lambda tensors, _: _name(_measured(named)) if _is_ours(named := renamed(tensors, rules)) else None,
        lambda tensors, _: _differing(_guessed(_measured(renamed(tensors, rules)))),
        lambda tensors: _reshaped(renamed(tensors, rules)),
    )


LAYOUTS = (
    _of_files("torchvision", _TORCHVISION),
    _of_files("timm", _TIMM),
    Layout("transformers", _transformers_name, _transformers_sizes, _rename_transformers),
)
