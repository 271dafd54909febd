"""Augmentation as batched tensor operations, decided for each example by a pure function of (seed, epoch, index)."""

from netwright.data.augment.base import Draws, Geometric, ImageAugmentation, Mixing, Photometric, TextAugmentation
from netwright.data.augment.build import Augment, build_augment, catalog

__all__ = [
    "Augment", "Draws", "Geometric", "ImageAugmentation", "Mixing", "Photometric", "TextAugmentation",
    "build_augment", "catalog",
]  # fmt: skip
