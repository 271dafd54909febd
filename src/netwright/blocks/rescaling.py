"""Maps halved and doubled by convolutions of stride 2: the way down and the way up of networks that make pictures.

Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional generative adversarial
networks", 2016: no pooling, the network learns how to lose and to find resolution. ``B`` batch, ``C`` channels, ``H``
and ``W`` height and width.

Differs from the paper: kernels of 4x4 for its 5x5, as in the authors' later code. Stride 2 then covers all places
alike, which keeps chequered patterns out of what is made (Odena et al., "Deconvolution and checkerboard artifacts",
2016), and an even side is halved and doubled without a rest.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

from netwright.blocks.norms import NormName, cancels_bias, norm
from netwright.core.errors import ConfigError

__all__ = ["coarsest", "doublings", "halvings", "most_halvings"]

Activation = Callable[[], nn.Module]


def halvings(
    in_channels: int, widths: Sequence[int], norm_name: NormName, shape: Activation, first: NormName | None = None
) -> nn.Sequential:
    """For each width a convolution that halves the map, a norm and an activation.

    Args:
        shape: makes the activation.
        first: the norm of the first one, where it is another.

    Shapes:
        [B, in_channels, H, W] -> [B, widths[-1], H / 2^n, W / 2^n] for n widths
    """
    layers: list[nn.Module] = []
    for place, (before, after) in enumerate(pairwise([in_channels, *widths])):
        name = first if first is not None and place == 0 else norm_name
        layers.append(nn.Conv2d(before, after, kernel_size=4, stride=2, padding=1, bias=not cancels_bias(name)))
        layers += [*_normed(name, after), shape()]
    return nn.Sequential(*layers)


def doublings(widths: Sequence[int], out_channels: int, norm_name: NormName, shape: Activation) -> nn.Sequential:
    """For each width a transposed convolution that doubles the map; a norm and an activation between them.

    Args:
        shape: makes the activation.

    Shapes:
        [B, widths[0], H, W] -> [B, out_channels, H * 2^n, W * 2^n] for n widths
    """
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        bias = not cancels_bias(norm_name)
        layers.append(nn.ConvTranspose2d(before, after, kernel_size=4, stride=2, padding=1, bias=bias))
        layers += [*_normed(norm_name, after), shape()]
    layers.append(nn.ConvTranspose2d(widths[-1], out_channels, kernel_size=4, stride=2, padding=1))
    return nn.Sequential(*layers)


def coarsest(image_shape: Sequence[int], times: int) -> tuple[int, int]:
    """Height and width of an image that was halved so often.

    Raises:
        ConfigError: a side has a rest on the way, or nothing is halved.
    """
    height, width = image_shape[-2:]
    step = 2**times
    if times < 1 or height % step or width % step:
        template = (
            "images of {height}x{width} pixels cannot be halved {times} times without a rest; use {most} of these "
            "layers, or images whose sides are multiples of {step}"
        )
        most = max(1, most_halvings(image_shape))
        step = max(2, step)
        raise ConfigError(template, path="model", height=height, width=width, times=times, most=most, step=step)
    return height // step, width // step


def most_halvings(image_shape: Sequence[int], least: int = 1) -> int:
    """How often both sides of an image can be halved without a rest until one of them would be below `least`."""
    height, width = image_shape[-2:]
    times = 0
    while height % 2 == width % 2 == 0 and min(height, width) // 2 >= least:
        height, width, times = height // 2, width // 2, times + 1
    return times


def _normed(name: NormName, channels: int) -> list[nn.Module]:
    return [] if name == "none" else [norm(name, channels, 2)]
