"""A constructor is its config: the schema of a thing is derived from its signature, and nowhere written twice.

`arguments` checks a mapping against a signature (types, ranges, unknown and missing names, all at once) and fills in
the sizes that the data decide; `build` calls the factory with the result. `preset` is a factory with other defaults.
"""

import inspect
import os
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, TypeVar

import pydantic
from pydantic import Field

from netwright.core.errors import ConfigError
from netwright.core.schema_errors import explain_problems, unknown_setting

__all__ = [
    "Count",
    "Fraction",
    "NonNegative",
    "Positive",
    "Probability",
    "Size",
    "arguments",
    "build",
    "parameters",
    "preset",
]

T = TypeVar("T")

Size = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Probability = Annotated[float, Field(ge=0, lt=1)]

_STRICT = pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())


def parameters(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The named parameters of a function, or of a class's constructor (without `self`)."""
    try:
        return dict(inspect.signature(factory).parameters)
    except ValueError:  # some functions of C have none; the function itself will say what it wants
        return {}


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
    given |= {str(name): _plain(value) for name, value in values.items()}
    settable = _settable(factory)
    try:
        problems = [unknown_setting(where, name, settable) for name in values if _is_ours(factory, name, values[name])]
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


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's: an `int64` is no mistake."""
    return value.item() if type(value).__module__ == "numpy" and getattr(value, "shape", None) == () else value


def build(
    factory: Callable[..., Any], values: Mapping[str, Any], where: str, bound: Mapping[str, Any] | None = None
) -> Any:
    """Check `values` and call `factory` with them; see `arguments`."""
    return factory(**arguments(factory, values, where, bound))


def preset(factory: Callable[..., T], name: str, **defaults: Any) -> Callable[..., T]:
    """`factory` as a function called `name` with other defaults: a published size of a network, say.

    Its signature, and so its schema, is the factory's with the new defaults; each can still be given another value.
    """
    named = parameters(factory)
    assert set(defaults) <= set(named), f"{name}: {set(defaults) - set(named)} are no parameters of {factory}"

    def made(**values: Any) -> T:
        return factory(**{**defaults, **values})

    replaced = [
        one.replace(kind=one.KEYWORD_ONLY, default=defaults.get(key, one.default)) for key, one in named.items()
    ]
    made.__signature__ = inspect.Signature(replaced)  # type: ignore[attr-defined]
    made.__annotations__ = _hints(factory)
    made.__name__ = made.__qualname__ = name
    made.__module__, made.__doc__ = factory.__module__, factory.__doc__
    return made


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
    if hint is Any or typing.get_origin(hint) is not None or not inspect.isclass(hint):
        return False
    return not issubclass(hint, _PLAIN)


_PLAIN = (bool, int, float, str, list, tuple, dict, set, types.NoneType, Sequence, Mapping, os.PathLike)
_RESERVED = {"copy", "json", "schema", "dict", "validate", "construct", "register"}


@cache
def _hints(factory: Callable[..., Any]) -> dict[str, Any]:
    target = factory.__init__ if inspect.isclass(factory) else factory
    try:
        hints = typing.get_type_hints(target, include_extras=True)
    except NameError:  # a user's class whose annotations are only there for a type checker: anything may come
        hints = {}
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
