"""BERT's checkpoints as transformers writes them, with any head or none, and under the names of before 2019.

The head is told by the tensors, everything else by their shapes; config.json adds what leaves no trace in a shape, the
number of heads first of all. A file of the bare encoder says nothing of a head: the network's own stays fresh.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from netwright.core.errors import CheckpointError
from netwright.models.weights.layout import ACTIVATIONS, Layout, Tensors, joined, renamed, warn_of_heads

__all__ = ["LAYOUTS"]

_PUBLISHED = {  # (width, layers, heads) -> name
    (128, 2, 2): "bert_tiny",
    (256, 4, 4): "bert_mini",
    (512, 4, 8): "bert_small",
    (512, 8, 8): "bert_medium",
    (768, 12, 12): "bert_base",
    (1024, 24, 16): "bert_large",
    (384, 6, 12): "minilm_l6",
}
_NARROW_HEADS = {(384, 6): 12}  # MiniLM's are 32 wide; all others 64
_ONLY = {  # settings of config.json that would change the numbers, with the one value that our network computes
    "position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False,
}  # fmt: skip
_FREE = {
    "vocab_size": 30522, "num_classes": None, "task": None, "context": 512, "segments": 2, "activation": "gelu",
    "dropout": 0.1, "norm_eps": 1e-12,
}  # fmt: skip
_RULES = (
    (r"^bert\.", ""),
    (r"\.gamma$", ".weight"),
    (r"\.beta$", ".bias"),
    (r"^embeddings\.word_embeddings\.", "tokens."),
    (r"^embeddings\.position_embeddings\.", "positions."),
    (r"^embeddings\.token_type_embeddings\.", "segments."),
    (r"^embeddings\.LayerNorm\.", "norm."),
    (r"^encoder\.layer\.", "blocks."),
    (r"\.attention\.self\.(query|key|value)\.", r".attention.\1."),
    (r"\.attention\.output\.dense\.", ".attention.project."),
    (r"\.attention\.output\.LayerNorm\.", ".attention_norm."),
    (r"\.intermediate\.dense\.", ".feed_forward.expand."),
    (r"(^blocks\.\d+)\.output\.dense\.", r"\1.feed_forward.project."),
    (r"(^blocks\.\d+)\.output\.LayerNorm\.", r"\1.feed_forward_norm."),
    (r"^pooler\.dense\.", "pooler."),
    (r"^classifier\.", "head."),
    (r"^qa_outputs\.", "head.span."),
    (r"^cls\.predictions\.transform\.dense\.", "head.transform."),
    (r"^cls\.predictions\.transform\.LayerNorm\.", "head.norm."),
    (r"^cls\.predictions\.bias$", "head.output_bias"),
    (r"^cls\.seq_relationship\.", "next_sentence."),
)


def _identify(tensors: Tensors, config: Mapping[str, Any]) -> str | None:
    if config.get("model_type", "bert") != "bert":
        return None
    named = renamed(tensors, _RULES)
    ours = all(
        name in named and named[name].dim() == 2
        for name in ("tokens.weight", "positions.weight", "segments.weight", "blocks.0.attention.query.weight")
    )
    return _name(_measured(named, config)) if ours else None


def _sizes(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Any]:
    for setting, value in _ONLY.items():
        if config.get(setting, value) != value:
            template = "config.json says {setting}={got}, which {name} cannot do; give weights with {setting}={value}"
            raise CheckpointError(template, setting=setting, got=config[setting], value=value, name="bert")
    sizes = _measured(_rename(tensors), config)
    if "num_attention_heads" not in config and _name(sizes) == "bert":
        warn_of_heads(sizes["num_heads"], sizes["hidden_size"])
    free = sizes if _name(sizes) == "bert" else {name: sizes[name] for name in sizes if name in _FREE}
    return {name: value for name, value in free.items() if name not in _FREE or _FREE[name] != value}


def _rename(tensors: Tensors) -> dict[str, Tensor]:
    named = renamed(tensors, _RULES)
    named.pop("embeddings.position_ids", None)  # 0, 1, 2, …
    embedding, decoder = named["tokens.weight"], named.get("cls.predictions.decoder.weight")
    if decoder is not None and torch.equal(decoder, embedding):
        del named["cls.predictions.decoder.weight"]  # tied, as ours is; an untied one stays and is refused by name
    bias = named.pop("cls.predictions.decoder.bias", None)
    if bias is not None:
        named.setdefault("head.output_bias", bias)
    if "pooler.weight" not in named:  # a head for each token rather than for the text: none that we have
        named = {name: tensor for name, tensor in named.items() if name not in ("head.weight", "head.bias")}
    return joined(named)


def _measured(named: Tensors, config: Mapping[str, Any]) -> dict[str, Any]:
    """What the shapes and config.json tell, under the names of our constructor."""
    vocab_size, width = named["tokens.weight"].shape
    layers = len({found[1] for name in named if (found := re.match(r"blocks\.(\d+)\.", name))})
    activation = config.get("hidden_act", "gelu")
    sizes: dict[str, Any] = {
        "vocab_size": vocab_size,
        "context": len(named["positions.weight"]),
        "num_layers": layers,
        "num_heads": config.get("num_attention_heads", _NARROW_HEADS.get((width, layers), max(1, width // 64))),
        "hidden_size": width,
        "inner_size": len(named["blocks.0.feed_forward.expand.weight"]),
        "segments": len(named["segments.weight"]),
        "activation": ACTIVATIONS.get(activation, activation),
        "norm_eps": config.get("layer_norm_eps", _FREE["norm_eps"]),
        "dropout": float(config.get("hidden_dropout_prob", _FREE["dropout"])),
    }
    if "head.span.weight" in named:
        sizes["task"] = "question-answering"
    elif "head.transform.weight" in named:
        sizes["task"] = "masked-language-modeling"
    elif "head.weight" in named:
        sizes |= {"task": "classification", "num_classes": len(named["head.weight"])}
    return sizes


def _name(sizes: Mapping[str, Any]) -> str:
    usual = sizes["inner_size"] == 4 * sizes["hidden_size"]
    return _PUBLISHED.get((sizes["hidden_size"], sizes["num_layers"], sizes["num_heads"]), "bert") if usual else "bert"


LAYOUTS: tuple[Layout, ...] = (Layout("transformers", _identify, _sizes, _rename),)
