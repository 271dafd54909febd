"""Optimizers, learning-rate schedules and averages of weights by name; a target's signature is its config."""

from netwright.core.catalogs import Catalog

__all__ = ["AVERAGES", "OPTIMIZERS", "SCHEDULES", "averages", "optimizers", "schedules"]

AVERAGES = {
    "ema": "netwright.optim.averaging:ema",
    "swa": "netwright.optim.averaging:swa",
}

OPTIMIZERS = {
    "adagrad": "netwright.optim.factories:adagrad",
    "adam": "netwright.optim.factories:adam",
    "adamw": "netwright.optim.factories:adamw",
    "lamb": "netwright.optim.factories:lamb",
    "nadam": "netwright.optim.factories:nadam",
    "rmsprop": "netwright.optim.factories:rmsprop",
    "sgd": "netwright.optim.factories:sgd",
}

SCHEDULES = {
    "constant": "netwright.optim.curves:constant",
    "cosine": "netwright.optim.curves:cosine",
    "linear": "netwright.optim.curves:linear",
    "one-cycle": "netwright.optim.curves:one_cycle",
    "plateau": "netwright.optim.curves:plateau",
    "step": "netwright.optim.curves:step",
    "warm-restarts": "netwright.optim.curves:warm_restarts",
}


def optimizers() -> Catalog:
    """Catalog of optimizers; a target is a factory of a `Recipe`, or a `torch.optim.Optimizer` class of the user's."""
    return Catalog("optimizer", OPTIMIZERS, "netwright.optimizers")


def schedules() -> Catalog:
    """Catalog of schedules; a target is a factory of a `Curve`, or of a `Plateau`."""
    return Catalog("schedule", SCHEDULES, "netwright.schedules")


def averages() -> Catalog:
    """Catalog of averages of the weights; a target is a factory of an `Averaging`."""
    return Catalog("average", AVERAGES, "netwright.averages")
