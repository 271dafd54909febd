"""DCGAN: a generator that doubles coarse maps up to an image, and a discriminator that halves it again.

Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional generative adversarial
networks", 2016. No pooling and no hidden dense layers; batch norm everywhere but at the image; ReLU in the generator,
leaky ReLU (slope 0.2) in the discriminator. ``B`` batch, ``Z`` noise, ``C`` channels.

Differs from the paper: kernels of 4x4 (see `blocks.rescaling`); the width of the finest maps, and how often they are
halved, are free. A critic must not have batch norm (task `gan` with kind wasserstein-gp says so): its penalty is that
of each example alone (Gulrajani et al., 2017, section 4).
"""

import math
from functools import partial

from torch import Tensor, nn

from netwright.blocks.norms import NormName
from netwright.blocks.rescaling import coarsest, halvings, most_halvings
from netwright.core.schemas import Size
from netwright.models.generative.gan import GAN, Discriminator
from netwright.models.generative.halves import ConvDecoder

__all__ = ["dcgan"]

_LEAST = 4  # pixels a side of the coarsest maps, as in the paper
_STD = 0.02  # of the initial weights, the paper's


def dcgan(
    image_shape: tuple[Size, Size, Size] = (3, 64, 64),
    noise_size: Size = 100,
    width: Size = 64,
    depth: Size | None = None,
    norm: NormName = "batch",
    discriminator_norm: NormName = "batch",
) -> GAN:
    """The convolutional GAN; `norm` is the generator's.

    width: channels of the finest maps; coarser ones have twice as many each. depth: how often the image is halved; by
    default as often as its sides are even, down to 4 pixels. discriminator_norm: `layer` or `none` for a critic.

    Shapes:
        see `GAN`; x is [B, *image_shape]

    Raises:
        ConfigError: sides that cannot be halved so often.
    """
    times = depth if depth is not None else max(1, most_halvings(image_shape, _LEAST))
    coarse = coarsest(image_shape, times)
    widths = [width * 2**level for level in range(times)]
    generator = nn.Sequential(ConvDecoder(noise_size, widths[::-1], image_shape, "relu", norm), nn.Tanh())
    slope = partial(nn.LeakyReLU, 0.2)
    trunk = nn.Sequential(*halvings(image_shape[0], widths, discriminator_norm, slope, first="none"), nn.Flatten())
    discriminator = Discriminator(image_shape, trunk, widths[-1] * math.prod(coarse))
    for module in (*generator.modules(), *discriminator.modules()):
        _start(module)
    return GAN(generator, discriminator, noise_size)


def _start(module: nn.Module) -> None:
    """Zero-centred normal weights of one deviation; a norm's scale varies as much around 1."""
    weight = getattr(module, "weight", None)
    if isinstance(weight, Tensor):
        nn.init.normal_(weight, 0.0 if weight.dim() > 1 else 1.0, _STD)
    if isinstance(getattr(module, "bias", None), Tensor):
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]
