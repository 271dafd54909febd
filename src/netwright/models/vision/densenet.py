"""DenseNet: every layer of a block reads the maps of all layers before it.

Huang, Liu, van der Maaten and Weinberger, 2016, "Densely connected convolutional networks"; this is its DenseNet-BC,
with bottlenecks and transitions that halve the channels. ``B`` batch, ``C`` channels, ``H`` and ``W`` height and width,
``D`` width of the representation, ``K`` classes.

Differs from the paper: as in torchvision, dropout stands after the 3x3 convolutions only, and the small stem has a norm
and a ReLU like the large one.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from netwright.blocks.conv import StemName, image_stem
from netwright.blocks.heads import new_head, output_layer
from netwright.blocks.init import scaled_init
from netwright.blocks.residual import DenseJoin
from netwright.blocks.sizes import require_size
from netwright.core.schemas import Probability, Size, preset

__all__ = ["DenseNet", "densenet121", "densenet161", "densenet169", "densenet201"]


def _block(channels: int, depth: int, growth_rate: int, bottleneck: int, dropout: float) -> nn.Sequential:
    """`depth` layers, each of which reads all channels before it and adds `growth_rate`."""
    layers = (_dense_layer(channels + place * growth_rate, growth_rate, bottleneck, dropout) for place in range(depth))
    return nn.Sequential(OrderedDict((f"layer{number}", DenseJoin(layer)) for number, layer in enumerate(layers, 1)))


def _relu() -> nn.ReLU:
    """It stands after a norm, whose gradient does not need its output, so it writes there and takes no memory."""
    return nn.ReLU(inplace=True)


def _dense_layer(channels: int, growth_rate: int, bottleneck: int, dropout: float) -> nn.Sequential:
    """Norm, ReLU, 1x1 convolution to `bottleneck` growth rates; norm, ReLU, 3x3 convolution to one growth rate."""
    inner = bottleneck * growth_rate
    layers = OrderedDict[str, nn.Module](
        norm1=nn.BatchNorm2d(channels),
        activation1=_relu(),
        conv1=_conv(channels, inner, 1),
        norm2=nn.BatchNorm2d(inner),
        activation2=_relu(),
        conv2=_conv(inner, growth_rate, 3),
    )
    if dropout:
        layers["dropout"] = nn.Dropout(dropout)
    return nn.Sequential(layers)


def _transition(channels: int) -> nn.Sequential:
    """Between two blocks: half the channels, a quarter of the positions."""
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            norm=nn.BatchNorm2d(channels),
            activation=_relu(),
            conv=_conv(channels, channels // 2, 1),
            pool=nn.AvgPool2d(2),
        )
    )


def _conv(channels: int, out_channels: int, kernel: int) -> nn.Conv2d:
    conv = nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2, bias=False)
    scaled_init(conv, "relu")
    return conv


class DenseNet(nn.Module):
    """A stem, dense blocks with transitions between them, norm, ReLU, mean, linear.

    growth_rate: channels that each layer adds (`k` of the paper). depths: layers of each block. initial_channels: of
    the stem. bottleneck: the 1x1 convolution's channels, in growth rates. dropout: after every layer of the blocks.
    stem: "imagenet" for large images, "small" for those of some 32 pixels. Initial weights are He's.

    Shapes:
        [B, in_channels, H, W] -> [B, num_classes]; features: [B, D], D the channels after the last block

    Raises:
        ConfigError: in `forward`, images too small for the transitions' pooling, or with other channels.
    """

    def __init__(
        self,
        in_channels: Size = 3,
        num_classes: Size = 1000,
        growth_rate: Size = 32,
        depths: Annotated[Sequence[Size], Field(min_length=1)] = (6, 12, 24, 16),
        initial_channels: Size = 64,
        bottleneck: Size = 4,
        dropout: Probability = 0.0,
        stem: StemName = "imagenet",
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        # Each transition halves the map, rounded down; the large stem takes a quarter of the side, rounded up.
        self.transitions = len(depths) - 1
        self.least_size = 2**self.transitions if stem == "small" else 4 * (2**self.transitions - 1) + 1
        stem_layers = image_stem(in_channels, initial_channels, stem)
        self.trunk = nn.Sequential(OrderedDict[str, nn.Module](stem=stem_layers))
        channels = initial_channels
        for number, depth in enumerate(depths, start=1):
            self.trunk.add_module(f"block{number}", _block(channels, depth, growth_rate, bottleneck, dropout))
            channels += depth * growth_rate
            if number < len(depths):
                self.trunk.add_module(f"transition{number}", _transition(channels))
                channels //= 2
        self._end(channels)
        self.head = output_layer(channels, num_classes)

    def _end(self, channels: int) -> None:
        self.trunk.add_module("norm", nn.BatchNorm2d(channels))
        self.trunk.add_module("activation", _relu())
        self.trunk.add_module("pool", nn.AdaptiveAvgPool2d(1))
        self.trunk.add_module("flatten", nn.Flatten())

    def features(self, image_BCHW: Tensor) -> Tensor:
        """The mean of the last block's maps, after norm and ReLU, [B, D]."""
        last = f"transition{self.transitions}"
        require_size(image_BCHW, least=self.least_size, layer=last, network="DenseNet", in_channels=self.in_channels)
        mean_BD: Tensor = self.trunk(image_BCHW)
        return mean_BD

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Scores before any softmax, [B, num_classes]."""
        scores: Tensor = self.head(self.features(image_BCHW))
        return scores

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh last layer for `num_classes` classes; the trunk stays as it is."""
        self.head = new_head(self.head, num_classes)


# Table 1 of the paper; 161 is of the authors' repository.
densenet121 = preset(DenseNet, "densenet121", depths=(6, 12, 24, 16))
densenet161 = preset(DenseNet, "densenet161", depths=(6, 12, 36, 24), growth_rate=48, initial_channels=96)
densenet169 = preset(DenseNet, "densenet169", depths=(6, 12, 32, 32))
densenet201 = preset(DenseNet, "densenet201", depths=(6, 12, 48, 32))
