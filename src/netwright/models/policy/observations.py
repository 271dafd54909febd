"""From an observation to features: what the networks that act share. Hidden layers, for pictures behind convolutions.

The convolutions are those of Mnih et al., 2015, "Human-level control through deep reinforcement learning" (methods,
"Model architecture"), or for pictures that their strides leave nothing of, the layer of Young & Tian, 2019, "MinAtar".
``B`` batch, ``O`` observation, ``D`` width; ``C``, ``H`` and ``W`` channels, height and width of a picture.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from netwright.blocks.activations import ActivationName
from netwright.blocks.feedforward import dense_stack
from netwright.blocks.init import scaled_init
from netwright.core.errors import ConfigError

__all__ = ["ObservationNet"]

_NATURE = ((32, 8, 4), (64, 4, 2), (64, 3, 1))  # channels, kernel, stride; for 84x84
_SMALL = ((16, 3, 1),)  # for 10x10
_LEAST_NATURE, _LEAST = 36, 3  # pixels a side


class ObservationNet(nn.Module):
    """[convolutions ->] flatten -> [linear -> activation] x len(hidden); a subclass puts heads on it.

    Whole numbers from 0 to 255, as cameras and screens give them, are divided by 255; others are taken as they are.

    Args:
        in_features: numbers of an observation that goes without convolutions.
        image_shape: of observations that are pictures; the data decide it. Set null to read them as plain numbers.

    Shapes:
        [B, in_features] or [B, C, H, W] -> [B, hidden[-1]]

    Raises:
        ConfigError: pictures of less than 3x3; in `features`, an observation of another size.
    """

    def __init__(
        self,
        in_features: int,
        image_shape: tuple[int, int, int] | None,
        hidden: Sequence[int],
        activation: ActivationName,
    ) -> None:
        super().__init__()
        self.in_features, self.image_shape = in_features, image_shape
        width = in_features
        self.convolutions: nn.Sequential | None = None
        if image_shape is not None:
            self.convolutions, width = _convolutions(image_shape)
        self.trunk = dense_stack(width, hidden, activation)
        self.width = hidden[-1] if hidden else width

    def features(self, observation_BO: Tensor) -> Tensor:
        """The last hidden layer's output, [B, hidden[-1]]."""
        pixels = observation_BO.dtype == torch.uint8
        seen = observation_BO.to(self._dtype()) / 255 if pixels else observation_BO
        hidden: Tensor = self.trunk(self._flat(seen))
        return hidden

    def forward(self, observation_BO: Tensor) -> Any:
        """The features; a subclass puts heads on them."""
        return self.features(observation_BO)

    def _flat(self, seen: Tensor) -> Tensor:
        shape = tuple(seen.shape[1:])
        if self.convolutions is not None:
            if shape != tuple(self.image_shape or ()):
                template = "this network takes pictures of {wanted}, got {got}; build it with image_shape={got}"
                raise ConfigError(template, wanted=list(self.image_shape or ()), got=list(shape))
            flat: Tensor = self.convolutions(seen)
            return flat
        flat = seen.flatten(1)
        if flat.shape[1] != self.in_features:
            template = "this network takes {wanted} numbers an observation, got {got}; build it with in_features={got}"
            raise ConfigError(template, wanted=self.in_features, got=flat.shape[1])
        return flat

    def _dtype(self) -> torch.dtype:
        return next((weight.dtype for weight in self.parameters()), torch.float32)


def _convolutions(image_shape: tuple[int, int, int]) -> tuple[nn.Sequential, int]:
    """The convolutions for pictures of that shape, flattened at the end, and how many numbers they give."""
    channels, *sides = image_shape
    if min(sides) < _LEAST:
        template = "model.image_shape={got} leaves a convolution nothing; set it to null to read plain numbers"
        raise ConfigError(template, path="model.image_shape", got=list(image_shape))
    layers: list[nn.Module] = []
    for filters, kernel, stride in _NATURE if min(sides) >= _LEAST_NATURE else _SMALL:
        convolution = nn.Conv2d(channels, filters, kernel, stride)
        scaled_init(convolution, "relu")
        layers += [convolution, nn.ReLU()]
        channels, sides = filters, [(side - kernel) // stride + 1 for side in sides]
    return nn.Sequential(*layers, nn.Flatten()), channels * sides[0] * sides[1]
