"""How a reference project stores the weights of a family: the contract that every file beside this one fills.

A layout recognises a checkpoint by the names and shapes of its tensors, reads the sizes of the network from them (or
from the project's config.json), and gives the tensors our names. It never sees the network and runs nothing.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from netwright.core.messages import say

__all__ = ["ACTIVATIONS", "Layout", "Tensors", "end_sizes", "joined", "renamed", "warn_of_heads"]

log = logging.getLogger("netwright")
_PARTS = ("query", "key", "value")

Tensors = Mapping[str, Tensor]

ACTIVATIONS: Mapping[str, str] = {  # transformers' name -> ours
    "gelu": "gelu", "gelu_fast": "gelu-tanh", "gelu_new": "gelu-tanh", "gelu_python": "gelu",
    "gelu_pytorch_tanh": "gelu-tanh", "leaky_relu": "leaky-relu", "mish": "mish", "relu": "relu", "relu6": "relu6",
    "sigmoid": "sigmoid", "silu": "silu", "swish": "silu", "tanh": "tanh",
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """One project's way of storing one family.

    source: the project, as the field calls it ("torchvision", "timm", "transformers").
    identify: the name in our catalog that these tensors look like - a published size, or the kin's own name (`vit`) for
        sizes of somebody's own; None when they are of another family. The second argument is config.json ({} if none).
    sizes: arguments for that name's constructor, those that differ from its defaults; same arguments as `identify`.
    rename: the same weights under our names: split, joined and transposed where our network stores them otherwise.
    """

    source: str
    identify: Callable[[Tensors, Mapping[str, Any]], str | None]
    sizes: Callable[[Tensors, Mapping[str, Any]], dict[str, Any]]
    rename: Callable[[Tensors], dict[str, Tensor]]


def warn_of_heads(heads: int, width: int) -> None:
    """Say that a number of heads is a guess: another one gives other numbers, and no shape tells."""
    template = "no config.json tells the number of heads: {heads}, each {width} wide, unless num_heads is given"
    log.warning(say(template, heads=heads, width=width // heads))


def end_sizes(tensors: Tensors, stem: str, head: str) -> dict[str, Any]:
    """What the two ends of a network tell where they are not those for ImageNet: `in_channels`, `stem`, `num_classes`.

    Args:
        stem, head: names of the first filters and of the last layer's weight, which may lack.
    """
    filters = tensors[stem]
    found: dict[str, Any] = {}
    if filters.shape[1] != 3:
        found["in_channels"] = filters.shape[1]
    if filters.shape[2] == 3:
        found["stem"] = "small"
    if head in tensors and tensors[head].shape[0] != 1000:
        found["num_classes"] = tensors[head].shape[0]
    return found


def renamed(tensors: Tensors, rules: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Each name rewritten by every rule (regular expression, replacement), in order."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        ours = name
        for pattern, replacement in rules:
            ours = re.sub(pattern, replacement, ours)
        found[ours] = tensor
    return found


def joined(named: dict[str, Tensor]) -> dict[str, Tensor]:
    """Queries, keys and values in one matrix; what has lost a part stays as it is, and will be told as unexpected."""
    for query in [name for name in named if ".attention.query." in name]:
        names = [query.replace(".query.", f".{part}.") for part in _PARTS]
        parts = [named[name] for name in names if name in named]
        if len(parts) == len(names) and len({part.shape[1:] for part in parts}) == 1:
            named[query.replace(".query.", ".query_key_value.")] = torch.cat(parts)
            for name in names:
                del named[name]
    return named
