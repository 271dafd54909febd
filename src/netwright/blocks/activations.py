"""Activation functions by name: the one table that networks, hand-made layers and the doctor read.

Softmax and log-softmax normalise over all units, so they belong on an output only; they stand in a table of their own
and no hidden layer can name them.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.core.errors import ConfigError, suggest

__all__ = [
    "ACTIVATIONS", "OUTPUT_ACTIVATIONS", "ActivationName", "Hardswish", "OutputActivationName", "ReLU6", "activation",
    "gain_of",
]  # fmt: skip

ActivationName = Literal[
    "elu", "gelu", "gelu-tanh", "hardswish", "identity", "leaky-relu", "mish", "relu", "relu6", "selu", "sigmoid",
    "silu", "softplus", "tanh",
]
OutputActivationName = Literal["identity", "log-softmax", "sigmoid", "softmax", "tanh"]


class Hardswish(nn.Hardswish):
    """torch's, in place only while no gradient is asked, for which it would first copy what it overwrites."""

    def forward(self, input: Tensor) -> Tensor:
        return F.hardswish(input, self.inplace and not torch.is_grad_enabled())


class ReLU6(nn.ReLU6):
    """torch's, in place only while no gradient is asked, for which it would first copy what it overwrites."""

    def forward(self, input: Tensor) -> Tensor:
        return F.relu6(input, self.inplace and not torch.is_grad_enabled())


ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,  # x if x > 0 else exp(x) - 1 (Clevert et al., 2015)
    "gelu": nn.GELU,  # x * Phi(x) (Hendrycks and Gimpel, 2016)
    "gelu-tanh": lambda: nn.GELU(approximate="tanh"),  # the approximation that GPT-2 and BERT's first code use
    "hardswish": Hardswish,  # x * relu6(x + 3) / 6 (Howard et al., 2019)
    "identity": nn.Identity,
    "leaky-relu": nn.LeakyReLU,  # max(x, 0.01 x) (Maas et al., 2013)
    "mish": nn.Mish,  # x * tanh(softplus(x)) (Misra, 2019)
    "relu": nn.ReLU,  # max(x, 0) (Nair and Hinton, 2010)
    "relu6": ReLU6,
    "selu": nn.SELU,  # scaled ELU, self-normalising with LeCun initialisation (Klambauer et al., 2017)
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,  # x * sigmoid(x), also called Swish (Ramachandran et al., 2017)
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}

OUTPUT_ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,
    "log-softmax": lambda: nn.LogSoftmax(dim=1),
    "sigmoid": nn.Sigmoid,
    "softmax": lambda: nn.Softmax(dim=1),
    "tanh": nn.Tanh,
}

# 1 / sqrt(E[f(z)^2]) for a standard normal z: the factor that keeps a deep signal at unit scale (He et al., 2015, for
# ReLU). SELU's own constants make it one; sigmoid and softplus have a mean that no factor repairs.
_GAINS: Mapping[str, float] = {
    "elu": 1.245, "gelu": 1.534, "gelu-tanh": 1.534, "hardswish": 1.737, "leaky-relu": 1.414, "mish": 1.487,
    "relu": 1.414, "relu6": 1.414, "silu": 1.677, "tanh": 1.593,
}  # fmt: skip


def activation(name: str) -> nn.Module:
    """A new module of the activation called `name`.

    Raises:
        ConfigError: no activation has that name; the nearest names are given.
    """
    if name not in ACTIVATIONS:
        raise ConfigError("no activation is called {name!r}{hint}", name=name, hint=suggest(name, list(ACTIVATIONS)))
    return ACTIVATIONS[name]()


def gain_of(name: str) -> float:
    """The factor on the weights' standard deviation that keeps the scale of a signal through activation `name`."""
    return _GAINS.get(name, 1.0)
