"""AlexNet, the network that brought convolution to large photographs.

Krizhevsky, Sutskever and Hinton, 2012, "ImageNet classification with deep convolutional neural networks"; as one tower
Krizhevsky, 2014, "One weird trick for parallelizing convolutional neural networks", which is torchvision's. The
classroom variant, for 1x224x224, is that of Zhang et al., "Dive into Deep Learning", section 8.1. ``B`` batch, ``C``
channels, ``H`` and ``W`` height and width, ``D`` width of the dense layers.

Differs from the paper: no local response normalisation, no split over two processors; the last map is averaged to a
fixed size, so that larger images work too. Initial weights are He's: the paper's, of deviation 0.01, hardly move here.
"""

from collections import OrderedDict
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from netwright.blocks.heads import new_head, output_layer
from netwright.blocks.init import scaled_init
from netwright.blocks.sizes import require_size
from netwright.core.schemas import Probability, Size, preset

__all__ = ["AlexNet", "alexnet_classroom"]

_FIRST = {"imagenet": (11, 4, 2), "classroom": (11, 4, 1), "small": (5, 1, 2)}  # stem -> kernel, stride, padding
_LEAST_SIZE = {"imagenet": 63, "classroom": 65, "small": 15}  # the smallest image that leaves one pixel after pool3
_SIDE = {"imagenet": 6, "classroom": 5, "small": 3}  # of the map that the dense layers read


class AlexNet(nn.Module):
    """Five convolutions (11x11, 5x5, three of 3x3) with three poolings, two dense layers with dropout, the scores.

    stem: "classroom" pads the first convolution less, so that 224 pixels leave a map of 5x5, and drops units after each
    dense layer in place of before it; "small" begins with a 5x5 convolution of stride 1, for images of 15 to 64 pixels.
    widths: channels of the five convolutions. hidden: units of each dense layer.

    Shapes:
        [B, in_channels, H, W] -> [B, num_classes]; features: [B, D], D = hidden

    Raises:
        ConfigError: images of other channels, or too small for the three poolings, in `features`.
    """

    def __init__(
        self,
        in_channels: Size = 3,
        num_classes: Size = 1000,
        stem: Literal["imagenet", "classroom", "small"] = "imagenet",
        widths: Annotated[tuple[Size, ...], Field(min_length=5, max_length=5)] = (64, 192, 384, 256, 256),
        hidden: Size = 4096,
        dropout: Probability = 0.5,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.least_size = _LEAST_SIZE[stem]
        self.convs = _convs(in_channels, *_FIRST[stem], tuple(widths))
        self.pool = nn.AdaptiveAvgPool2d(_SIDE[stem])
        self.dense = _dense(widths[-1] * _SIDE[stem] ** 2, hidden, dropout, drop_first=stem != "classroom")
        self.dropout = nn.Dropout(dropout) if stem == "classroom" else nn.Identity()
        self.head = output_layer(hidden, num_classes)

    def features(self, image_BCHW: Tensor) -> Tensor:
        """The units of the second dense layer, [B, D]."""
        least, channels = self.least_size, self.in_channels
        require_size(image_BCHW, least=least, layer="pool3", network="AlexNet", in_channels=channels)
        hidden_BD: Tensor = self.dense(self.pool(self.convs(image_BCHW)).flatten(1))
        return hidden_BD

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Scores before any softmax, [B, num_classes]."""
        scores: Tensor = self.head(self.dropout(self.features(image_BCHW)))
        return scores

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh last layer for `num_classes` classes; the trunk stays as it is."""
        self.head = new_head(self.head, num_classes)


def _convs(in_channels: int, kernel: int, stride: int, padding: int, widths: tuple[int, ...]) -> nn.Sequential:
    first = nn.Conv2d(in_channels, widths[0], kernel, stride, padding)
    second = nn.Conv2d(widths[0], widths[1], 5, padding=2)
    others = [nn.Conv2d(c, d, 3, padding=1) for c, d in pairwise(widths[1:])]
    layers = OrderedDict[str, nn.Module]()
    for number, conv in enumerate((first, second, *others), start=1):
        scaled_init(conv, "relu")
        layers[f"conv{number}"] = conv
        layers[f"relu{number}"] = nn.ReLU(inplace=True)
        if number in (1, 2, 5):
            layers[f"pool{min(number, 3)}"] = nn.MaxPool2d(3, stride=2)
    return nn.Sequential(layers)


def _dense(inputs: int, hidden: int, dropout: float, drop_first: bool) -> nn.Sequential:
    layers = OrderedDict[str, nn.Module]()
    for number, width in enumerate((inputs, hidden), start=1):
        if drop_first or number > 1:
            layers[f"dropout{number}"] = nn.Dropout(dropout)
        layers[f"linear{number}"] = nn.Linear(width, hidden)
        scaled_init(layers[f"linear{number}"], "relu")
        layers[f"relu{number}"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


alexnet_classroom = preset(
    AlexNet, "alexnet_classroom", in_channels=1, num_classes=10, stem="classroom", widths=(96, 256, 384, 384, 256)
)
