"""Losses: one idea a file, by name in `catalog.py`; any callable or nn.Module of the user's serves as well."""

from netwright.losses.base import Loss
from netwright.losses.build import LossFunction, build_loss, spelled_out
from netwright.losses.catalog import LOSSES, catalog

__all__ = ["LOSSES", "Loss", "LossFunction", "build_loss", "catalog", "spelled_out"]
