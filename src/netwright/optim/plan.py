"""The `optimizer:` section of a config, checked at once and taken apart into its ideas: an `OptimizerPlan`.

A section holds the optimizer's own settings (its factory's signature) and those around it (`Surroundings`): which
parameters, which schedule, warm-up, clipping, L1, averaging.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn
from torch.optim import Optimizer

from netwright.core.errors import ConfigError, suggest
from netwright.core.schemas import NonNegative, Positive, arguments, parameters
from netwright.optim._sections import Problems
from netwright.optim.averaging import Average
from netwright.optim.catalog import averages, optimizers, schedules
from netwright.optim.factories import Recipe
from netwright.optim.groups import Grouping, parameter_groups
from netwright.optim.schedules import Schedule, build_schedule

__all__ = ["OptimizerPlan", "Surroundings", "build_optimizer", "split_spec"]


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Settings that the section of any optimizer may have.

    Args:
        schedule: name, or `{name: …}` with the schedule's settings; see `curves.py`.
        warmup: linear warm-up as a fraction of the run (0..1) or in updates (above 1).
        clip: largest norm of the gradient; `clip_value`: largest entry.
        l1: strength of an L1 penalty on weights.
        average: `ema`, `swa`, or `{name: …}`; see `averaging.py`.
        no_decay, freeze, lr_scale, layer_decay: see `groups.Grouping`.
    """

    schedule: Any = "constant"
    warmup: NonNegative = 0.0
    clip: Positive | None = None
    clip_value: Positive | None = None
    l1: NonNegative = 0.0
    average: Any = None
    no_decay: tuple[str, ...] = Grouping.no_decay
    freeze: tuple[str, ...] = ()
    lr_scale: dict[str, NonNegative] = field(default_factory=dict)
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0


@dataclass(frozen=True, kw_only=True)
class OptimizerPlan(Surroundings):
    """A checked `optimizer:` section: `settings` are the optimizer's own as given, `recipe` holds them all."""

    name: str
    recipe: Recipe
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def lr(self) -> float:
        """The base learning rate."""
        return self.recipe.lr

    def with_lr(self, lr: float) -> "OptimizerPlan":
        """The same plan at another learning rate: for range tests and tuning."""
        return replace(self, recipe=replace(self.recipe, lr=lr), settings={**self.settings, "lr": lr})

    def build(self, module: nn.Module) -> Optimizer:
        """The optimizer of `module`'s parameters, which must be on their device already."""
        rules = Grouping(self.no_decay, self.freeze, self.lr_scale, self.layer_decay)
        return self.recipe.bind(parameter_groups(module, self.lr, self.recipe.weight_decay, rules))

    def build_schedule(self, optimizer: Optimizer, total_steps: int) -> Schedule:
        """The schedule of a run of `total_steps` updates."""
        name, options = _split(self.schedule)
        return build_schedule(name, optimizer, total_steps, self.warmup, **options)

    def build_average(self, module: nn.Module, total_steps: int) -> Average | None:
        """The average of the weights that the section asks for, if it does."""
        if self.average is None:
            return None
        name, options = _split(self.average)
        made: Average = averages().load(name)(**options).bind(module, total_steps)
        return made


def split_spec(spec: str | Mapping[str, Any], where: str = "optimizer") -> OptimizerPlan:
    """Check an `optimizer:` section and take it apart.

    Args:
        spec: a name, or a mapping with `name` (adamw by default), the optimizer's settings and its `Surroundings`.
        where: dotted path of the section, for messages.

    Raises:
        ConfigError: with every mistake in the section.
    """
    values: dict[str, Any] = {"name": spec} if isinstance(spec, str) else dict(spec)
    problems, name = Problems(where), values.pop("name", "adamw")
    outer = {key: values.pop(key) for key in parameters(Surroundings) if key in values}
    factory = problems.attempt(lambda: _factory(name))
    own = _own_settings(factory, values, problems)
    recipe = None if own is None else problems.attempt(lambda: _recipe(factory, own))
    around = problems.attempt(lambda: arguments(Surroundings, outer, where)) or {}
    for key, catalog in (("schedule", schedules()), ("average", averages())):
        if outer.get(key) is not None and (part := problems.part(outer[key], catalog, key)):
            around[key] = {"name": part[0], **part[1]}
    if outer.get("clip") is not None and outer.get("clip_value") is not None:
        problems.add("clip_value", "{path} bounds each entry of the gradient, and clip their norm; set one of them")
    problems.raise_if_any()
    assert isinstance(recipe, Recipe), "an optimizer factory gives a Recipe"
    return OptimizerPlan(name=name, recipe=recipe, settings=own or {}, **around)


def build_optimizer(
    spec: str | Mapping[str, Any] | OptimizerPlan, module: nn.Module, device: torch.device | str | None = None
) -> Optimizer:
    """The optimizer that `spec` describes over `module`'s trainable parameters, moved to `device` first when given.

    Raises:
        ConfigError: with every mistake in the section, a name that fits no parameter, or nothing to train.
    """
    plan = spec if isinstance(spec, OptimizerPlan) else split_spec(spec)
    return plan.build(module if device is None else module.to(device))


def _factory(name: Any) -> Any:
    if not isinstance(name, str):
        raise ConfigError("got {got!r}, expected the name of an optimizer", path="name", got=name)
    return optimizers().load(name)


def _own_settings(factory: Any, values: dict[str, Any], problems: Problems) -> dict[str, Any] | None:
    """The optimizer's own settings, checked; None when they cannot be."""
    if factory is None:
        return None
    known = [name for name in parameters(factory) if name != "params"]
    for key in [key for key in values if key not in known]:
        near = suggest(key, [*known, *parameters(Surroundings), "name"])
        problems.add(key, "{path} is not a known setting{near}", near=near)
        del values[key]
    if isinstance(factory, type):  # a torch optimizer class of the user's checks its own arguments
        return values
    checked: dict[str, Any] | None = problems.attempt(lambda: arguments(factory, values, problems.where))
    return checked


def _recipe(factory: Any, own: dict[str, Any]) -> Recipe:
    if not isinstance(factory, type):
        made: Recipe = factory(**own)
        return made
    default = {name: parameter.default for name, parameter in parameters(factory).items()} | own
    rest = {key: value for key, value in own.items() if key not in ("lr", "weight_decay")}
    return Recipe(factory, default["lr"], default.get("weight_decay", 0.0), rest)


def _split(part: Any) -> tuple[str, dict[str, Any]]:
    options = {"name": part} if isinstance(part, str) else dict(part)
    return options.pop("name"), options
