"""GPT-2's checkpoints as transformers writes them, with or without the language-model head, old and new.

Its projections are stored as [in, out] (a 1x1 convolution in the original), so they are transposed; the head is the
embedding itself and is left out. The masks that old files carry are no weights.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from netwright.core.errors import CheckpointError
from netwright.models.weights.layout import ACTIVATIONS, Layout, Tensors, renamed, warn_of_heads

__all__ = ["LAYOUTS"]

_HEAD_WIDTH = 64  # of every published GPT-2; the tensors do not tell
_PUBLISHED = {  # (layers, width, heads) -> name
    (12, 768, 12): "gpt", (24, 1024, 16): "gpt2_medium", (36, 1280, 20): "gpt2_large", (48, 1600, 25): "gpt2_xl",
}  # fmt: skip
_TELLING = {"wte.weight", "wpe.weight", "h.0.attn.c_attn.weight"}
_ONLY = {  # settings of config.json that would change the numbers, with the one value that our network computes
    "add_cross_attention": False, "layer_norm_epsilon": 1e-5, "scale_attn_by_inverse_layer_idx": False,
    "scale_attn_weights": True,
}  # fmt: skip
_RULES = (
    (r"^wte\.", "tokens."),
    (r"^wpe\.", "positions."),
    (r"^ln_f\.", "norm."),
    (r"^h\.", "blocks."),
    (r"\.ln_1\.", ".attention_norm."),
    (r"\.ln_2\.", ".feed_forward_norm."),
    (r"\.attn\.c_attn\.", ".attention.query_key_value."),
    (r"\.attn\.c_proj\.", ".attention.project."),
    (r"\.mlp\.c_fc\.", ".feed_forward.expand."),
    (r"\.mlp\.c_proj\.", ".feed_forward.project."),
)


def _identify(tensors: Tensors, config: Mapping[str, Any]) -> str | None:
    bare = _bare(tensors)
    if config.get("model_type", "gpt2") != "gpt2" or not bare.keys() >= _TELLING:
        return None
    size = len(_layers(bare)), bare["wte.weight"].shape[1], _heads(bare, config)
    return _PUBLISHED.get(size, "gpt")


def _sizes(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Any]:
    for setting, value in _ONLY.items():
        if config.get(setting, value) != value:
            template = "config.json says {setting}={got}, which gpt cannot do; give weights with {setting}={value}"
            raise CheckpointError(template, setting=setting, got=config[setting], value=value)
    bare = _bare(tensors)
    (vocab_size, hidden_size), context = bare["wte.weight"].shape, bare["wpe.weight"].shape[0]
    sizes: dict[str, Any] = {
        "vocab_size": vocab_size, "context": context, "hidden_size": hidden_size,
        "num_layers": len(_layers(bare)), "num_heads": _heads(bare, config),
    }  # fmt: skip
    if "n_head" not in config and (sizes["num_layers"], hidden_size, sizes["num_heads"]) not in _PUBLISHED:
        warn_of_heads(sizes["num_heads"], hidden_size)
    inner_size = bare["h.0.mlp.c_fc.weight"].shape[1]
    sizes |= {"inner_size": inner_size} if inner_size != 4 * hidden_size else {}
    dropout, activation = config.get("resid_pdrop"), config.get("activation_function")
    sizes |= {"dropout": float(dropout)} if dropout is not None else {}
    return sizes | ({"activation": ACTIVATIONS.get(activation, activation)} if activation is not None else {})


def _rename(tensors: Tensors) -> dict[str, Tensor]:
    bare = _bare(tensors)
    head = bare.get("lm_head.weight")
    if head is not None and torch.equal(head, bare["wte.weight"]):
        del bare["lm_head.weight"]  # tied, as ours is; an untied one stays and is refused by name
    turned = {name: tensor.t() if re.search(r"\.c_\w+\.weight$", name) else tensor for name, tensor in bare.items()}
    return renamed(turned, _RULES)


def _layers(bare: Tensors) -> set[str]:
    return {name.split(".")[1] for name in bare if name.startswith("h.")}


def _heads(bare: Tensors, config: Mapping[str, Any]) -> int:
    return int(config.get("n_head", max(1, bare["wte.weight"].shape[1] // _HEAD_WIDTH)))


def _bare(tensors: Tensors) -> dict[str, Tensor]:
    """Without the prefix of the network inside the network with a head, and without masks."""
    return {
        name.removeprefix("transformer."): tensor for name, tensor in tensors.items()
        if not re.search(r"\.attn\.(masked_)?bias$", name)
    }  # fmt: skip


LAYOUTS: tuple[Layout, ...] = (Layout("transformers", _identify, _sizes, _rename),)
