"""T5's published weights, both kinds, as transformers writes them (t5-small, google/t5-v1_1-base, flan-t5, ...).

All sizes stand in the shapes. The embedding may stand under several names, and under that of the head too where they
are tied. Whether scores are scaled by D^-0.5 config.json alone tells; without it they are, where embedding and head are
the same.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from netwright.core.errors import CheckpointError
from netwright.models.weights.layout import Layout, Tensors, renamed

__all__ = ["LAYOUTS"]

_EMBEDDINGS = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")
_BIAS = "block.0.layer.0.SelfAttention.relative_attention_bias.weight"
_PUBLISHED = {  # (feed-forward, width, inner size, heads, layers of each stack)
    ("relu", 512, 2048, 8, 6): "t5_small",
    ("relu", 768, 3072, 12, 12): "t5_base",
    ("relu", 1024, 4096, 16, 24): "t5_large",
    ("gated-gelu", 512, 1024, 6, 8): "t5_v1_1_small",
    ("gated-gelu", 768, 2048, 12, 12): "t5_v1_1_base",
}
_NAMES = {"gelu_new": "gelu", "gelu_pytorch_tanh": "gelu"}  # other names of the gate's activation
_RULES = (
    (r"^lm_head\.", "head."),
    (rf"\.{re.escape(_BIAS)}$", ".positions.weight"),
    (r"\.final_layer_norm\.", ".norm."),
    (r"\.block\.", ".blocks."),
    (r"\.layer\.0\.layer_norm\.", ".attention_branch.norm."),
    (r"^(decoder\..*)\.layer\.1\.layer_norm\.", r"\1.memory_branch.norm."),
    (r"\.layer\.[12]\.layer_norm\.", ".feed_forward_branch.norm."),
    (r"\.layer\.0\.SelfAttention\.", ".attention."),
    (r"\.layer\.1\.EncDecAttention\.", ".memory_attention."),
    (r"\.layer\.[12]\.DenseReluDense\.", ".feed_forward."),
    (r"attention\.q\.", "attention.query."),
    (r"attention\.k\.", "attention.key."),
    (r"attention\.v\.", "attention.value."),
    (r"attention\.o\.", "attention.project."),
    (r"\.wi_0\.", ".gate."),
    (r"\.wi(_1)?\.", ".expand."),
    (r"\.wo\.", ".project."),
)


def _identify(tensors: Tensors, config: Mapping[str, Any]) -> str | None:
    if not {f"encoder.{_BIAS}", f"decoder.{_BIAS}"} <= tensors.keys():
        return None
    sizes = _shapes(tensors)
    keys = ("feed_forward", "hidden_size", "inner_size", "num_heads", "num_layers")
    even = sizes["num_layers"] == sizes["num_decoder_layers"]
    return _PUBLISHED.get(tuple(sizes[key] for key in keys), "t5") if even else "t5"


def _sizes(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Any]:
    sizes = _shapes(tensors)
    _check(config, sizes)
    sizes["head"] = "tied" if _is_scaled(tensors, config) else "separate"
    dropout, distance = config.get("dropout_rate"), config.get("relative_attention_max_distance")
    sizes |= {"dropout": float(dropout)} if dropout is not None else {}
    return sizes | ({"max_distance": distance} if distance is not None else {})


def _shapes(tensors: Tensors) -> dict[str, Any]:
    """All that the tensors tell."""
    buckets, heads = tensors[f"encoder.{_BIAS}"].shape
    vocab_size, width = _embedding(tensors).shape
    gated = any(name.endswith(".wi_0.weight") for name in tensors)
    inner = tensors[f"encoder.block.0.layer.1.DenseReluDense.wi{'_0' if gated else ''}.weight"].shape[0]
    return {
        "vocab_size": vocab_size, "hidden_size": width, "inner_size": inner, "num_heads": heads, "buckets": buckets,
        "head_size": tensors["encoder.block.0.layer.0.SelfAttention.q.weight"].shape[0] // heads,
        "num_layers": _blocks(tensors, "encoder"), "num_decoder_layers": _blocks(tensors, "decoder"),
        "feed_forward": "gated-gelu" if gated else "relu",
    }  # fmt: skip


def _blocks(tensors: Tensors, stack: str) -> int:
    return len({name.split(".")[2] for name in tensors if name.startswith(f"{stack}.block.")})


def _check(config: Mapping[str, Any], sizes: Mapping[str, Any]) -> None:
    """Refuse settings of config.json that would change the numbers, and that our network does not compute."""
    kind = str(config.get("feed_forward_proj", sizes["feed_forward"]))
    kind = "-".join(_NAMES.get(part, part) for part in kind.split("-"))
    only = {"feed_forward_proj": (kind, sizes["feed_forward"])}
    only["layer_norm_epsilon"] = (config.get("layer_norm_epsilon", 1e-6), 1e-6)
    for setting, (got, value) in only.items():
        if got != value:
            template = "config.json says {setting}={got}, which t5 cannot do; give weights with {setting}={value}"
            raise CheckpointError(template, setting=setting, got=got, value=value)


def _is_scaled(tensors: Tensors, config: Mapping[str, Any]) -> bool:
    """Whether scores are scaled by D^-0.5: transformers 5 has a setting for that, earlier ones take it from the tie.

    Raises:
        CheckpointError: a scaled head that is not the embedding.
    """
    same = _is_tied(tensors)
    scaled = bool(config.get("scale_decoder_outputs", config.get("tie_word_embeddings", same) is not False))
    if scaled and not same:
        template = "config.json says {setting}={got}, which t5 cannot do; give weights with {setting}={value}"
        raise CheckpointError(template, setting="tie_word_embeddings", got=True, value=False)
    return scaled


def _is_tied(tensors: Tensors) -> bool:
    embedding = _embedding(tensors)
    head = tensors.get("lm_head.weight", embedding)
    return head is embedding or torch.equal(head, embedding)


def _embedding(tensors: Tensors) -> Tensor:
    return next(tensors[name] for name in _EMBEDDINGS if name in tensors)


def _rename(tensors: Tensors) -> dict[str, Tensor]:
    """Always with a head: a network whose head is the embedding does without it."""
    embedding = _embedding(tensors)
    kept = {
        name: tensor for name, tensor in tensors.items()
        if name not in _EMBEDDINGS and not name.endswith("EncDecAttention.relative_attention_bias.weight")
    }  # fmt: skip
    head = tensors.get("lm_head.weight", embedding)
    return {"tokens.weight": embedding, "head.weight": head, **renamed(kept, _RULES)}


LAYOUTS: tuple[Layout, ...] = (Layout("transformers", _identify, _sizes, _rename),)
