"""What pydantic finds wrong with a section, in our words: one line a place, each with what was got and what fits."""

from collections.abc import Iterable, Mapping
from typing import Any

from netwright.core.errors import Problem, suggest
from netwright.core.messages import say

__all__ = ["explain_problems", "unknown_setting"]

_LONGEST = 80  # characters of a value that are shown
_WANTED = {
    "bool_parsing": "a valid boolean",
    "bool_type": "a valid boolean",
    "finite_number": "a finite number",
    "float_parsing": "a valid number",
    "float_type": "a valid number",
    "greater_than": "greater than {gt:g}",
    "greater_than_equal": "greater than or equal to {ge:g}",
    "int_parsing": "a valid integer",
    "int_type": "a valid integer",
    "less_than": "less than {lt:g}",
    "less_than_equal": "less than or equal to {le:g}",
    "string_type": "a valid string",
    "too_long": "a list of at most {max_length}",
    "too_short": "a list of at least {min_length}",
}


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
        near = suggest(first["loc"][-1], names)
        return Problem(path, say("{path} is not a known setting{near}", path=path, near=near))
    if first["type"] in ("missing", "missing_argument"):
        return Problem(path, say("{path} is missing; add it", path=path))
    got = _shown(first.get("input"))
    literals = [item for item in items if item["type"] == "literal_error"]
    if len(literals) == len(items):
        wanted = " or ".join(item["ctx"]["expected"].replace("'", "") for item in items)
        choices = wanted.replace(" or ", ", ").split(", ")
        near = suggest(first["input"], choices) if isinstance(first["input"], str) else ""
        near = "" if near == suggest("", choices) else near  # all of them are named already
        template = "{path}={got} is not one of {wanted}{near}"
        return Problem(path, say(template, path=path, got=got, wanted=wanted, near=near))
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
    if kind in ("list_type", "tuple_type"):
        return say("a list [...]")
    if kind == "dict_type":
        return say("a section {key: value}")
    if kind in _WANTED:
        return say(_WANTED[kind], **item.get("ctx", {}))
    return str(item["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")


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
            path = f"{path}[{part}]"
            place = place[part] if isinstance(place, list | tuple) and part < len(place) else None
        elif last or (isinstance(place, Mapping) and part in place):
            path = f"{path}.{part}" if path else str(part)
            place = place.get(part) if isinstance(place, Mapping) else None
    return path


def unknown_setting(where: str, name: str, names: list[str]) -> Problem:
    """What is said of a name that is none of `names`."""
    path = f"{where}.{name}" if where else str(name)
    return Problem(path, say("{path} is not a known setting{near}", path=path, near=suggest(name, names)))
