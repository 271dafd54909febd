"""A constructor is its config: the schema of a thing is derived from its signature, and nowhere written twice.

`arguments` checks a mapping against a signature (types, ranges, unknown and missing names, all at once) and fills in the
sizes that the data decide; `build` calls the factory with the result.
"""

import inspect
import types
import typing
from collections.abc import Callable, Mapping
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
    "explain_problem",
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
    given = {name: value for name, value in (bound or {}).items() if name in named} | dict(values)
    try:
        checked = _model(factory)(**given)
    except pydantic.ValidationError as error:
        items = [item for item in error.errors() if not (partial and item["type"] == "missing")]
        if items or not partial:
            raise ConfigError.of(explain_problem(item, where, list(named)) for item in items) from None
        return dict(given)
    return {name: getattr(checked, _field(name)) for name in named if _field(name) in checked.model_fields_set}


def build(
    factory: Callable[..., Any], values: Mapping[str, Any], where: str, bound: Mapping[str, Any] | None = None
) -> Any:
    """Check `values` and call `factory` with them; see `arguments`."""
    return factory(**arguments(factory, values, where, bound))


def explain_problem(item: Any, where: str, names: list[str]) -> Problem:
    """One pydantic error as one line: what, got, expected, do."""
    path = _path(where, item["loc"])
    got, kind, context = item.get("input"), item["type"], item.get("ctx", {})
    if kind == "extra_forbidden":
        text = say("{path} is not a known setting{near}", path=path, near=suggest(item["loc"][-1], names))
    elif kind in ("missing", "missing_argument"):
        text = say("{path} is missing; add it", path=path)
    elif kind == "literal_error":
        wanted = context["expected"].replace("'", "")
        near = suggest(got, wanted.replace(" or ", ", ").split(", ")) if isinstance(got, str) else ""
        text = say("{path}={got!r} is not one of {wanted}{near}", path=path, got=got, wanted=wanted, near=near)
    else:
        wanted = item["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
        text = say("{path}={got!r} does not fit; expected {wanted}", path=path, got=got, wanted=wanted)
    return Problem(path, text)


def _path(where: str, location: tuple[Any, ...]) -> str:
    path = where
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not (part.startswith(("function-", "list[", "dict[", "tuple[", "constrained-", "lax-or")) or part in _TYPE_TAGS):
            path += f".{part.removesuffix('_')}" if path else part.removesuffix("_")
    return path


# pydantic names the branch of a union in the location of an error; the user wrote no such key.
_TYPE_TAGS = {"int", "float", "str", "bool", "none", "dict", "list"}


def _field(name: str) -> str:
    """Pydantic refuses fields that start with an underscore or shadow its own names."""
    return f"{name}_" if name in _RESERVED else name


_RESERVED = {"copy", "json", "schema", "dict", "validate", "construct", "register"}


@cache
def _model(factory: Callable[..., Any]) -> type[pydantic.BaseModel]:
    """The pydantic model of a signature; every default stays the factory's own."""
    target = factory.__init__ if inspect.isclass(factory) else factory
    hints = typing.get_type_hints(target, include_extras=True)
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
