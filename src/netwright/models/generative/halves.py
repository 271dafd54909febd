"""The two halves of an autoencoder: an encoder from an example to a few numbers, a decoder from them to an example.

Fully connected: Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006; with
convolutions: the two networks of Radford et al., 2016 (see `blocks.rescaling`). ``B`` batch, ``Z`` numbers of the code,
``C`` channels, ``H`` and ``W`` height and width.
"""

import math
from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from netwright.blocks.activations import ActivationName, activation
from netwright.blocks.feedforward import dense_stack
from netwright.blocks.heads import output_layer
from netwright.blocks.init import scaled_init
from netwright.blocks.norms import NormName, cancels_bias, norm
from netwright.blocks.rescaling import coarsest, doublings, halvings
from netwright.core.errors import ConfigError

__all__ = ["ConvDecoder", "ConvEncoder", "DenseDecoder", "DenseEncoder", "require_flat"]


class DenseEncoder(nn.Module):
    """An example, flat, through hidden layers to the code.

    Shapes:
        [B, …] with `in_features` numbers an example -> [B, code_size]

    Raises:
        ConfigError: in `forward`, examples of another size.
    """

    def __init__(
        self, in_features: int, hidden: Sequence[int], code_size: int, activation_name: ActivationName, norm: NormName
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.trunk = dense_stack(in_features, hidden, activation_name, norm)
        self.head = output_layer(hidden[-1] if hidden else in_features, code_size)

    def forward(self, x: Tensor) -> Tensor:
        flat_BF = x.flatten(1)
        if flat_BF.shape[1] != self.in_features:
            template = (
                "this encoder takes {wanted} numbers an example, got {got} (an input of shape {shape}); build the "
                "network with in_features={got}, or image_shape"
            )
            got = math.prod(x.shape[1:])
            raise ConfigError(template, path="model", wanted=self.in_features, got=got, shape=tuple(x.shape))
        code: Tensor = self.head(self.trunk(flat_BF))
        return code


class DenseDecoder(nn.Module):
    """A code through hidden layers to an example.

    Shapes:
        [B, code_size] -> [B, *shape]
    """

    def __init__(
        self,
        code_size: int, hidden: Sequence[int], shape: Sequence[int], activation_name: ActivationName, norm: NormName,
    ) -> None:  # fmt: skip
        super().__init__()
        self.shape = tuple(shape)
        self.trunk = dense_stack(code_size, hidden, activation_name, norm)
        self.head = output_layer(hidden[-1] if hidden else code_size, math.prod(shape))

    def forward(self, code_BZ: Tensor) -> Tensor:
        made: Tensor = self.head(self.trunk(code_BZ)).unflatten(1, self.shape)
        return made


class ConvEncoder(nn.Module):
    """An image, halved once a width, to the code.

    Shapes:
        [B, *image_shape] -> [B, code_size]

    Raises:
        ConfigError: sides that cannot be halved so often; in `forward`, images of another shape.
    """

    def __init__(
        self,
        image_shape: Sequence[int], widths: Sequence[int], code_size: int, activation_name: ActivationName,
        norm: NormName,
    ) -> None:  # fmt: skip
        super().__init__()
        self.image_shape = tuple(image_shape)
        height, width = coarsest(image_shape, len(widths))
        self.trunk = halvings(image_shape[0], widths, norm, partial(activation, activation_name))
        _start(self.trunk, activation_name)
        self.head = output_layer(widths[-1] * height * width, code_size)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1:] != self.image_shape:
            template = "this encoder takes images of shape {wanted}, got {got}; build the network with that image_shape"
            raise ConfigError(template, path="model", wanted=self.image_shape, got=tuple(x.shape[1:]))
        code: Tensor = self.head(self.trunk(x).flatten(1))
        return code


class ConvDecoder(nn.Module):
    """A code to coarse maps, which are doubled once a width (the coarsest first).

    Shapes:
        [B, code_size] -> [B, *image_shape]

    Raises:
        ConfigError: see `ConvEncoder`.
    """

    def __init__(
        self,
        code_size: int, widths: Sequence[int], image_shape: Sequence[int], activation_name: ActivationName,
        norm_name: NormName,
    ) -> None:  # fmt: skip
        super().__init__()
        self.coarse = (widths[0] if widths else 0, *coarsest(image_shape, len(widths)))
        self.project = nn.Linear(code_size, math.prod(self.coarse), bias=not cancels_bias(norm_name))
        scaled_init(self.project, activation_name)
        self.norm = norm(norm_name, widths[0], 2)
        self.activation = activation(activation_name)
        self.trunk = doublings(widths, image_shape[0], norm_name, partial(activation, activation_name))
        _start(self.trunk, activation_name)

    def forward(self, code_BZ: Tensor) -> Tensor:
        maps = self.project(code_BZ).unflatten(1, self.coarse)
        made: Tensor = self.trunk(self.activation(self.norm(maps)))
        return made


def require_flat(norm: NormName) -> None:
    """Refuse a norm that needs maps, for networks that have none.

    Raises:
        ConfigError: instance norm.
    """
    if norm == "instance":
        template = "model.norm='instance' needs feature maps and dense layers have none; use batch, layer or none"
        raise ConfigError(template, path="model.norm")


def _start(trunk: nn.Sequential, activation_name: ActivationName) -> None:
    """Initial weights of the convolutions; the last one of a decoder has no activation after it."""
    last = len(trunk) - 1
    for place, layer in enumerate(trunk):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            scaled_init(layer, "identity" if place == last else activation_name)
