"""Convolution, norm and activation in a row: the unit of nearly every convolutional network after 2015; and the stem.

Ioffe and Szegedy, 2015, "Batch normalization" (section 3.2: the norm stands before the nonlinearity, and takes over the
bias of the convolution). ``B`` batch, ``C`` channels, ``H`` and ``W`` height and width.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from torch import nn

from netwright.blocks.activations import ActivationName, activation
from netwright.blocks.init import scaled_init

__all__ = ["StemName", "conv_norm_act", "image_stem"]

StemName = Literal["imagenet", "small"]


def conv_norm_act(
    in_channels: int,
    out_channels: int,
    kernel: int = 3,
    stride: int = 1,
    groups: int = 1,
    activation_name: ActivationName = "relu",
    norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
) -> nn.Sequential:
    """`conv` (no bias, padded so that stride 1 keeps the size of an odd kernel), `norm` and `activation`, in a row.

    The activation "identity" leaves that layer out: the unit then ends linearly, as before a residual sum. `norm` makes
    the norm of so many channels; `partial(nn.BatchNorm2d, eps=…)` for constants other than PyTorch's. He's initial
    weights.

    Shapes:
        [B, in_channels, H, W] -> [B, out_channels, ceil(H / stride), ceil(W / stride)] for an odd kernel
    """
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
    scaled_init(conv, activation_name)
    layers = OrderedDict[str, nn.Module](conv=conv, norm=norm(out_channels))
    if activation_name != "identity":
        layers["activation"] = shape = activation(activation_name)
        if hasattr(shape, "inplace"):  # nobody else reads the norm's output, and a map less to write is time saved
            shape.inplace = True  # type: ignore[assignment]
    return nn.Sequential(layers)


def image_stem(in_channels: int, out_channels: int, name: StemName) -> nn.Sequential:
    """The first layers of a residual or densely connected network: `conv`, `norm`, `activation` and maybe `pool`.

    "imagenet": 7x7 at stride 2, then pooling, for images of some 224 pixels, a sixteenth of whose positions are left.
    "small": 3x3 at stride 1 (He et al., 2015, section 4.2), for images of some 32 pixels, which keeps all of them.

    Shapes:
        [B, in_channels, H, W] -> [B, out_channels, ceil(H / 4), ceil(W / 4)] or [B, out_channels, H, W]
    """
    if name == "small":
        return conv_norm_act(in_channels, out_channels)
    stem = conv_norm_act(in_channels, out_channels, kernel=7, stride=2)
    stem.add_module("pool", nn.MaxPool2d(kernel_size=3, stride=2, padding=1))
    return stem
