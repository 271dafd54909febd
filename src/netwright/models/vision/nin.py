"""Network in Network: a small dense network at every place of the map, and no fully connected layer at all.

Lin, Chen and Yan, 2013, "Network in network". `nin` is the authors' network for 224-pixel photographs (their Caffe
model, 7.6 million weights), `nin_cifar` theirs for CIFAR-10 (section 4.2), `nin_classroom` the one-channel network of
Zhang et al., "Dive into Deep Learning", section 8.3. ``B`` batch, ``C`` channels, ``H`` and ``W`` height and width,
``K`` classes, ``D`` channels of the map before the head.

Differs from the paper: initial weights are He's, and CIFAR-10's whitening is the data's affair.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from netwright.blocks.heads import require_outputs
from netwright.blocks.init import scaled_init
from netwright.blocks.sizes import require_size
from netwright.core.errors import ConfigError
from netwright.core.schemas import Probability, Size, preset

__all__ = ["ClassMaps", "NiN", "nin_block", "nin_cifar", "nin_classroom"]

Stem = Literal["imagenet", "classroom", "small"]

_FIRST = {"imagenet": (11, 4, 0), "classroom": (11, 4, 0), "small": (5, 1, 2)}  # stem -> kernel, stride, padding


class ClassMaps(nn.Module):
    """The head: a 1x1 convolution to one map a class, a ReLU, and the mean of each map over all places.

    Shapes:
        [B, in_channels, H, W] -> [B, num_classes]
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, num_classes, 1)
        self.relu = nn.ReLU(inplace=True)
        scaled_init(self.conv, "relu")

    def forward(self, maps_BDHW: Tensor) -> Tensor:
        maps_BKHW: Tensor = self.relu(self.conv(maps_BDHW))
        return maps_BKHW.mean(dim=(2, 3))


class NiN(nn.Module):
    """NiN blocks with a 3x3 pooling of stride 2 after each but the last, and one map a class whose mean is the score.

    widths: of each block, the channels of its convolution and of the 1x1 convolutions on it; the head completes the
    last block. stem: "imagenet" begins with 11x11 filters of stride 4 and drops units before the last block alone;
    "classroom" is the same with poolings that round sizes down in place of up; "small", for images under some 64
    pixels, begins with 5x5 of stride 1, drops units after each pooling and averages in all poolings but the first.

    Shapes:
        [B, in_channels, H, W] -> [B, num_classes]; features: [B, D], D = widths[-1][-1]

    Raises:
        ConfigError: fewer than two blocks, or one without a width; in `features`, images of other channels or too small
            for the poolings.
    """

    def __init__(
        self,
        in_channels: Size = 3,
        num_classes: Size = 1000,
        stem: Stem = "imagenet",
        widths: Annotated[tuple[tuple[Size, ...], ...], Field(min_length=2)] = (
            (96, 96, 96), (256, 256, 256), (384, 384, 384), (1024, 1024),
        ),
        dropout: Probability = 0.5,
    ) -> None:  # fmt: skip
        super().__init__()
        if len(widths) < 2 or not all(widths):
            raise ConfigError(
                "model.widths={widths} needs two blocks or more, each of one width or more; give the likes of "
                "[[64, 64], [128, 128]]",
                widths=str([list(block) for block in widths]),
            )  # fmt: skip
        self.in_channels = in_channels
        self.last_pool = f"pool{len(widths) - 1}"
        self.least_size = _least_size(stem, len(widths))
        self.blocks = _blocks(in_channels, widths, stem, dropout)
        self.head = ClassMaps(widths[-1][-1], num_classes)

    def features(self, image_BCHW: Tensor) -> Tensor:
        """The mean over all places of the map that the head reads, [B, D]."""
        return self._map(image_BCHW).mean(dim=(2, 3))

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Scores before any softmax, [B, num_classes]."""
        scores: Tensor = self.head(self._map(image_BCHW))
        return scores

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh last layer for `num_classes` classes; the trunk stays as it is."""
        require_outputs(num_classes)
        weight = self.head.conv.weight
        self.head = ClassMaps(self.head.conv.in_channels, num_classes).to(weight.device, weight.dtype)

    def _map(self, image_BCHW: Tensor) -> Tensor:
        least, channels = self.least_size, self.in_channels
        require_size(image_BCHW, least=least, layer=self.last_pool, network="NiN", in_channels=channels)
        maps_BDHW: Tensor = self.blocks(image_BCHW)
        return maps_BDHW


def nin_block(
    in_channels: int, widths: Sequence[int], kernel: int, stride: int = 1, padding: int = 0
) -> nn.Sequential:  # fmt: skip
    """A convolution to widths[0] channels and 1x1 convolutions to the others, a ReLU after each (the paper's mlpconv).

    Shapes:
        [B, in_channels, H, W] -> [B, widths[-1], H', W'], the size after the first convolution
    """
    layers = OrderedDict[str, nn.Module]()
    for number, width in enumerate(widths, start=1):
        conv = nn.Conv2d(in_channels, width, kernel, stride, padding)
        scaled_init(conv, "relu")
        layers[f"conv{number}"], layers[f"relu{number}"] = conv, nn.ReLU(inplace=True)
        in_channels, kernel, stride, padding = width, 1, 1, 0
    return nn.Sequential(layers)


def _blocks(channels: int, widths: Sequence[Sequence[int]], stem: Stem, dropout: float) -> nn.Sequential:
    layers = OrderedDict[str, nn.Module]()
    for number, block in enumerate(widths, start=1):
        kernel, stride, padding = {1: _FIRST[stem], 2: (5, 1, 2)}.get(number, (3, 1, 1))
        layers[f"block{number}"] = nin_block(channels, block, kernel, stride, padding)
        channels = block[-1]
        if number == len(widths):
            break
        layers[f"pool{number}"] = _pool(stem, number)
        if stem == "small" or number == len(widths) - 1:
            layers[f"dropout{number}"] = nn.Dropout(dropout)
    return nn.Sequential(layers)


def _pool(stem: Stem, number: int) -> nn.Module:
    if stem == "small" and number > 1:
        return nn.AvgPool2d(3, stride=2, ceil_mode=True)
    return nn.MaxPool2d(3, stride=2, ceil_mode=stem != "classroom")


def _least_size(stem: Stem, blocks: int) -> int:
    """Backwards from one pixel after the last pooling, which needs 3 before it where sizes round down, or else 2."""
    kernel, stride, padding = _FIRST[stem]
    size = 1
    for _ in range(blocks - 1):
        size = 2 * size + 1 if stem == "classroom" else 2 * size
    return (size - 1) * stride + kernel - 2 * padding


nin_cifar = preset(
    NiN, "nin_cifar", num_classes=10, stem="small", widths=((192, 160, 96), (192, 192, 192), (192, 192))
)  # fmt: skip
nin_classroom = preset(
    NiN, "nin_classroom", in_channels=1, num_classes=10, stem="classroom",
    widths=((96, 96, 96), (256, 256, 256), (384, 384, 384), (10, 10)),
)  # fmt: skip
