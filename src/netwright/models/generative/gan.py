"""Generative adversarial networks: a generator that makes examples and a discriminator that tells them from real ones.

Goodfellow et al., 2014. `GAN` is the pair, whatever the two are made of; `dense_gan` is the original, fully connected.
``B`` batch, ``Z`` noise, ``C`` channels.

Differs from the paper: batch-normed ReLU and tanh in the generator, leaky ReLU (slope 0.2) and dropout in the
discriminator where the paper has maxout, both after Radford et al., 2016; images live in [-1, 1].
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from netwright.blocks.feedforward import dense_stack
from netwright.blocks.heads import new_head, output_layer
from netwright.blocks.init import scaled_init
from netwright.blocks.norms import NormName
from netwright.core.errors import ConfigError
from netwright.core.schemas import Probability, Size

__all__ = ["GAN", "DenseGenerator", "Discriminator", "dense_gan"]


class GAN(nn.Module):
    """A generator and a discriminator; both are submodules, so that each phase of training takes its own parameters.

    Shapes:
        generator: noise [B, Z] -> x [B, *image_shape] in [-1, 1]; discriminator: x -> logit that x is real [B];
        forward: noise [B, Z] -> the discriminator's logit of what the generator makes of it [B]
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, noise_size: int) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.noise_size = noise_size

    def forward(self, noise_BZ: Tensor) -> Tensor:
        """The discriminator's logits of generated examples, [B]."""
        scores: Tensor = self.discriminator(self.generator(noise_BZ))
        return scores

    def noise(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Standard normal noise [n, Z]; drawn from a CPU `generator` it is the same on every device."""
        like = next(self.parameters())
        device = generator.device if generator is not None else like.device
        return torch.randn(n, self.noise_size, generator=generator, device=device).to(like.device, like.dtype)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Make `n` new examples in inference mode, [n, *image_shape] in [-1, 1]."""
        mode = self.generator.training
        self.generator.eval()
        try:
            made: Tensor = self.generator(self.noise(n, generator))
        finally:
            self.generator.train(mode)
        return made

    def features(self, x: Tensor) -> Tensor:
        """What the discriminator sees in `x` before its score, [B, D]."""
        seen: Tensor = self.discriminator.features(x)  # type: ignore[operator]
        return seen

    def reset_head(self, num_classes: int) -> None:
        """Turn the discriminator into a classifier: a fresh head with `num_classes` scores (1: a logit again)."""
        self.discriminator.reset_head(num_classes)  # type: ignore[operator]


class DenseGenerator(nn.Module):
    """Noise through hidden layers to an image, by tanh in [-1, 1].

    Shapes:
        [B, Z] -> [B, *image_shape]
    """

    def __init__(self, noise_size: int, image_shape: Sequence[int], hidden: Sequence[int], norm: NormName) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.trunk = dense_stack(noise_size, hidden, "relu", norm)
        self.head = output_layer(hidden[-1] if hidden else noise_size, math.prod(image_shape))

    def forward(self, noise_BZ: Tensor) -> Tensor:
        flat_BF = torch.tanh(self.head(self.trunk(noise_BZ)))
        x: Tensor = flat_BF.unflatten(1, self.image_shape)
        return x


class Discriminator(nn.Module):
    """An image through a trunk that ends in `width` numbers to the logit of being real.

    Shapes:
        [B, *image_shape] -> [B]; features: [B, width]; [B, K] after `reset_head(K)` with K > 1
    """

    def __init__(self, image_shape: Sequence[int], trunk: nn.Sequential, width: int) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.trunk = trunk
        self.head = output_layer(width, 1)

    def features(self, x: Tensor) -> Tensor:
        if x.shape[1:] != self.image_shape:
            raise ConfigError(
                "the discriminator takes examples of shape {wanted}, got {got}; build the GAN with that image_shape",
                wanted=self.image_shape, got=tuple(x.shape[1:]),
            )  # fmt: skip
        hidden: Tensor = self.trunk(x)
        return hidden

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.features(x))
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def reset_head(self, num_classes: int) -> None:
        self.head = new_head(self.head, num_classes)


def dense_gan(
    image_shape: tuple[Size, Size, Size] = (1, 28, 28),
    noise_size: Size = 100,
    generator_hidden: Sequence[Size] = (256, 512),
    discriminator_hidden: Sequence[Size] = (512, 256),
    norm: NormName = "batch",
    dropout: Probability = 0.3,
) -> GAN:
    """The fully connected GAN; `norm` is the generator's, `dropout` the discriminator's.

    Shapes:
        see `GAN`; x is [B, *image_shape]

    Raises:
        ConfigError: instance norm (flat features have no map to normalise over).
    """
    if norm == "instance":
        raise ConfigError("model.norm='instance' needs feature maps and a dense GAN has none; use batch, layer or none")
    generator = DenseGenerator(noise_size, image_shape, generator_hidden, norm)
    return GAN(generator, _dense_discriminator(image_shape, discriminator_hidden, dropout), noise_size)


def _dense_discriminator(image_shape: Sequence[int], hidden: Sequence[int], dropout: float) -> Discriminator:
    """An image, flat, through hidden layers."""
    trunk, width = nn.Sequential(nn.Flatten()), math.prod(image_shape)
    for units in hidden:
        linear = nn.Linear(width, units)
        scaled_init(linear, "leaky-relu")
        trunk.extend([linear, nn.LeakyReLU(0.2), nn.Dropout(dropout)])
        width = units
    return Discriminator(image_shape, trunk, width)
