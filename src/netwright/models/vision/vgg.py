"""VGG: depth from blocks of 3x3 convolutions, each block half as large a map and up to twice as wide.

Simonyan and Zisserman, 2014, "Very deep convolutional networks for large-scale image recognition", table 1 (A is VGG
11, B 13, D 16, E 19); with batch norm after Ioffe and Szegedy, 2015, as in torchvision. ``B`` batch, ``C`` channels,
``H`` and ``W`` height and width, ``D`` units before the head.

Differs from the paper: the last map is averaged to a fixed size, so that the dense layers read images of other sizes;
with batch norm each convolution keeps its bias, which the norm cancels, since torchvision's weights have one. Initial
weights are He's.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from netwright.blocks.heads import new_head, output_layer
from netwright.blocks.init import scaled_init
from netwright.blocks.sizes import require_size
from netwright.core.errors import ConfigError
from netwright.core.schemas import Probability, Size, preset

__all__ = ["VGG", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn", "vgg_block"]

Norm = Literal["none", "batch"]


class VGG(nn.Module):
    """Blocks of 3x3 convolutions that end in a pooling, then dense layers with dropout, then the scores.

    depths: convolutions of each block. widths: channels of each block. norm: batch norm after each convolution.
    hidden: units of each dense layer; `[]` puts the head right on the pooled map. pool_size: side of the map that the
    dense layers read. Small images want fewer blocks (each halves the map), a small pool_size and one dense layer.

    Shapes:
        [B, in_channels, H, W] -> [B, num_classes]; features: [B, D], D = hidden[-1]

    Raises:
        ConfigError: not as many depths as widths; in `features`, images of other channels or too small to be halved by
            every block.
    """

    def __init__(
        self,
        in_channels: Size = 3,
        num_classes: Size = 1000,
        depths: tuple[Size, ...] = (2, 2, 3, 3, 3),
        widths: tuple[Size, ...] = (64, 128, 256, 512, 512),
        norm: Norm = "none",
        hidden: tuple[Size, ...] = (4096, 4096),
        pool_size: Size = 7,
        dropout: Probability = 0.5,
    ) -> None:
        super().__init__()
        if not depths or len(depths) != len(widths):
            raise ConfigError(
                "model.depths has {depths} blocks and model.widths {widths}; give both the same number of blocks",
                depths=len(depths), widths=len(widths),
            )  # fmt: skip
        self.in_channels = in_channels
        self.blocks = nn.Sequential()
        for channels, width, depth in zip((in_channels, *widths), widths, depths, strict=False):
            self.blocks.append(vgg_block(channels, width, depth, norm))
        self.pool = nn.AdaptiveAvgPool2d(pool_size)
        sizes = (widths[-1] * pool_size**2, *hidden)
        self.dense = _dense(sizes, dropout)
        self.dropout = nn.Dropout(dropout)
        self.head = output_layer(sizes[-1], num_classes)

    def features(self, image_BCHW: Tensor) -> Tensor:
        """The units of the last dense layer, [B, D]."""
        least, layer = 2 ** len(self.blocks), f"blocks.{len(self.blocks) - 1}.pool"
        require_size(image_BCHW, least=least, layer=layer, network="VGG", in_channels=self.in_channels)
        hidden_BD: Tensor = self.dense(self.pool(self.blocks(image_BCHW)).flatten(1))
        return hidden_BD

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Scores before any softmax, [B, num_classes]."""
        scores: Tensor = self.head(self.dropout(self.features(image_BCHW)))
        return scores

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh last layer for `num_classes` classes; the trunk stays as it is."""
        self.head = new_head(self.head, num_classes)


def vgg_block(in_channels: int, width: int, depth: int, norm: Norm = "none") -> nn.Sequential:
    """`depth` 3x3 convolutions to `width` channels, each with its ReLU, and a pooling that halves the map.

    Two of them see 5x5 pixels and three 7x7, with fewer weights than one large kernel and a nonlinearity after each.

    Shapes:
        [B, in_channels, H, W] -> [B, width, H // 2, W // 2]
    """
    layers = OrderedDict[str, nn.Module]()
    for number in range(1, depth + 1):
        conv = nn.Conv2d(in_channels if number == 1 else width, width, 3, padding=1)
        scaled_init(conv, "relu")
        layers[f"conv{number}"] = conv
        if norm == "batch":
            layers[f"norm{number}"] = nn.BatchNorm2d(width)
        layers[f"relu{number}"] = nn.ReLU(inplace=True)
    layers["pool"] = nn.MaxPool2d(2)
    return nn.Sequential(layers)


def _dense(sizes: Sequence[int], dropout: float) -> nn.Sequential:
    """The layers from size to size; the dropout of the last one's units stands before the head."""
    layers = OrderedDict[str, nn.Module]()
    for number, (before, after) in enumerate(pairwise(sizes), start=1):
        if number > 1:
            layers[f"dropout{number - 1}"] = nn.Dropout(dropout)
        layers[f"linear{number}"] = nn.Linear(before, after)
        scaled_init(layers[f"linear{number}"], "relu")
        layers[f"relu{number}"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


vgg11 = preset(VGG, "vgg11", depths=(1, 1, 2, 2, 2))
vgg13 = preset(VGG, "vgg13", depths=(2, 2, 2, 2, 2))
vgg16 = preset(VGG, "vgg16", depths=(2, 2, 3, 3, 3))
vgg19 = preset(VGG, "vgg19", depths=(2, 2, 4, 4, 4))
vgg11_bn = preset(VGG, "vgg11_bn", depths=(1, 1, 2, 2, 2), norm="batch")
vgg13_bn = preset(VGG, "vgg13_bn", depths=(2, 2, 2, 2, 2), norm="batch")
vgg16_bn = preset(VGG, "vgg16_bn", depths=(2, 2, 3, 3, 3), norm="batch")
vgg19_bn = preset(VGG, "vgg19_bn", depths=(2, 2, 4, 4, 4), norm="batch")
