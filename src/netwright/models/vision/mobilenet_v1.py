"""MobileNet v1: a plain stack of depthwise-separable convolutions, as narrow as the machine asks for.

Howard et al., 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", table 1.
``B`` batch, ``C`` channels, ``H`` and ``W`` height and width, ``D`` channels of the last map.

Differs from the paper: ReLU6 in place of ReLU and widths rounded to multiples of 8, both as in the authors' code and in
timm, whose numbers these are. Initial weights are He's.
"""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from netwright.blocks.conv import conv_norm_act
from netwright.blocks.heads import new_head, output_layer
from netwright.blocks.separable import rounded_channels, separable_unit
from netwright.blocks.sizes import require_size
from netwright.core.schemas import Positive, Probability, Size

__all__ = ["MobileNetV1", "small_strides"]

_STEM = 32
_STAGES = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))  # channels, layers, stride of the first


class MobileNetV1(nn.Module):
    """A 3x3 convolution, 13 separable ones in five stages, the mean over all places, one linear layer.

    width: multiplies the channels of every layer. stem: "small" keeps the size where the first two strides would halve
    it, for images under some 64 pixels. dropout: before the head.

    Shapes:
        [B, in_channels, H, W] -> [B, num_classes]; features: [B, D], D = 1024 at width 1

    Raises:
        ConfigError: images of other channels, or empty.
    """

    def __init__(
        self,
        in_channels: Size = 3,
        num_classes: Size = 1000,
        width: Positive = 1.0,
        stem: Literal["imagenet", "small"] = "imagenet",
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        strides = [2, *(stride for _, _, stride in _STAGES)]
        first, *others = small_strides(strides) if stem == "small" else strides
        channels = rounded_channels(_STEM * width)
        self.stem = conv_norm_act(in_channels, channels, stride=first, activation_name="relu6")
        self.stages = nn.Sequential()
        for (maps, layers, _), stride in zip(_STAGES, others, strict=True):
            wide = rounded_channels(maps * width)
            self.stages.append(_stage(channels, wide, layers, stride))
            channels = wide
        self.dropout = nn.Dropout(dropout)
        self.head = output_layer(channels, num_classes)

    def features(self, image_BCHW: Tensor) -> Tensor:
        """The mean of the last map over all places, [B, D]."""
        require_size(image_BCHW, least=1, layer="stem", network="MobileNet v1", in_channels=self.in_channels)
        maps_BDHW: Tensor = self.stages(self.stem(image_BCHW))
        return maps_BDHW.mean(dim=(2, 3))

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Scores before any softmax, [B, num_classes]."""
        scores: Tensor = self.head(self.dropout(self.features(image_BCHW)))
        return scores

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh last layer for `num_classes` classes; the trunk stays as it is."""
        self.head = new_head(self.head, num_classes)


def small_strides(strides: Sequence[int]) -> list[int]:
    """The strides for small images: the first two layers that shrink the map keep its size."""
    shrinking = [place for place, stride in enumerate(strides) if stride > 1][:2]
    return [1 if place in shrinking else stride for place, stride in enumerate(strides)]


def _stage(in_channels: int, channels: int, layers: int, stride: int) -> nn.Sequential:
    stage = nn.Sequential()
    for layer in range(layers):
        wide, step = (in_channels, stride) if layer == 0 else (channels, 1)
        stage.append(separable_unit(wide, channels, stride=step, activation_name="relu6"))
    return stage
