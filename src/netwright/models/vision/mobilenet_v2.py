"""MobileNet v2: inverted residuals, which carry a signal from one narrow linear layer to the next.

Sandler et al., 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", table 2. ``B`` batch, ``C`` channels,
``H`` and ``W`` height and width, ``D`` channels of the last map.

Differs from the paper: nothing in its numbers; widths are rounded to multiples of 8 as in the authors' code and in
torchvision. Initial weights are He's by fan-in; torchvision's depthwise ones start smaller, which the norms undo.
"""

from typing import Literal

from torch import Tensor, nn

from netwright.blocks.conv import conv_norm_act
from netwright.blocks.heads import new_head, output_layer
from netwright.blocks.inverted_residual import InvertedResidual
from netwright.blocks.separable import rounded_channels
from netwright.blocks.sizes import require_size
from netwright.core.schemas import Positive, Probability, Size
from netwright.models.vision.mobilenet_v1 import small_strides

__all__ = ["MobileNetV2"]

_STEM, _LAST = 32, 1280
_STAGES = (  # expansion, channels, blocks, stride of the first
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


class MobileNetV2(nn.Module):
    """A 3x3 convolution, 17 inverted residuals in seven stages, a 1x1 convolution, the mean, one linear layer.

    width: multiplies the channels of every layer; the last convolution is only ever made wider by it. stem: "small"
    keeps the size where the first two strides would halve it, for images under some 64 pixels. dropout: before the
    head.

    Shapes:
        [B, in_channels, H, W] -> [B, num_classes]; features: [B, D], D = 1280 up to width 1

    Raises:
        ConfigError: images of other channels, or empty.
    """

    def __init__(
        self,
        in_channels: Size = 3,
        num_classes: Size = 1000,
        width: Positive = 1.0,
        stem: Literal["imagenet", "small"] = "imagenet",
        dropout: Probability = 0.2,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        strides = [2, *(stride for *_, stride in _STAGES)]
        first, *others = small_strides(strides) if stem == "small" else strides
        channels, last = rounded_channels(_STEM * width), rounded_channels(_LAST * max(1.0, width))
        self.stem = conv_norm_act(in_channels, channels, stride=first, activation_name="relu6")
        self.stages = nn.Sequential()
        for (expansion, maps, blocks, _), stride in zip(_STAGES, others, strict=True):
            wide = rounded_channels(maps * width)
            self.stages.append(_stage(channels, wide, expansion, blocks, stride))
            channels = wide
        self.last = conv_norm_act(channels, last, 1, activation_name="relu6")
        self.dropout = nn.Dropout(dropout)
        self.head = output_layer(last, num_classes)

    def features(self, image_BCHW: Tensor) -> Tensor:
        """The mean of the last map over all places, [B, D]."""
        require_size(image_BCHW, least=1, layer="stem", network="MobileNet v2", in_channels=self.in_channels)
        maps_BDHW: Tensor = self.last(self.stages(self.stem(image_BCHW)))
        return maps_BDHW.mean(dim=(2, 3))

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Scores before any softmax, [B, num_classes]."""
        scores: Tensor = self.head(self.dropout(self.features(image_BCHW)))
        return scores

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh last layer for `num_classes` classes; the trunk stays as it is."""
        self.head = new_head(self.head, num_classes)


def _stage(in_channels: int, channels: int, expansion: int, blocks: int, stride: int) -> nn.Sequential:
    stage = nn.Sequential()
    for block in range(blocks):
        wide, step = (in_channels, stride) if block == 0 else (channels, 1)
        stage.append(InvertedResidual(wide, wide * expansion, channels, stride=step))
    return stage
