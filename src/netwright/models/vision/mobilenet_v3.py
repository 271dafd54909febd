"""MobileNet v3: the inverted residuals of v2 with squeeze-and-excitation and hardswish where a search put them.

Howard et al., 2019, "Searching for MobileNetV3", tables 1 and 2. ``B`` batch, ``C`` channels, ``H`` and ``W`` height
and width, ``D`` units of the layer before the head.

Differs from the paper: nothing in its numbers; widths are rounded to multiples of 8 as in the authors' code and in
torchvision. Initial weights are He's by fan-in; torchvision's depthwise ones start smaller, which the norms undo.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from itertools import groupby
from typing import Literal, NamedTuple

from torch import Tensor, nn

from netwright.blocks.activations import ActivationName, Hardswish
from netwright.blocks.conv import conv_norm_act
from netwright.blocks.heads import new_head, output_layer
from netwright.blocks.init import scaled_init
from netwright.blocks.inverted_residual import InvertedResidual
from netwright.blocks.separable import rounded_channels
from netwright.blocks.sizes import require_size
from netwright.core.schemas import Fraction, Positive, Probability, Size, preset
from netwright.models.vision.mobilenet_v1 import small_strides

__all__ = ["MobileNetV3", "mobilenet_v3_large", "mobilenet_v3_small"]

_STEM = 16


class _Row(NamedTuple):
    """One line of the paper's tables: an inverted residual."""

    kernel: int
    expanded: int
    channels: int
    squeezes: bool
    activation: ActivationName
    stride: int


_LARGE = (
    _Row(3, 16, 16, False, "relu", 1),
    _Row(3, 64, 24, False, "relu", 2),
    _Row(3, 72, 24, False, "relu", 1),
    _Row(5, 72, 40, True, "relu", 2),
    _Row(5, 120, 40, True, "relu", 1),
    _Row(5, 120, 40, True, "relu", 1),
    _Row(3, 240, 80, False, "hardswish", 2),
    _Row(3, 200, 80, False, "hardswish", 1),
    _Row(3, 184, 80, False, "hardswish", 1),
    _Row(3, 184, 80, False, "hardswish", 1),
    _Row(3, 480, 112, True, "hardswish", 1),
    _Row(3, 672, 112, True, "hardswish", 1),
    _Row(5, 672, 160, True, "hardswish", 2),
    _Row(5, 960, 160, True, "hardswish", 1),
    _Row(5, 960, 160, True, "hardswish", 1),
)
_SMALL = (
    _Row(3, 16, 16, True, "relu", 2),
    _Row(3, 72, 24, False, "relu", 2),
    _Row(3, 88, 24, False, "relu", 1),
    _Row(5, 96, 40, True, "hardswish", 2),
    _Row(5, 240, 40, True, "hardswish", 1),
    _Row(5, 240, 40, True, "hardswish", 1),
    _Row(5, 120, 48, True, "hardswish", 1),
    _Row(5, 144, 48, True, "hardswish", 1),
    _Row(5, 288, 96, True, "hardswish", 2),
    _Row(5, 576, 96, True, "hardswish", 1),
    _Row(5, 576, 96, True, "hardswish", 1),
)
_TABLES = {"large": (_LARGE, 1280), "small": (_SMALL, 1024)}  # the rows, and the units of the layer before the head


class MobileNetV3(nn.Module):
    """A 3x3 convolution, the rows of the paper's table, a 1x1 convolution, the mean, and two linear layers.

    Rows with the same number of channels are one stage. size: "large" has 15 rows, "small" 11. width: multiplies the
    channels of every layer. stem: "small" keeps the size where the first two strides would halve it, for images under
    some 64 pixels. dropout: before the head. norm_momentum: how fast the norms' running statistics follow; the authors'
    0.01 wants some thousand steps, 0.1 serves for shorter runs.

    Shapes:
        [B, in_channels, H, W] -> [B, num_classes]; features: [B, D], D = 1280 (large) or 1024 (small) at width 1

    Raises:
        ConfigError: images of other channels, or empty.
    """

    def __init__(
        self,
        in_channels: Size = 3,
        num_classes: Size = 1000,
        size: Literal["small", "large"] = "large",
        width: Positive = 1.0,
        stem: Literal["imagenet", "small"] = "imagenet",
        dropout: Probability = 0.2,
        norm_momentum: Fraction = 0.01,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        rows, units = _TABLES[size]
        norm = partial(nn.BatchNorm2d, eps=0.001, momentum=norm_momentum)
        strides = [2, *(row.stride for row in rows)]
        if stem == "small":
            strides = small_strides(strides)
        channels = rounded_channels(_STEM * width)
        self.stem = conv_norm_act(in_channels, channels, 3, strides[0], 1, "hardswish", norm)
        stepped = [row._replace(stride=stride) for row, stride in zip(rows, strides[1:], strict=True)]
        self.stages = nn.Sequential()
        for maps, stage in groupby(stepped, key=lambda row: row.channels):
            self.stages.append(_stage(channels, list(stage), width, norm))
            channels = rounded_channels(maps * width)
        self.last = conv_norm_act(channels, 6 * channels, 1, 1, 1, "hardswish", norm)
        self.dense = _dense(6 * channels, rounded_channels(units * width))
        self.dropout = nn.Dropout(dropout)
        self.head = output_layer(rounded_channels(units * width), num_classes)

    def features(self, image_BCHW: Tensor) -> Tensor:
        """The units before the head, [B, D]."""
        require_size(image_BCHW, least=1, layer="stem", network="MobileNet v3", in_channels=self.in_channels)
        maps_BCHW: Tensor = self.last(self.stages(self.stem(image_BCHW)))
        hidden_BD: Tensor = self.dense(maps_BCHW.mean(dim=(2, 3)))
        return hidden_BD

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Scores before any softmax, [B, num_classes]."""
        scores: Tensor = self.head(self.dropout(self.features(image_BCHW)))
        return scores

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh last layer for `num_classes` classes; the trunk stays as it is."""
        self.head = new_head(self.head, num_classes)


def _stage(in_channels: int, rows: list[_Row], width: float, norm: Callable[[int], nn.Module]) -> nn.Sequential:
    stage = nn.Sequential()
    for row in rows:
        expanded, channels = rounded_channels(row.expanded * width), rounded_channels(row.channels * width)
        squeezed = rounded_channels(expanded // 4) if row.squeezes else 0
        stage.append(
            InvertedResidual(in_channels, expanded, channels, row.kernel, row.stride, row.activation, squeezed, norm)
        )
        in_channels = channels
    return stage


def _dense(in_features: int, units: int) -> nn.Sequential:
    linear = nn.Linear(in_features, units)
    scaled_init(linear, "hardswish")
    return nn.Sequential(OrderedDict[str, nn.Module](linear=linear, activation=Hardswish()))


mobilenet_v3_large = preset(MobileNetV3, "mobilenet_v3_large", size="large")
mobilenet_v3_small = preset(MobileNetV3, "mobilenet_v3_small", size="small")
