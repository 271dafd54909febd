"""Normalisation layers by name, for flat features and for feature maps of one, two or three dimensions.

Batch norm: Ioffe and Szegedy, 2015. Layer norm: Ba et al., 2016. Instance norm: Ulyanov et al., 2016. Group norm: Wu
and He, 2018. ``C`` channels, ``*S`` the spatial sizes.
"""

from collections.abc import Mapping
from typing import Literal

from torch import nn

from netwright.core.errors import ConfigError

__all__ = ["NormName", "cancels_bias", "norm"]

NormName = Literal["none", "batch", "layer", "instance", "group"]

_BATCH: Mapping[int, type[nn.Module]] = {0: nn.BatchNorm1d, 1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_INSTANCE: Mapping[int, type[nn.Module]] = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}


def norm(name: NormName, channels: int, dims: int = 0, groups: int | None = None) -> nn.Module:
    """A norm over `channels` channels of an input with `dims` spatial dimensions (0: flat features).

    Layer norm of a feature map is group norm with one group: all of an example's map together, one scale and shift a
    channel. `groups` is for group norm alone; without it the largest divisor of `channels` up to 32 is taken.

    Shapes:
        [B, C, *S] -> [B, C, *S]

    Raises:
        ConfigError: instance norm of flat features, or groups that do not divide the channels.
    """
    if name == "none":
        return nn.Identity()
    if name == "batch":
        return _BATCH[dims](channels)
    if name == "layer":
        return nn.LayerNorm(channels) if dims == 0 else nn.GroupNorm(1, channels)
    if name == "group":
        return nn.GroupNorm(_groups(channels, groups), channels)
    if dims == 0:
        raise ConfigError(
            "norm='instance' needs a feature map, got {channels} flat features; use batch or layer", channels=channels
        )
    return _INSTANCE[dims](channels, affine=True)


def cancels_bias(name: str) -> bool:
    """Whether the norm subtracts each channel's mean, so that a bias before it has no effect and gets no gradient."""
    return name in ("batch", "instance")


def _groups(channels: int, groups: int | None) -> int:
    fitting = [n for n in range(1, channels + 1) if channels % n == 0]
    if groups is None:
        return max(n for n in fitting if n <= 32)
    if groups not in fitting:
        raise ConfigError(
            "groups={groups} does not divide {channels} channels; use {fitting}",
            groups=groups, channels=channels, fitting=", ".join(map(str, fitting)),
        )  # fmt: skip
    return groups
