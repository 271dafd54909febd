"""Augmentation as batched tensor operations, decided for each example by a pure function of (seed, epoch, index)."""

from netwright.data.augment.base import Draws, ImageAugmentation, Mixing
from netwright.data.augment.build import Augment, build_augment, catalog

__all__ = ["Augment", "Draws", "ImageAugmentation", "Mixing", "build_augment", "catalog"]
