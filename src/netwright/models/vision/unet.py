"""U-Net, a class for every pixel: down to coarse maps that know what, up again beside fine maps that know where.

Ronneberger, Fischer and Brox, 2015, "U-Net: convolutional networks for biomedical image segmentation". ``B`` batch,
``C`` channels, ``H`` and ``W`` height and width, ``D`` width of the finest maps, ``K`` classes.

Differs from the paper: convolutions are padded unless `padding` is "valid", so that there is a score for every pixel;
width and depth are free; a norm may follow each convolution; dropout at the end of the way down is 0 unless it is set.
"""

from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.blocks.activations import activation
from netwright.blocks.heads import require_outputs
from netwright.blocks.init import scaled_init
from netwright.blocks.norms import NormName, cancels_bias, norm
from netwright.blocks.sizes import require_size
from netwright.core.errors import ConfigError
from netwright.core.schemas import Probability, Size

__all__ = ["UNet"]

Padding = Literal["same", "valid"]
Depth = Annotated[int, Field(ge=1, le=8)]

_TAKEN = 4  # pixels that two 3x3 convolutions without padding take off a side


class UNet(nn.Module):
    """`depth` times two 3x3 convolutions and a pooling that halves the map and doubles its channels, then up again.

    On the way up a 2x2 transposed convolution doubles the map and halves its channels, the map of the same level on the
    way down is put beside it, and two 3x3 convolutions follow. A 1x1 convolution gives the scores.

    width: channels of the finest maps. padding: "same" keeps the image's size, whatever it is (its border is repeated
    up to a multiple of 2^depth pixels, and the scores are cut back); "valid" is the paper's: scores of the middle only
    (388 of 572 pixels at depth 4), and of sizes that every pooling can halve. dropout: at the end of the way down, as
    in the paper.

    Shapes:
        [B, in_channels, H, W] -> [B, num_classes, H, W]; features: [B, D, H, W]

    Raises:
        ConfigError: (in `forward`) an image too small, of other channels, or for "valid" of an odd size.
    """

    def __init__(
        self,
        in_channels: Size = 1,
        num_classes: Size = 2,
        width: Size = 64,
        depth: Depth = 4,
        padding: Padding = "same",
        norm: NormName = "none",
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        self.in_channels, self.depth, self.padding = in_channels, depth, padding
        self.needs_two = norm == "instance"  # pixels of the coarsest map: a norm of one alone leaves nothing of it
        widths = [width * 2**level for level in range(depth + 1)]
        rising = widths[-2::-1]
        self.down = nn.ModuleList(_pair(one, two, padding, norm) for one, two in pairwise([in_channels, *widths]))
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(dropout)
        self.up = nn.ModuleList(_doubling(2 * channels, channels) for channels in rising)
        self.join = nn.ModuleList(_pair(2 * channels, channels, padding, norm) for channels in rising)
        self.head = _scores(width, num_classes)

    def features(self, image_BCHW: Tensor) -> Tensor:
        """The finest maps before the scores, [B, D, H, W]."""
        self._require_fit(image_BCHW)
        height, width = image_BCHW.shape[-2:]
        maps, skips = image_BCHW, list[Tensor]()
        if self.padding == "same":
            maps = _extended(image_BCHW, 2**self.depth)
        for level, stage in enumerate(self.down):
            maps = stage(self.pool(maps) if level else maps)
            skips.append(maps)
        maps = self.dropout(skips.pop())
        for up, join in zip(self.up, self.join, strict=True):
            maps = up(maps)
            maps = join(torch.cat([_middle(skips.pop(), maps), maps], dim=1))
        scored: Tensor = maps[..., :height, :width]
        return scored

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Scores before any softmax, [B, num_classes, H, W]."""
        scores: Tensor = self.head(self.features(image_BCHW))
        return scores

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh last layer for `num_classes` classes; the trunk stays as it is."""
        require_outputs(num_classes)
        self.head = _scores(self.head.in_channels, num_classes).to(self.head.weight)

    def _require_fit(self, image_BCHW: Tensor) -> None:
        same = self.padding == "same"
        least = 1 if same else next(size for size in range(5, 1 << 16) if _kept(size, self.depth))
        if same and self.needs_two and max(image_BCHW.shape[2:]) <= 2**self.depth:
            least = 2**self.depth + 1
        require_size(image_BCHW, least=least, layer=f"down.{self.depth}", network="U-Net", in_channels=self.in_channels)
        for size in () if same else image_BCHW.shape[-2:]:
            if not _kept(size, self.depth):
                lower, upper = (_fitting(size, self.depth, step) for step in (-1, 1))
                template = (
                    "a U-Net with padding=valid halves no map with an odd side, and {size} pixels lead to one; "
                    "use images of {lower} or {upper}, or padding: same"
                )
                raise ConfigError(template, size=size, lower=lower, upper=upper)


def _pair(in_channels: int, channels: int, padding: Padding, norm_name: NormName) -> nn.Sequential:
    """Two 3x3 convolutions, each with its norm and a ReLU; He's initial weights, which the paper uses."""
    layers: list[nn.Module] = []
    for before in (in_channels, channels):
        conv = nn.Conv2d(before, channels, 3, padding=int(padding == "same"), bias=not cancels_bias(norm_name))
        scaled_init(conv, "relu")
        layers += [conv, *([norm(norm_name, channels, 2)] if norm_name != "none" else []), activation("relu")]
    return nn.Sequential(*layers)


def _doubling(in_channels: int, channels: int) -> nn.ConvTranspose2d:
    layer = nn.ConvTranspose2d(in_channels, channels, kernel_size=2, stride=2)
    scaled_init(layer)
    return layer


def _scores(width: int, num_classes: int) -> nn.Conv2d:
    head = nn.Conv2d(width, num_classes, kernel_size=1)
    scaled_init(head)
    return head


def _extended(image_BCHW: Tensor, step: int) -> Tensor:
    """The image with its last row and column repeated until both sides are multiples of `step`."""
    below, right = (-size % step for size in image_BCHW.shape[-2:])
    return F.pad(image_BCHW, (0, right, 0, below), mode="replicate") if below or right else image_BCHW


def _middle(skip_BCHW: Tensor, maps_BCHW: Tensor) -> Tensor:
    """The middle of a map from the way down that lies beside the (smaller) one on the way up."""
    height, width = maps_BCHW.shape[-2:]
    top, left = (skip_BCHW.shape[-2] - height) // 2, (skip_BCHW.shape[-1] - width) // 2
    return skip_BCHW[..., top : top + height, left : left + width]


def _kept(size: int, depth: int) -> int:
    """Pixels a side that get scores without padding; 0 where a pooling meets an odd map or nothing is left."""
    for _ in range(depth):
        size -= _TAKEN
        if size < 2 or size % 2:
            return 0
        size //= 2
    size -= _TAKEN
    for _ in range(depth):
        size = 2 * size - _TAKEN
    return max(size, 0)


def _fitting(size: int, depth: int, step: int) -> int:
    """The next size up or down (`step`) that fits; fitting sizes are 2^depth apart, and the least one is the last."""
    tried = size
    for _ in range(2**depth):
        tried += step
        if _kept(tried, depth):
            return tried
    return _fitting(size, depth, 1)
