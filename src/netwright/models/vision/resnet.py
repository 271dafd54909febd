"""ResNet: very deep convolutional networks whose blocks add to their input.

He, Zhang, Ren and Sun, 2015, "Deep residual learning for image recognition". ``B`` batch, ``C`` channels, ``H`` and
``W`` height and width, ``D`` width of the representation, ``K`` classes.

Differs from the paper: a bottleneck that halves the map does so in its 3x3 convolution, as torchvision's, and not in
the first 1x1, which would skip three quarters of the positions. A shortcut that changes shape is always a projection
(option B), in the small networks for CIFAR too, which padded with zeros there (option A). DropPath is of Huang et al.,
2016.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from netwright.blocks.conv import StemName, conv_norm_act, image_stem
from netwright.blocks.drop_path import drop_path_rates
from netwright.blocks.heads import new_head, output_layer
from netwright.blocks.residual import Residual
from netwright.blocks.sizes import require_size
from netwright.core.schemas import Probability, Size, preset

__all__ = ["BasicBlock", "Bottleneck", "ResNet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]


class _Block(nn.Module):
    """relu(skip(x) + branch(x)): what both kinds of blocks are."""

    def __init__(self, branch: nn.Module, skip: nn.Module, drop_path: float) -> None:
        super().__init__()
        self.join = Residual(branch, skip, drop_path)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.join(x))
        return out


class BasicBlock(_Block):
    """The branch is two 3x3 convolutions, the first with the stride (figure 5, left).

    Shapes:
        [B, C, H, W] -> [B, width, H / stride, W / stride]
    """

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int = 1, drop_path: float = 0.0) -> None:
        branch = nn.Sequential(
            conv_norm_act(channels, width, 3, stride), conv_norm_act(width, width, 3, activation_name="identity")
        )
        super().__init__(branch, _shortcut(channels, width, stride), drop_path)


class Bottleneck(_Block):
    """The branch is 1x1 to `width`, 3x3 with the stride, and 1x1 to four times `width` (figure 5, right).

    Shapes:
        [B, C, H, W] -> [B, 4 width, H / stride, W / stride]
    """

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int = 1, drop_path: float = 0.0) -> None:
        branch = nn.Sequential(
            conv_norm_act(channels, width, 1),
            conv_norm_act(width, width, 3, stride),
            conv_norm_act(width, 4 * width, 1, activation_name="identity"),
        )
        super().__init__(branch, _shortcut(channels, 4 * width, stride), drop_path)


_BLOCKS: Mapping[str, type[BasicBlock] | type[Bottleneck]] = {"basic": BasicBlock, "bottleneck": Bottleneck}


def _stage(kind: str, channels: int, width: int, stride: int, rates: Sequence[float]) -> nn.Sequential:
    """As many blocks as there are rates of DropPath; the first has the stride."""
    block = _BLOCKS[kind]
    stage = nn.Sequential()
    for rate in rates:
        stage.append(block(channels, width, stride, rate))
        channels, stride = width * block.expansion, 1
    return stage


def _shortcut(channels: int, out_channels: int, stride: int) -> nn.Module:
    """The identity wherever it fits: the signal of the first layers then reaches the last untouched."""
    if stride == 1 and channels == out_channels:
        return nn.Identity()
    return conv_norm_act(channels, out_channels, 1, stride, activation_name="identity")


class ResNet(nn.Module):
    """A stem, stages of residual blocks that halve the map and double the width from one to the next, mean, linear.

    block: "basic" of two convolutions, "bottleneck" of three. depths: blocks of each stage. width: channels of the
    first stage (before a bottleneck's factor of four). stem: "imagenet" for large images, "small" for those of some 32
    pixels, where depths (n, n, n) and a width of 16 are the paper's ResNet-(6n + 2). drop_path: of the last block; it
    rises from zero at the first. dropout: before the last layer. Initial weights are He's.

    Shapes:
        [B, in_channels, H, W] -> [B, num_classes]; features: [B, D], where D is the width of the last stage

    Raises:
        ConfigError: in `forward`, an input that is no batch of images with `in_channels` channels.
    """

    def __init__(
        self,
        in_channels: Size = 3,
        num_classes: Size = 1000,
        block: Literal["basic", "bottleneck"] = "basic",
        depths: Annotated[Sequence[Size], Field(min_length=1)] = (2, 2, 2, 2),
        width: Size = 64,
        stem: StemName = "imagenet",
        drop_path: Probability = 0.0,
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.trunk = nn.Sequential(OrderedDict[str, nn.Module](stem=image_stem(in_channels, width, stem)))
        channels = width
        rates = iter(drop_path_rates(drop_path, sum(depths)))
        for number, depth in enumerate(depths):
            stage = _stage(block, channels, width << number, 2 if number else 1, [next(rates) for _ in range(depth)])
            self.trunk.add_module(f"stage{number + 1}", stage)
            channels = (width << number) * _BLOCKS[block].expansion
        self.trunk.add_module("pool", nn.AdaptiveAvgPool2d(1))
        self.trunk.add_module("flatten", nn.Flatten())
        self.dropout = nn.Dropout(dropout)
        self.head = output_layer(channels, num_classes)

    def features(self, image_BCHW: Tensor) -> Tensor:
        """The mean of the last stage's maps, [B, D]."""
        # Every layer is padded, so even one pixel reaches the last stage; the small stem serves such images better.
        require_size(image_BCHW, least=1, layer="stem", network="ResNet", in_channels=self.in_channels)
        mean_BD: Tensor = self.trunk(image_BCHW)
        return mean_BD

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Scores before any softmax, [B, num_classes]."""
        scores: Tensor = self.head(self.dropout(self.features(image_BCHW)))
        return scores

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh last layer for `num_classes` classes; the trunk stays as it is."""
        self.head = new_head(self.head, num_classes)


# Table 1 of the paper.
resnet18 = preset(ResNet, "resnet18", depths=(2, 2, 2, 2))
resnet34 = preset(ResNet, "resnet34", depths=(3, 4, 6, 3))
resnet50 = preset(ResNet, "resnet50", block="bottleneck", depths=(3, 4, 6, 3))
resnet101 = preset(ResNet, "resnet101", block="bottleneck", depths=(3, 4, 23, 3))
resnet152 = preset(ResNet, "resnet152", block="bottleneck", depths=(3, 8, 36, 3))
