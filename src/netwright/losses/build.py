"""From what a user writes for a loss to something that can be called with (prediction, target)."""

from collections.abc import Callable, Mapping
from functools import partial
from inspect import isfunction
from typing import Any

from torch import nn

from netwright.core.errors import ConfigError
from netwright.core.schemas import build, parameters
from netwright.losses.catalog import catalog

__all__ = ["LossFunction", "build_loss", "spelled_out"]

LossFunction = Callable[..., Any]


def build_loss(spec: Any, where: str = "loss", bound: Mapping[str, Any] | None = None) -> LossFunction:
    """The loss that `spec` means.

    Args:
        spec: a name of the catalog, several with a plus between them, a mapping with `name` and the loss's own
            settings, an nn.Module (or its class, made without arguments), or any callable; the last two are taken as
            they are. With `--trust` a name may also be `my_package.module:thing`, a class of losses or a function of
            prediction, target and settings.
        where: dotted path of the section, for messages.
        bound: what the data decide (`num_classes`, `class_counts`); a loss takes what its signature names.

    Raises:
        ConfigError: an unknown name, settings that do not fit, or something that is no loss.
    """
    if isinstance(spec, type) and issubclass(spec, nn.Module):
        return _instance(spec, where)
    if callable(spec):
        taken: LossFunction = spec
        return taken
    spec = spelled_out(spec)
    values = dict(spec) if isinstance(spec, Mapping) else {"name": spec}
    name = values.pop("name", None)
    if not isinstance(name, str):
        template = "{where}={got!r} does not fit; expected a name, {{name: …}}, an nn.Module or a callable"
        raise ConfigError(template, path=where, where=where, got=spec)
    named = catalog().load(name)
    if _is_one(named, {*values, *(bound or {})}):
        return partial(named, **values)
    made: LossFunction = build(named, values, where, bound)
    return made


def spelled_out(spec: Any) -> Any:
    """`dice + cross-entropy` as the section that it is short for; everything else as it is."""
    if isinstance(spec, str) and "+" in spec:
        return {"name": "sum", "parts": [part.strip() for part in spec.split("+")]}
    return spec


def _is_one(named: Callable[..., Any], known: set[str]) -> bool:
    """Whether the user's function is the loss itself, which waits for prediction and target, and makes none."""
    waits = [one for key, one in parameters(named).items() if one.default is one.empty and key not in known]
    return isfunction(named) and len(waits) == 2 and all(one.kind is one.POSITIONAL_OR_KEYWORD for one in waits)


def _instance(kind: type[nn.Module], where: str) -> nn.Module:
    try:
        return kind()
    except TypeError as error:
        template = "{where} is the class {kind}, which needs arguments ({error}); pass an instance of it"
        raise ConfigError(template, path=where, where=where, kind=kind.__name__, error=error) from None
