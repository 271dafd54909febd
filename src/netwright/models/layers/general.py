"""Kinds of layers for any signal: linear, flatten, reshape, dropout, DropPath, norms and activations."""

import math
from collections.abc import Callable
from typing import Literal

from torch import nn

from netwright.blocks.activations import activation as named_activation
from netwright.blocks.drop_path import DropPath
from netwright.blocks.norms import norm as named_norm
from netwright.core.errors import ConfigError
from netwright.core.schemas import NonNegative, Positive, Probability, Size
from netwright.models.layers.signal import Layer, LayerMisfitError, Signal, as_map

__all__ = [
    "drop_path", "dropout", "elu", "flatten", "leaky_relu", "linear", "norm", "output_only", "plain", "reshape",
]  # fmt: skip


def linear(signal: Signal, linear: Size | None = None, bias: bool = True, num_classes: Size | None = None) -> Layer:
    """Linear layer to `linear` units; without a number, as many as the data have classes. A sequence keeps its time.

    Shapes:
        [B, F] -> [B, linear] or [B, T, D] -> [B, T, linear]
    """
    units = linear or num_classes
    if units is None:
        raise LayerMisfitError("linear needs its number of units; write {example}", signal, example="{linear: 10}")
    if signal.layout in ("map", "raw"):
        raise LayerMisfitError(
            "linear after the unflattened {signal}; put flatten or global-pool before it",
            Signal((units,), "flat"), signal=signal,
        )  # fmt: skip
    return nn.Linear(signal.shape[-1], units, bias), Signal((*signal.shape[:-1], units), signal.layout)


def flatten(signal: Signal) -> Layer:
    """Everything of an example in one row: [B, *S] -> [B, F]."""
    return nn.Flatten(), Signal((math.prod(signal.shape),), "flat")


def reshape(signal: Signal, reshape: list[Size]) -> Layer:
    """Read the same numbers in another shape: [B, *S] -> [B, *reshape].

    Two sizes are (channels, length) or (time, width), as the next layer needs.
    """
    if not 1 <= len(reshape) <= 4:
        raise LayerMisfitError("reshape={shape} must have one to four sizes", shape=reshape)
    after = Signal.of_input(tuple(reshape))
    if math.prod(reshape) != math.prod(signal.shape):
        raise LayerMisfitError(
            "reshape to {shape} needs {wanted} numbers, and the {signal} has {got}",
            after, shape="x".join(map(str, reshape)), wanted=math.prod(reshape), signal=signal,
            got=math.prod(signal.shape),
        )  # fmt: skip
    return nn.Sequential(nn.Flatten(), nn.Unflatten(1, after.shape)), after


def dropout(signal: Signal, dropout: Probability = 0.5) -> Layer:
    """Set a `dropout` part of the numbers to zero in training (Srivastava et al., 2014)."""
    return nn.Dropout(dropout), signal


def drop_path(signal: Signal, drop_path: Probability = 0.1) -> Layer:
    """Leave out what a residual branch adds for a `drop_path` part of the examples, in training; its last layer."""
    return DropPath(drop_path), signal


def norm(
    signal: Signal, norm: Literal["batch", "layer", "instance", "group"] | None = None, groups: Size | None = None
) -> Layer:
    """A norm over the channels; without a name, layer norm for a sequence and batch norm for the rest."""
    if signal.layout == "sequence" and norm in (None, "layer"):
        return nn.LayerNorm(signal.shape[-1]), signal
    if signal.layout == "sequence":
        raise LayerMisfitError("norm={got} of a sequence; use norm: layer", signal, got=norm)
    if signal.layout != "flat":
        _, signal = as_map(signal, "norm")
    try:
        return named_norm(norm or "batch", signal.shape[0], len(signal.shape) - 1, groups), signal
    except ConfigError as error:
        raise LayerMisfitError("{error}", signal, error=error) from None


def plain(name: str) -> Callable[[Signal], Layer]:
    """The kind of layer that applies the activation `name`, which has no options."""

    def layer(signal: Signal) -> Layer:
        return named_activation(name), signal

    return layer


def leaky_relu(signal: Signal, leaky_relu: NonNegative = 0.01) -> Layer:
    """max(x, slope x), the slope being `leaky_relu`."""
    return nn.LeakyReLU(leaky_relu), signal


def elu(signal: Signal, elu: Positive = 1.0) -> Layer:
    """X if x > 0, else alpha (exp(x) - 1), alpha being `elu`."""
    return nn.ELU(elu), signal


def output_only(kind: type[nn.Softmax] | type[nn.LogSoftmax]) -> Callable[[Signal], Layer]:
    """Softmax over the channels, or over the last axis of a sequence; the stack allows it in the last place only."""

    def layer(signal: Signal) -> Layer:
        return kind(dim=-1 if signal.layout == "sequence" else 1), signal

    return layer
