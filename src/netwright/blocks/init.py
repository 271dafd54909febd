"""Initial weights that keep the scale of a signal through the depth of a network.

He et al., 2015 (rectifiers) and Glorot and Bengio, 2010 / LeCun et al., 1998 (the rest). PyTorch's own default for
linear and convolution layers shrinks the signal by about 0.4 a ReLU layer, so a deep stack without norms stands still.
"""

import math

import torch
from torch import nn

from netwright.blocks.activations import gain_of

__all__ = ["orthogonal_init", "scaled_init"]

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@torch.no_grad()
def scaled_init(layer: nn.Module, activation: str = "identity") -> None:
    """Draw the weights of a linear or convolution layer, in place, from N(0, gain^2 / fan-in); zero its bias.

    The gain is that of `activation`, which follows the layer; "identity" for an output.
    """
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    fan_in: float = weight[0].numel()
    if isinstance(layer, _TRANSPOSED):  # [in, out, *kernel], and a stride spreads the kernel over its outputs
        fan_in = weight.numel() / weight.shape[1] / math.prod(layer.stride)
    nn.init.normal_(weight, std=gain_of(activation) / fan_in**0.5)
    if isinstance(layer.bias, torch.Tensor):
        nn.init.zeros_(layer.bias)


@torch.no_grad()
def orthogonal_init(layer: nn.Module, gain: float) -> None:
    """Give a linear or convolution layer weights that keep lengths and angles, times `gain`, in place; zero its bias.

    Saxe, McClelland and Ganguli, 2014, "Exact solutions to the nonlinear dynamics of learning in deep linear networks".
    """
    assert isinstance(layer.weight, torch.Tensor)
    nn.init.orthogonal_(layer.weight, gain)
    if isinstance(layer.bias, torch.Tensor):
        nn.init.zeros_(layer.bias)
