"""What a search may change: settings by their paths, each with a range or with choices.

    tune:
      optimizer.lr: [1e-5, 1e-1, log]        # a range; `log` counts in orders of magnitude
      model.dropout: [0, 0.5]                # of whole numbers where both ends are whole
      optimizer.name: [adam, sgd]            # choices
      train.batch_size: {choices: [32, 64]}  # two numbers that are no range

`optimizer.lr: [0.01, 30, usual]` means so many times what is usual for the optimizer. On the command line the same is
`optimizer.lr=1e-5..1e-1:log` and `optimizer.name=adam,sgd`.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from netwright.core.errors import ConfigError, Problem
from netwright.core.messages import say

__all__ = [
    "RATE", "Choices", "Dimension", "Range", "Space", "as_options", "plain_space", "points", "read_options",
    "read_space",
]  # fmt: skip

RATE = "optimizer.lr"  # the one setting of which there is a usual value to be a multiple of
_SCALES = ("log", "usual")


@dataclass(frozen=True)
class Range:
    """All values from `low` to `high`: evenly, by orders of magnitude, or so as multiples of what is usual."""

    low: float
    high: float
    scale: Literal["linear", "log", "usual"] = "linear"

    @property
    def whole(self) -> bool:
        """Whether it is of whole numbers."""
        return self.scale != "usual" and isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def samples(self) -> list[Any]:
        """The values by which it is checked."""
        return [self.low, self.high]

    @property
    def points(self) -> float:
        """How many values there are."""
        return self.high - self.low + 1 if self.whole else math.inf

    def place(self, value: Any) -> Any:
        """Where a value stands in it; None where it is outside. The nothing of orders of magnitude is their lowest."""
        if not _is_number(value) or (self.whole and not isinstance(value, int)):
            return None
        if value == 0 and self.scale == "log":
            return self.low
        return value if self.low <= value <= self.high else None

    def plain(self) -> Any:
        """As a config has it."""
        return [self.low, self.high, *([self.scale] if self.scale != "linear" else [])]


@dataclass(frozen=True)
class Choices:
    """One of several values of any kind."""

    values: tuple[Any, ...]

    @property
    def samples(self) -> list[Any]:
        """The values by which it is checked."""
        return list(self.values)

    @property
    def points(self) -> float:
        """How many values there are."""
        return len(self.values)

    def place(self, value: Any) -> Any:
        """The choice that a value is; None for another one."""
        return next((one for one in self.values if _same(one, value)), None)

    def plain(self) -> Any:
        """As a config has it."""
        return {"choices": list(self.values)} if _is_range(list(self.values)) else list(self.values)


Dimension = Range | Choices
Space = dict[str, Dimension]


def read_space(section: Any) -> Space:
    """The space that a `tune:` section says.

    Raises:
        ConfigError: with every mistake in it.
    """
    if not isinstance(section, Mapping) or not section:
        template = "tune={got!r} does not fit; expected settings and ranges, such as {{optimizer.lr: [1e-4, 1e-2]}}"
        raise ConfigError(template, path="tune", got=section)
    space: Space = {}
    problems: list[Problem] = []
    for path, value in section.items():
        try:
            space[str(path)] = _dimension(str(path), value)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError.of(problems)
    return space


def read_options(options: Iterable[str]) -> dict[str, Any]:
    """A `tune:` section from `path=low..high`, `path=low..high:log` and `path=a,b,c`.

    Raises:
        ConfigError: with every option that is none of these.
    """
    section: dict[str, Any] = {}
    problems: list[Problem] = []
    for option in options:
        path, equals, text = (part.strip() for part in option.partition("="))
        try:
            section[path] = _told(text)
        except (YAMLError, ValueError):
            equals = ""
        if not (equals and path and text):
            template = "--space {option} does not fit; expected path=low..high, path=low..high:log or path=a,b,c"
            problems.append(Problem("", say(template, option=option)))
    if problems:
        raise ConfigError.of(problems)
    return section


def as_options(space: Space) -> list[str]:
    """The options that say a space."""
    return [f"{path}={_option(dimension)}" for path, dimension in space.items()]


def plain_space(space: Space) -> dict[str, Any]:
    """The `tune:` section that says the space."""
    return {path: dimension.plain() for path, dimension in space.items()}


def points(space: Space) -> float:
    """How many different points a space has; infinity where a range is of real numbers."""
    return math.prod(dimension.points for dimension in space.values())


def _option(dimension: Dimension) -> str:
    if isinstance(dimension, Choices):
        return ",".join(json.dumps(value) for value in dimension.values)
    scale = f":{dimension.scale}" if dimension.scale != "linear" else ""
    return f"{dimension.low}..{dimension.high}{scale}"


def _told(text: str) -> Any:
    """The right side of an option as a config would have it."""
    ends, _, scale = text.partition(":")
    low, dots, high = ends.partition("..")
    if dots and _known(scale):
        return [_yaml(low), _yaml(high), *([scale] if scale else [])]
    values = _yaml(f"[{text}]")
    return {"choices": values}


def _known(scale: str) -> bool:
    return not scale or scale in _SCALES


def _yaml(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def _dimension(path: str, value: Any) -> Dimension:
    where = f"tune.{path}"
    if isinstance(value, Mapping) and set(value) == {"choices"} and isinstance(value["choices"], list | tuple):
        return _choices(where, list(value["choices"]))
    if not isinstance(value, list | tuple):
        template = "{where}={got!r} does not fit; expected a range [low, high] or [low, high, log], or choices [a, b]"
        raise _mistake(where, template, got=value)
    return _range(where, path, list(value)) if _is_range(list(value)) else _choices(where, list(value))


def _is_range(value: list[Any]) -> bool:
    numbers = len(value) in (2, 3) and all(_is_number(one) for one in value[:2])
    return numbers and (len(value) == 2 or value[2] in _SCALES)


def _range(where: str, path: str, value: list[Any]) -> Range:
    low, high, scale = (*value, "linear")[:3]
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        template = "{where}: a range goes from a number to a larger one, and this one from {low} to {high}"
        raise _mistake(where, template, low=low, high=high)
    if scale != "linear" and low <= 0:
        template = "{where}: orders of magnitude begin above 0, and this range at {low}; leave {scale} out, or raise it"
        raise _mistake(where, template, low=low, scale=scale)
    if scale == "usual" and path != RATE:
        raise _mistake(where, "{where}: only of {rate} there is a usual value; use log", rate=RATE)
    return Range(low, high, scale)


def _choices(where: str, values: list[Any]) -> Choices:
    different = [value for place, value in enumerate(values) if not any(_same(value, one) for one in values[:place])]
    if len(different) < 2:
        template = "{where}: there is nothing to choose from in {got!r}; give two values or more, or use --set"
        raise _mistake(where, template, got=values)
    return Choices(tuple(different))


def _same(one: Any, other: Any) -> bool:
    """Equal and of one kind: True is not 1."""
    return type(one) is type(other) and bool(one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _mistake(where: str, template: str, **values: object) -> ConfigError:
    return ConfigError(template, path=where, where=where, **values)
