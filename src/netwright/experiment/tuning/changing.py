"""A point of a search space as a config, and whether a space fits the config it is for."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from netwright import losses, models
from netwright.core.errors import ConfigError, Problem
from netwright.core.messages import say
from netwright.core.schemas import parameters
from netwright.experiment.config import Config, check_sections, overridden
from netwright.experiment.pretrained import FineTuning
from netwright.experiment.reading import placed
from netwright.experiment.settings import TrainSettings
from netwright.optim.catalog import optimizers
from netwright.optim.plan import Surroundings
from netwright.tuning.space import RATE, Choices, Dimension, Range, Space

__all__ = ["as_point", "check_space", "fitting_space", "settled", "with_settings"]

Values = dict[str, Any]
_JUDGES = ("data", "metrics", "task", "expect", "doctor", "tune")  # what trials are compared on, and by
_MACHINE = ("device", "seed", "threads", "track", "workers")  # of `train`: nothing that a network is better by
_USUAL_RATE = 1e-3  # of an optimizer that tells none


def settled(values: Values, space: Space, chosen: Mapping[str, Any]) -> tuple[Values, Values]:
    """The config at a point of the space, and its settings as they stand in it.

    Settings that the chosen network or optimizer does not have fall away, on both sides.
    """
    made = with_settings(values, chosen)
    if isinstance(dimension := space.get(RATE), Range) and dimension.scale == "usual" and RATE in chosen:
        chosen = {**chosen, RATE: float(f"{chosen[RATE] * _usual_rate(made):.3g}")}
        made = with_settings(values, chosen)
    return made, {path: value for path, value in chosen.items() if _stands(made, path)}


def as_point(values: Values, space: Space) -> Values | None:
    """The config as it is as a point of the space; None where it is outside."""
    point = {}
    for path, dimension in space.items():
        value = _standing(values, path)
        if isinstance(dimension, Range) and dimension.scale == "usual" and isinstance(value, int | float):
            value = value / _usual_rate(values)
        point[path] = dimension.place(value)
    return None if None in point.values() else point


def _standing(values: Values, path: str) -> Any:
    """What stands at a path, or what its section has unless it is set."""
    section, _, name = path.rpartition(".")
    found = _section(values, section) if "." not in section else {}
    if name in found:
        return found[name]
    known = _parameters(section, found.get("name")) or {}
    default = known[name].default if name in known else None
    return list(default) if isinstance(default, tuple) else default


def with_settings(values: Values, settings: Mapping[str, Any]) -> Values:
    """The config with settings changed: whole sections first, then names, then what belongs to these."""
    order = sorted(settings, key=lambda path: (path.count("."), not path.endswith(".name"), path))
    made = values
    for path in order:
        made = overridden(made, [f"{path}={json.dumps(settings[path])}"])
    for path in order:
        section, _, last = path.rpartition(".")
        if last == "name":
            made = _without_strangers(made, section)
    return made


def check_space(space: Space, config: Config, values: Values, metric: str) -> None:
    """Every end and every choice must stand in the config as any value does.

    Args:
        config: tells where mistakes of its `tune:` section stand.
        values: the config with nothing left out.
        metric: what trials are compared by.

    Raises:
        ConfigError: with every mistake.
    """
    problems = [
        placed(replace(problem, path=f"tune.{path}"), config.marks)
        for path, dimension in space.items() for problem in _problems(path, dimension, space, values, metric)
    ]  # fmt: skip
    if problems:
        raise ConfigError.of(problems)


def fitting_space(space: Space, values: Values, metric: str) -> Space:
    """What of a space fits the config."""
    return {path: one for path, one in space.items() if not list(_problems(path, one, space, values, metric))}


def _problems(path: str, dimension: Dimension, space: Space, values: Values, metric: str) -> Iterator[Problem]:
    section, _, name = path.partition(".")
    if section in _JUDGES and not (section == "task" and name not in ("", "name")):
        yield Problem(path, say("tune.{path}: trials are compared on {section}, so it stays; leave it out",
                                path=path, section=section))  # fmt: skip
    elif section == "train" and name in _MACHINE:
        yield Problem(path, say("tune.{path}: no network is better by it; leave it out", path=path))
    elif section == "loss" and metric == "loss":
        template = "tune.{path}: trials are compared by the loss, which another loss would change; leave it out"
        yield Problem(path, say(template, path=path))
    else:
        told = {problem.message: problem for value in dimension.samples
                for problem in _misfits(path, dimension, value, space, values)}  # fmt: skip
        yield from told.values()


def _misfits(path: str, dimension: Dimension, value: Any, space: Space, values: Values) -> list[Problem]:
    """What is wrong with a value at a path, under the first of the names that may stand there if under all of them."""
    section = path.rpartition(".")[0]
    names = space.get(f"{section}.name")
    found: list[list[Problem]] = []
    for name in names.values if isinstance(names, Choices) and not path.endswith(".name") else (None,):
        made = values if name is None else with_settings(values, {f"{section}.name": name})
        factor = _usual_rate(made) if isinstance(dimension, Range) and dimension.scale == "usual" else None
        put = value if factor is None else value * factor
        found.append(_caught(lambda made=made, put=put: _checked(made, path, put)))  # type: ignore[misc]
    return min(found, key=len)


def _checked(made: Values, path: str, value: Any) -> None:
    there = with_settings(made, {path: value}) if path.endswith(".name") else made
    check_sections(overridden(there, [f"{path}={json.dumps(value)}"]))


def _caught(check: Callable[[], object]) -> list[Problem]:
    try:
        check()
    except ConfigError as error:
        return error.problems
    return []


def _usual_rate(values: Values) -> float:
    name = (_section(values, "optimizer")).get("name", "adamw")
    default = parameters(optimizers().load(name))["lr"].default
    return float(default) if isinstance(default, int | float) else _USUAL_RATE


def _without_strangers(values: Values, section: str) -> Values:
    """A section without the settings that what it names does not have."""
    found = _section(values, section)
    known = _parameters(section, found.get("name"))
    if known is None:
        return values
    return {**values, section: {key: value for key, value in found.items() if key == "name" or key in known}}


def _parameters(section: str, name: Any) -> dict[str, inspect.Parameter] | None:
    """The settings that a section may have beside its name; None where nobody can tell."""
    try:
        if section == "optimizer":
            return parameters(Surroundings) | parameters(optimizers().load(name))
        if section == "model":
            return parameters(FineTuning) | parameters(models.catalog().load(name))
        if section == "train":
            return parameters(TrainSettings)
        return parameters(losses.catalog().load(name)) if section == "loss" else None
    except ConfigError:  # no such name, which is told where the value is checked
        return None


def _section(values: Mapping[str, Any], section: str) -> Values:
    value = values.get(section)
    return {"name": value} if isinstance(value, str) else dict(value or {})


def _stands(values: Mapping[str, Any], path: str) -> bool:
    place: Any = values
    for part in path.split("."):
        if not isinstance(place, Mapping) or part not in place:
            return isinstance(place, str) and path.endswith(".name")
        place = place[part]
    return True
