"""Depthwise-separable convolution: places are mixed channel by channel, then channels place by place.

Sifre, 2014; Howard et al., 2017, "MobileNets", section 3.1: a kernel of k x k costs 1/C_out + 1/k^2 of the full
convolution's work. ``B`` batch, ``C`` channels, ``H`` and ``W`` height and width, ``*S`` one to three spatial sizes.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping

from torch import nn

from netwright.blocks.activations import ActivationName
from netwright.blocks.conv import conv_norm_act
from netwright.blocks.init import scaled_init

__all__ = ["rounded_channels", "separable_conv", "separable_unit"]

_CONV: Mapping[int, type[nn.Conv1d | nn.Conv2d | nn.Conv3d]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def separable_conv(
    in_channels: int,
    out_channels: int,
    kernel: tuple[int, ...] = (3, 3),
    stride: tuple[int, ...] = (1, 1),
    padding: tuple[int, ...] | str = "same",
    bias: bool = True,
) -> nn.Sequential:
    """The bare pair in as many dimensions as `kernel` has: `depthwise` (no bias), then a 1x1 `pointwise`.

    The padding "same" keeps the size, and is for stride 1. Weights start at unit gain.

    Shapes:
        [B, in_channels, *S] -> [B, out_channels, *S']
    """
    made = _CONV[len(kernel)]
    depthwise = made(in_channels, in_channels, kernel, stride, padding, groups=in_channels, bias=False)  # type: ignore[arg-type]
    pointwise = made(in_channels, out_channels, 1, bias=bias)
    for conv in (depthwise, pointwise):
        scaled_init(conv)
    return nn.Sequential(OrderedDict(depthwise=depthwise, pointwise=pointwise))


def separable_unit(
    in_channels: int,
    out_channels: int,
    kernel: int = 3,
    stride: int = 1,
    activation_name: ActivationName = "relu",
) -> nn.Sequential:
    """The pair with a norm and an activation after each half: the one layer that MobileNet v1 repeats.

    Shapes:
        [B, in_channels, H, W] -> [B, out_channels, ceil(H / stride), ceil(W / stride)] for an odd kernel
    """
    depthwise = conv_norm_act(in_channels, in_channels, kernel, stride, in_channels, activation_name)
    pointwise = conv_norm_act(in_channels, out_channels, 1, activation_name=activation_name)
    return nn.Sequential(OrderedDict(depthwise=depthwise, pointwise=pointwise))


def rounded_channels(channels: float, multiple: int = 8) -> int:
    """The multiple of 8 nearest to `channels`, at least 8, and never a tenth less than was asked for.

    A width multiplier (Howard et al., 2017, section 3.3) gives numbers of channels that fit no vector unit; this is how
    the authors' code, and everybody's after it, mends them.
    """
    near = max(multiple, math.floor(channels / multiple + 0.5) * multiple)
    return near if near >= 0.9 * channels else near + multiple
