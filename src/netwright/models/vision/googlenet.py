"""GoogLeNet (Inception v1): nine blocks that look at a map through filters of several sizes at once.

Szegedy et al., 2014, "Going deeper with convolutions", table 1; with batch norm after Ioffe and Szegedy, 2015, in
torchvision's layout. ``B`` batch, ``C`` channels, ``H`` and ``W`` height and width, ``D`` channels of the last map.

Differs from the paper: batch norm in place of local response normalisation, and the branch of 5x5 filters has 3x3, both
as in torchvision, whose weights fit. Those weights were trained on pixels scaled to -1..1; torchvision's
`transform_input` turns its usual normalisation into that inside the network, and is left out here: preprocessing is not
the network's, so normalise with mean 0.5 and deviation 0.5 to use them. Initial weights are He's.
"""

from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from netwright.blocks.conv import conv_norm_act
from netwright.blocks.heads import AuxiliaryLogits, new_head, output_layer
from netwright.blocks.init import scaled_init
from netwright.blocks.sizes import require_size
from netwright.core.schemas import Positive, Probability, Size

__all__ = ["AuxiliaryHead", "GoogLeNet", "Inception"]

Widths = tuple[int, int, int, int, int, int]

_WIDTHS: Mapping[str, Widths] = {  # of every block: 1x1; before 3x3, 3x3; before 5x5, 5x5; after pooling
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
_AUXILIARY_WEIGHT = 0.3  # of each auxiliary loss, section 5
_LEAST_SIZE = {"imagenet": 15, "small": 4}  # stem -> the smallest image of which pool3 gets two pixels

_unit = partial(conv_norm_act, norm=partial(nn.BatchNorm2d, eps=1e-3))


class Inception(nn.Module):
    """Four branches side by side, joined along the channels: 1x1, 3x3, "5x5" (see above) and pooling.

    A 1x1 convolution before each costly filter, and after the pooling, keeps the number of channels small.

    Shapes:
        [B, in_channels, H, W] -> [B, D, H, W], D = widths[0] + widths[2] + widths[4] + widths[5]
    """

    def __init__(self, in_channels: int, widths: Widths) -> None:
        super().__init__()
        one, before_three, three, before_five, five, pooled = widths
        self.out_channels = one + three + five + pooled
        self.one = _unit(in_channels, one, 1)
        self.three = nn.Sequential(_unit(in_channels, before_three, 1), _unit(before_three, three, 3))
        self.five = nn.Sequential(_unit(in_channels, before_five, 1), _unit(before_five, five, 3))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), _unit(in_channels, pooled, 1))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return torch.cat((self.one(x_BCHW), self.three(x_BCHW), self.five(x_BCHW), self.pooled(x_BCHW)), dim=1)


class AuxiliaryHead(nn.Module):
    """A small classifier on a middle map, there in training alone: pooled to 4x4, 1x1 convolution, two dense layers.

    Shapes:
        [B, in_channels, H, W] -> [B, num_classes]
    """

    def __init__(self, in_channels: int, num_classes: int, width: float, dropout: float) -> None:
        super().__init__()
        maps, hidden = _scaled(128, width), _scaled(1024, width)
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.conv = _unit(in_channels, maps, 1)
        self.dense = nn.Sequential(nn.Linear(maps * 16, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout))
        scaled_init(self.dense[0], "relu")
        self.head = output_layer(hidden, num_classes)

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        scores: Tensor = self.head(self.dense(self.conv(self.pool(maps_BCHW)).flatten(1)))
        return scores


