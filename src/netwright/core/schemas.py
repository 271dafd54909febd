"""A constructor is its config: the schema of a thing is derived from its signature, and nowhere written twice.

`arguments` checks a mapping against a signature (types, ranges, unknown and missing names, all at once) and fills in the
sizes that the data decide; `build` calls the factory with the result.
"""

import inspect
import os
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any

import pydantic
from pydantic import Field

from netwright.core.errors import ConfigError, Problem, suggest
from netwright.core.messages import say

__all__ = [
    "Count",
    "Fraction",
    "NonNegative",
    "Positive",
    "Probability",
    "Size",
    "arguments",
    "build",
    "explain_problems",
    "parameters",
]

Size = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Probability = Annotated[float, Field(ge=0, lt=1)]

_STRICT = pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())


def parameters(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The named parameters of a function, or of a class's constructor (without `self`)."""
    return dict(inspect.signature(factory).parameters)


def arguments(
    factory: Callable[..., Any],
    values: Mapping[str, Any],
    where: str,
    bound: Mapping[str, Any] | None = None,
    partial: bool = False,
) -> dict[str, Any]:
    """Check `values` against the signature of `factory`.

    Args:
        where: dotted path of the section, used in messages (`model`, `loss`, `train`).
        bound: sizes the data decide; those that the signature names and the user did not give are filled in.
        partial: something is still to be bound: what is missing is no mistake, and nothing is given back for it.

    Raises:
        ConfigError: with every problem found.
    """
    named = parameters(factory)
    given = {name: value for name, value in (bound or {}).items() if name in named}
    given |= {str(name): value for name, value in values.items()}
    settable = _settable(factory)
    try:
        problems = [_unknown(where, name, settable) for name in values if _is_ours(factory, name, values[name])]
        checked = _model(factory)(**given)
        if problems:
            raise ConfigError.of(problems)
    except pydantic.ValidationError as error:
        told = {problem.path for problem in problems}
        items = [item for item in error.errors() if not (partial and item["type"] == "missing")]
        problems += [problem for problem in explain_problems(items, given, where, settable) if problem.path not in told]
        if problems or not partial:
            raise ConfigError.of(problems) from None
        return dict(given)
    return {name: getattr(checked, _field(name)) for name in named if _field(name) in checked.model_fields_set}


def build(
    factory: Callable[..., Any], values: Mapping[str, Any], where: str, bound: Mapping[str, Any] | None = None
) -> Any:
    """Check `values` and call `factory` with them; see `arguments`."""
    return factory(**arguments(factory, values, where, bound))


def explain_problems(items: Iterable[Any], values: Any, where: str, names: list[str]) -> list[Problem]:
    """Pydantic's errors about `values`, a line each: what, got, expected, do.

    The branches of a union, which pydantic reports one by one, are said together; those that did not get as far as
    another one (`[3, "a"]` is no number, but a list with a mistake in it) are left out.
    """
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(_path(where, item, values), []).append(item)
    innermost = [path for path in found if not any(other.startswith((f"{path}.", f"{path}[")) for other in found)]
    return [_explained(path, found[path], names) for path in innermost]


def _explained(path: str, items: list[Any], names: list[str]) -> Problem:
    """One place of a config and everything pydantic says about it, as one line."""
    first = items[0]
    if first["type"] == "extra_forbidden":
        return Problem(path, say("{path} is not a known setting{near}", path=path, near=suggest(first["loc"][-1], names)))
    if first["type"] in ("missing", "missing_argument"):
        return Problem(path, say("{path} is missing; add it", path=path))
    got = _shown(first.get("input"))
    literals = [item for item in items if item["type"] == "literal_error"]
    if len(literals) == len(items):
        wanted = " or ".join(item["ctx"]["expected"].replace("'", "") for item in items)
        choices = wanted.replace(" or ", ", ").split(", ")
        near = suggest(first["input"], choices) if isinstance(first["input"], str) else ""
        return Problem(path, say("{path}={got} is not one of {wanted}{near}", path=path, got=got, wanted=wanted, near=near))
    wanted = say(" or ").join(dict.fromkeys(_wanted(item) for item in sorted(items, key=_is_of_type)))
    return Problem(path, say("{path}={got} does not fit; expected {wanted}", path=path, got=got, wanted=wanted))


def _is_of_type(item: Any) -> bool:
    """False for the branches whose type was met: what they miss is said first."""
    return str(item["type"]).endswith(("_type", "_parsing", "instance_of", "literal_error"))


def _wanted(item: Any) -> str:
    kind: str = item["type"]
    if kind == "literal_error":
        return str(item["ctx"]["expected"]).replace("'", "")
    if kind == "is_instance_of" and item["ctx"]["class"] in ("Sequence", "Mapping"):
        kind = "list_type" if item["ctx"]["class"] == "Sequence" else "dict_type"
    said = {"list_type": say("a list [...]"), "tuple_type": say("a list [...]"), "dict_type": say("a section {{key: value}}")}
    return said.get(kind) or str(item["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")


def _shown(got: object) -> str:
    """A value as the user may recognise it, short enough for a line."""
    text = " ".join(repr(got).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _path(where: str, item: Any, values: Any) -> str:
    """The dotted path of an error. Pydantic also puts the branch of a union into it, which the user wrote nowhere."""
    path, place = where, values
    location = item["loc"]
    for part in location:
        last = part is location[-1] and item["type"] in ("missing", "missing_argument", "extra_forbidden")
        if isinstance(part, int) and (isinstance(place, list | tuple) or last):
            path, place = f"{path}[{part}]", place[part] if isinstance(place, list | tuple) and part < len(place) else None
        elif last or (isinstance(place, Mapping) and part in place):
            name = str(part).removesuffix("_") if part not in (place or ()) else str(part)
            path = f"{path}.{name}" if path else name
            place = place.get(part) if isinstance(place, Mapping) else None
    return path


def _unknown(where: str, name: str, names: list[str]) -> Problem:
    path = f"{where}.{name}" if where else str(name)
    return Problem(path, say("{path} is not a known setting{near}", path=path, near=suggest(name, names)))


def _field(name: str) -> str:
    """Pydantic refuses fields that start with an underscore or shadow its own names."""
    return f"{name}_" if name in _RESERVED else name


def _settable(factory: Callable[..., Any]) -> list[str]:
    """The parameters that a config can set; the others take objects, which the program binds."""
    return [name for name, hint in _hints(factory).items() if not _takes_an_object(hint)]


def _is_ours(factory: Callable[..., Any], name: str, value: object) -> bool:
    """Whether a config gives plain data to a parameter that takes an object."""
    plain = value is not None and isinstance(value, bool | int | float | str | list | dict)
    hints = _hints(factory)
    return plain and name in hints and _takes_an_object(hints[name])


def _takes_an_object(hint: Any) -> bool:
    if typing.get_origin(hint) is Annotated:
        return _takes_an_object(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return all(_takes_an_object(part) for part in typing.get_args(hint) if part is not types.NoneType)
    return inspect.isclass(hint) and typing.get_origin(hint) is None and not issubclass(hint, _PLAIN)


_PLAIN = (bool, int, float, str, list, tuple, dict, set, types.NoneType, Sequence, Mapping, os.PathLike)
_LONGEST = 80
_RESERVED = {"copy", "json", "schema", "dict", "validate", "construct", "register"}


@cache
def _hints(factory: Callable[..., Any]) -> dict[str, Any]:
    target = factory.__init__ if inspect.isclass(factory) else factory
    hints = typing.get_type_hints(target, include_extras=True)
    return {name: hints.get(name, Any) for name in parameters(factory)}


@cache
def _model(factory: Callable[..., Any]) -> type[pydantic.BaseModel]:
    """The pydantic model of a signature; every default stays the factory's own."""
    hints = _hints(factory)
    fields: dict[str, Any] = {}
    for name, parameter in parameters(factory).items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[_field(name)] = (_strict(hints.get(name, Any)), Field(default, alias=name))
    return pydantic.create_model(f"{factory.__name__}Config", __config__=_STRICT, **fields)


def _strict(hint: Any) -> Any:
    """No silent conversions that hide a mistake: `"3"` is not 3 and `True` is not 1, but 3 is a fine float."""
    if hint in (int, bool, str):
        return Annotated[hint, Field(strict=True)]
    origin = typing.get_origin(hint)
    if origin is Annotated:
        base, *notes = typing.get_args(hint)
        return Annotated[(_strict(base), *notes)]
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(_strict(part) for part in typing.get_args(hint))]  # noqa: UP007 - built at run time
    if hint is float:
        return Annotated[float, Field(strict=True)]
    return hint
