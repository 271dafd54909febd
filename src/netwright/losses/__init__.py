"""STOPGAP of the lead so that others can run meanwhile; the colleague of losses/ replaces this file whole."""

from typing import Any

from torch import nn

from netwright.core.catalogs import Catalog
from netwright.core import schemas

_T = {"cross-entropy": "netwright.losses:ce", "mse": "netwright.losses:mse", "huber": "netwright.losses:huber"}


def ce(label_smoothing: schemas.Probability = 0.0) -> nn.Module:
    return nn.CrossEntropyLoss(label_smoothing=label_smoothing)


def mse() -> nn.Module:
    return nn.MSELoss()


def huber(delta: schemas.Positive = 1.0) -> nn.Module:
    return nn.HuberLoss(delta=delta)


def catalog() -> Catalog:
    return Catalog("loss", _T, "netwright.losses")


def build_loss(spec: Any, where: str = "loss", bound: Any = None) -> Any:
    if callable(spec):
        return spec
    values = {"name": spec} if isinstance(spec, str) else dict(spec)
    return schemas.build(catalog().load(values.pop("name")), values, where, bound)