class GoogLeNet(nn.Module):
    """Three convolutions, nine Inception blocks in three groups with poolings between, the mean of the map, the scores.

    auxiliary: heads after blocks 4a and 4d; the network then gives `AuxiliaryLogits` in training mode (in evaluation
    logits, as ever), which the classification task adds up. Weights of such heads in a checkpoint are passed over by a
    network that has none. width: multiplies the channels of every layer. stem: "small" keeps the size where the first
    convolution and pooling would halve it, for images under some 64 pixels. dropout: before the head;
    auxiliary_dropout: before the auxiliary ones'.

    Shapes:
        [B, in_channels, H, W] -> [B, num_classes]; features: [B, D], D = 1024 at width 1

    Raises:
        ConfigError: images of other channels, or too small for the poolings, in `features` and `forward`.
    """

    spare_weights = ("auxiliary.",)  # that a checkpoint may hold and a network do without

    def __init__(
        self,
        in_channels: Size = 3,
        num_classes: Size = 1000,
        auxiliary: bool = False,
        width: Positive = 1.0,
        stem: Literal["imagenet", "small"] = "imagenet",
        dropout: Probability = 0.2,
        auxiliary_dropout: Probability = 0.7,
    ) -> None:
        super().__init__()
        self.in_channels, self.least_size = in_channels, _LEAST_SIZE[stem]
        first = _stem(in_channels, width, small=stem == "small")
        channels = _scaled(192, width)
        # The network is cut where the auxiliary heads sit: after 4a and after 4d.
        self.lower, at_4a = _blocks(first, channels, ("3a", "3b", "pool3", "4a"), width)
        self.middle, at_4d = _blocks(nn.Sequential(), at_4a, ("4b", "4c", "4d"), width)
        self.upper, last = _blocks(nn.Sequential(), at_4d, ("4e", "pool4", "5a", "5b"), width)
        self.auxiliary = nn.ModuleList(
            AuxiliaryHead(maps, num_classes, width, auxiliary_dropout) for maps in (at_4a, at_4d) if auxiliary
        )
        self.dropout = nn.Dropout(dropout)
        self.head = output_layer(last, num_classes)
        self.register_load_state_dict_pre_hook(_pass_over_auxiliary)

    def features(self, image_BCHW: Tensor) -> Tensor:
        """The mean of the last map over all places, [B, D]."""
        return self._maps(image_BCHW)[-1].mean(dim=(2, 3))

    def forward(self, image_BCHW: Tensor) -> Tensor | AuxiliaryLogits:
        """Scores before any softmax, [B, num_classes]; `AuxiliaryLogits` in training with auxiliary heads."""
        *middle, last_BDHW = self._maps(image_BCHW)
        logits = self.head(self.dropout(last_BDHW.mean(dim=(2, 3))))
        if not (self.training and self.auxiliary):
            return logits  # type: ignore[no-any-return]
        aside = tuple(head(maps) for head, maps in zip(self.auxiliary, middle, strict=True))
        return AuxiliaryLogits(logits, aside, _AUXILIARY_WEIGHT)

    def reset_head(self, num_classes: int) -> None:
        """Put fresh last layers for `num_classes` classes, of auxiliary heads too; the trunk stays as it is."""
        self.head = new_head(self.head, num_classes)
        for aside in self.auxiliary:
            assert isinstance(aside, AuxiliaryHead)
            aside.head = new_head(aside.head, num_classes)

    def _maps(self, image_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The maps after blocks 4a, 4d and 5b."""
        least, channels = self.least_size, self.in_channels
        require_size(image_BCHW, least=least, layer="pool3", network="GoogLeNet", in_channels=channels)
        at_4a = self.lower(image_BCHW)
        at_4d = self.middle(at_4a)
        return at_4a, at_4d, self.upper(at_4d)


def _stem(in_channels: int, width: float, small: bool) -> nn.Sequential:
    narrow, wide = _scaled(64, width), _scaled(192, width)
    layers = OrderedDict[str, nn.Module](conv1=_unit(in_channels, narrow, *((3, 1) if small else (7, 2))))
    if not small:
        layers["pool1"] = _pool()
    layers |= {"conv2": _unit(narrow, narrow, 1), "conv3": _unit(narrow, wide, 3), "pool2": _pool()}
    return nn.Sequential(layers)


def _blocks(
    before: nn.Sequential, channels: int, names: tuple[str, ...], width: float
) -> tuple[nn.Sequential, int]:  # fmt: skip
    """`before` with these blocks and poolings after it, and the channels that leave the last."""
    for name in names:
        if name.startswith("pool"):
            before.add_module(name, _pool(2 if name == "pool4" else 3))
            continue
        block = Inception(channels, tuple(_scaled(size, width) for size in _WIDTHS[name]))  # type: ignore[arg-type]
        before.add_module(f"inception{name}", block)
        channels = block.out_channels
    return before, channels


def _pool(kernel: int = 3) -> nn.MaxPool2d:
    return nn.MaxPool2d(kernel, stride=2, ceil_mode=True)


def _scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))


def _pass_over_auxiliary(net: nn.Module, tensors: dict[str, Any], prefix: str, *_: object) -> None:
    """Drop the weights of auxiliary heads from what is loaded into a network without any: they serve training only."""
    if not net.auxiliary:
        for name in [name for name in tensors if name.startswith(f"{prefix}auxiliary.")]:
            del tensors[name]
