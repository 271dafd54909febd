"""Fully connected parts: the stack of hidden layers (MLP, GAN, Q-network) and the Transformer's feed-forward block.

Rosenblatt, 1958; Rumelhart et al., 1986; the Transformer's block: Vaswani et al., 2017. ``B`` batch, ``D`` width.
"""

import itertools
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from netwright.blocks.activations import ActivationName, activation
from netwright.blocks.init import scaled_init
from netwright.blocks.norms import NormName, cancels_bias, norm

__all__ = ["FeedForward", "dense_stack", "recounted"]


def dense_stack(
    in_features: int,
    hidden: Sequence[int],
    activation_name: ActivationName = "relu",
    norm_name: NormName = "none",
    dropout: float = 0.0,
) -> nn.Sequential:
    """Hidden layers in a row, each linear -> norm -> activation -> dropout; an empty row gives its input back.

    A linear layer before a norm that removes its bias has none. With batch norm, dropout stands only after the last
    layer: before a batch norm it makes the variance of training differ from that of inference (Li et al., 2019). It has
    no number, so that the names of weights are the same with and without it.

    Shapes:
        [B, in_features] -> [B, hidden[-1]]
    """
    layers, number = OrderedDict[str, nn.Module](), itertools.count()
    width = in_features
    for depth, units in enumerate(hidden, start=1):
        linear = nn.Linear(width, units, bias=not cancels_bias(norm_name))
        scaled_init(linear, activation_name)
        layers[str(next(number))] = linear
        if norm_name != "none":
            layers[str(next(number))] = norm(norm_name, units)
        layers[str(next(number))] = activation(activation_name)
        if dropout and (norm_name != "batch" or depth == len(hidden)):
            layers[f"dropout{depth}"] = nn.Dropout(dropout)
        width = units
    return nn.Sequential(layers)


def recounted(stack: nn.Sequential, tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors, with those of a stack under its own names where an earlier version gave a number to dropouts, too.

    What does not fit the stack in this way stays as it is.
    """
    own = stack.state_dict(prefix=prefix)
    theirs, ours = _numbers(tensors, prefix), _numbers(own, prefix)
    if theirs == ours or len(theirs) != len(ours):
        return dict(tensors)
    new, renamed = dict(zip(theirs, ours, strict=True)), {}
    for name, tensor in tensors.items():
        number, dot, rest = name.removeprefix(prefix).partition(".")
        inside = name.startswith(prefix) and number.isdigit()
        renamed[f"{prefix}{new[int(number)]}{dot}{rest}" if inside else name] = tensor
    fits = all(name in renamed and renamed[name].shape == tensor.shape for name, tensor in own.items())
    return renamed if fits else dict(tensors)


def _numbers(tensors: Mapping[str, Tensor], prefix: str) -> list[int]:
    """The numbers that follow the prefix in names, ascending."""
    found = {name.removeprefix(prefix).partition(".")[0] for name in tensors if name.startswith(prefix)}
    return sorted(int(number) for number in found if number.isdigit())


class FeedForward(nn.Module):
    """The Transformer's block of two linear layers: W2 act(W1 x + b1) + b2, then dropout.

    Shapes:
        [..., D] -> [..., D]
    """

    def __init__(
        self, hidden_size: int, inner_size: int, activation_name: ActivationName = "gelu", dropout: float = 0.0,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.expand = nn.Linear(hidden_size, inner_size, bias=bias)
        self.activation = activation(activation_name)
        self.project = nn.Linear(inner_size, hidden_size, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.dropout(self.project(self.activation(self.expand(x))))
        return out
