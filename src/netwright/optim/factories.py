"""One function an optimizer: its signature is the `optimizer:` section of a config, its result a `Recipe`.

The update rules are PyTorch's own, but for LAMB (`lamb.py`). A recipe picks the fastest implementation there is for the
parameters' device: fused (one pass over memory an update), else foreach. Defaults are those that train the usual
network; where they are not torch's, the docstring says so. `weight_decay` is L2 in the gradient for SGD, Adam, RMSprop,
Adagrad and NAdam, and decoupled (Loshchilov & Hutter, 2019) for AdamW and LAMB; `groups.py` decides which parameters it
reaches.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim import Optimizer

from netwright.core.errors import ConfigError
from netwright.core.schemas import Fraction, NonNegative, Positive, Probability
from netwright.optim.lamb import Lamb

__all__ = ["Recipe", "adagrad", "adam", "adamw", "lamb", "nadam", "rmsprop", "sgd"]

Betas = tuple[Probability, Probability]


@dataclass(frozen=True)
class Recipe:
    """What it takes to make an optimizer for any parameters: class, learning rate, weight decay, other settings.

    `undecayed` is added to the groups that decay does not reach.
    """

    kind: Callable[..., Optimizer]
    lr: float
    weight_decay: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    undecayed: Mapping[str, Any] = field(default_factory=dict)

    def bind(self, groups: list[dict[str, Any]]) -> Optimizer:
        """The optimizer over `groups` (see `groups.parameter_groups`), on the device its parameters are on."""
        named = inspect.signature(self.kind).parameters
        for group in groups:
            if not group["weight_decay"]:
                group.update(self.undecayed)
        for fast in ("fused", "foreach"):
            if fast in named:
                # torch itself knows which kernels exist for which device and dtype, and refuses in the constructor.
                try:
                    return self.kind(groups, lr=self.lr, **{fast: True}, **self.settings)
                except RuntimeError:
                    continue
        return self.kind(groups, lr=self.lr, **self.settings)


def sgd(
    lr: Positive = 0.01,
    momentum: Probability = 0.9,
    dampening: Fraction = 0.0,
    nesterov: bool = False,
    weight_decay: NonNegative = 0.0,
) -> Recipe:
    """Stochastic gradient descent with (Nesterov) momentum (Sutskever et al., 2013).

    Momentum is on by default, unlike torch's.

    Raises:
        ConfigError: `nesterov` without momentum or with dampening.
    """
    if nesterov and (momentum == 0 or dampening != 0):
        template = "nesterov=true needs momentum > 0 and dampening=0; got momentum={momentum}, dampening={dampening}"
        raise ConfigError(template, path="nesterov", momentum=momentum, dampening=dampening)
    settings = {"momentum": momentum, "dampening": dampening, "nesterov": nesterov}
    return Recipe(torch.optim.SGD, lr, weight_decay, settings)


def adam(
    lr: Positive = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    amsgrad: bool = False,
) -> Recipe:
    """Adam (Kingma & Ba, 2015), with AMSGrad's running maximum (Reddi et al., 2018) on demand."""
    return Recipe(torch.optim.Adam, lr, weight_decay, {"betas": betas, "eps": eps, "amsgrad": amsgrad})


def adamw(
    lr: Positive = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.01,
    amsgrad: bool = False,
) -> Recipe:
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019)."""
    return Recipe(torch.optim.AdamW, lr, weight_decay, {"betas": betas, "eps": eps, "amsgrad": amsgrad})


def rmsprop(
    *,
    lr: Positive = 1e-3,
    alpha: Probability = 0.99,
    eps: Positive = 1e-8,
    momentum: Probability = 0.0,
    centered: bool = False,
    weight_decay: NonNegative = 0.0,
) -> Recipe:
    """RMSprop (Hinton, lecture 6e, 2012); the default step is a tenth of torch's, as is usual for networks."""
    settings = {"alpha": alpha, "eps": eps, "momentum": momentum, "centered": centered}
    return Recipe(torch.optim.RMSprop, lr, weight_decay, settings)


def adagrad(
    lr: Positive = 1e-2,
    lr_decay: NonNegative = 0.0,
    initial_accumulator_value: NonNegative = 0.0,
    eps: Positive = 1e-10,
    weight_decay: NonNegative = 0.0,
) -> Recipe:
    """Adagrad (Duchi et al., 2011)."""
    settings = {"lr_decay": lr_decay, "initial_accumulator_value": initial_accumulator_value, "eps": eps}
    return Recipe(torch.optim.Adagrad, lr, weight_decay, settings)


def nadam(
    lr: Positive = 2e-3,
    betas: Betas = (0.9, 0.999),
    eps: Positive = 1e-8,
    momentum_decay: NonNegative = 4e-3,
    weight_decay: NonNegative = 0.0,
) -> Recipe:
    """Adam with Nesterov momentum (Dozat, 2016)."""
    return Recipe(torch.optim.NAdam, lr, weight_decay, {"betas": betas, "eps": eps, "momentum_decay": momentum_decay})


def lamb(
    lr: Positive = 2e-3,
    betas: Betas = (0.9, 0.999),
    eps: Positive = 1e-6,
    weight_decay: NonNegative = 0.01,
) -> Recipe:
    """LAMB (You et al., 2020), for very large batches; what decay spares takes Adam's step, as in the authors' code."""
    return Recipe(Lamb, lr, weight_decay, {"betas": betas, "eps": eps}, undecayed={"adapt": False})
