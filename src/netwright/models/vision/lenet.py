"""LeNet-5, the convolutional network for handwritten digits.

LeCun, Bottou, Bengio and Haffner, 1998, "Gradient-based learning applied to document recognition". The paper's input is
32x32; one of 28x28 is padded by 2 to that, inside the first convolution. ``B`` batch, ``C`` channels, ``K`` classes.

Differs from the paper: every map of the second convolution sees all six below it, the average pooling has no trained
scale and shift, tanh is not rescaled, and the output is linear (for cross-entropy) in place of radial basis units.
"""

from typing import Literal

from torch import Tensor, nn

from netwright.blocks.activations import activation
from netwright.blocks.heads import new_head, output_layer
from netwright.blocks.init import scaled_init
from netwright.core.errors import ConfigError
from netwright.core.schemas import Probability, Size

__all__ = ["LeNet5"]

_LEAST_SIZE = {2: 12, 0: 16}  # padding of the first convolution -> smallest image that leaves one pixel after pool2


class LeNet5(nn.Module):
    """conv 6@5x5, pool, conv 16@5x5, pool, then 120, 84 and `num_classes` units.

    variant: "classic" is the paper's tanh and average pooling; "modern" is ReLU and max pooling, which learns faster.
    norm: batch norm after each convolution. dropout: before the last layer.

    Shapes:
        [B, in_channels, image_size, image_size] -> [B, num_classes]; features: [B, 84]

    Raises:
        ConfigError: an image too small for both poolings, here or in `forward`.
    """

    def __init__(
        self,
        in_channels: Size = 1,
        image_size: Size = 28,
        num_classes: Size = 10,
        variant: Literal["classic", "modern"] = "classic",
        norm: Literal["none", "batch"] = "none",
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        # Images under the paper's 32 pixels are padded, as the paper padded its 20x20 digits.
        padding = 2 if image_size < 32 else 0
        if image_size < _LEAST_SIZE[padding]:
            raise ConfigError(
                "model.image_size={size} is too small for LeNet-5: nothing is left after pool2; "
                "use images of at least {least} pixels, or an mlp",
                size=image_size, least=_LEAST_SIZE[padding],
            )  # fmt: skip
        self.input_shape = (in_channels, image_size, image_size)
        shape = "tanh" if variant == "classic" else "relu"
        self.conv1 = _stage(in_channels, 6, padding, shape, norm)
        self.pool1 = _pool(variant)
        self.conv2 = _stage(6, 16, 0, shape, norm)
        self.pool2 = _pool(variant)
        side = ((image_size + 2 * padding - 4) // 2 - 4) // 2
        self.dense = nn.Sequential(
            nn.Flatten(), nn.Linear(16 * side * side, 120), activation(shape), nn.Linear(120, 84), activation(shape)
        )
        if dropout:
            self.dense.append(nn.Dropout(dropout))
        self.head = output_layer(84, num_classes)
        for layer in self.dense:
            if isinstance(layer, nn.Linear):
                scaled_init(layer, shape)

    def features(self, image_BCHW: Tensor) -> Tensor:
        """The 84 units before the scores, [B, 84]."""
        if image_BCHW.shape[1:] != self.input_shape:
            raise ConfigError(
                "this LeNet-5 takes images of {wanted}, got {got}; resize them, or build it with that image_size",
                wanted=_text(self.input_shape), got=_text(tuple(image_BCHW.shape[1:])),
            )  # fmt: skip
        maps = self.pool2(self.conv2(self.pool1(self.conv1(image_BCHW))))
        hidden: Tensor = self.dense(maps)
        return hidden

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Scores before any softmax, [B, num_classes]."""
        scores: Tensor = self.head(self.features(image_BCHW))
        return scores

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh last layer for `num_classes` classes; the trunk stays as it is."""
        self.head = new_head(self.head, num_classes)


def _stage(channels: int, maps: int, padding: int, shape: str, norm: str) -> nn.Sequential:
    conv = nn.Conv2d(channels, maps, kernel_size=5, padding=padding, bias=norm == "none")
    scaled_init(conv, shape)
    stage = nn.Sequential(conv)
    if norm == "batch":
        stage.append(nn.BatchNorm2d(maps))
    return stage.append(activation(shape))


def _pool(variant: str) -> nn.Module:
    return nn.AvgPool2d(2) if variant == "classic" else nn.MaxPool2d(2)


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
