"""Reading a list of layers: each entry's kind and options, checked by themselves, before any size is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netwright.core.errors import ConfigError, Problem, suggest
from netwright.core.messages import say
from netwright.core.schemas import arguments, parameters
from netwright.models.layers.kinds import KINDS
from netwright.models.layers.signal import Signal

__all__ = ["BRANCHES", "DENSE", "JOINS", "RESIDUAL", "Entry", "option_name", "read_entries"]

RESIDUAL, DENSE, BRANCHES = JOINS = ("residual", "dense", "branches")
_BOUND = {"signal", "num_classes"}  # parameters that a list of layers does not set
_ANYTHING = Signal((1, 1), "raw")


@dataclass(frozen=True)
class Entry:
    """One layer as written: its kind, its options by parameter name, its place, and, for a join, its branches."""

    kind: str
    options: Mapping[str, Any]
    place: str
    branches: tuple[tuple["Entry", ...], ...] = ()


def read_entries(layers: object, place: str, problems: list[Problem]) -> tuple[Entry | None, ...]:
    """The entries of a list of layers; None stands where one cannot be read, and `problems` says why."""
    if not isinstance(layers, Sequence) or isinstance(layers, str) or not layers:
        wanted = "{place}={got!r} is not a list of layers; write one such as [flatten, {{linear: 10}}]"
        _add(problems, place, wanted, got=layers)
        return ()
    return tuple(_read(written, f"{place}[{index}]", problems) for index, written in enumerate(layers))


def option_name(kind: str) -> str:
    """The parameter that takes what stands beside the kind."""
    return kind.replace("-", "_")


def _read(written: object, place: str, problems: list[Problem]) -> Entry | None:
    if isinstance(written, str):
        written = {written: None}
    if not isinstance(written, Mapping) or not written:
        wanted = "{place}={got!r} is not a layer; write a name such as relu, or {{conv: 32, kernel: 3}}"
        _add(problems, place, wanted, got=written)
        return None
    keys = [str(key).strip().lower().replace("_", "-") for key in written]
    kind = _kind_of(keys, list(written), place, problems)
    if kind is None:
        return None
    if kind in JOINS:
        return _read_join(kind, dict(zip(keys, written.values(), strict=True)), place, problems)
    options = {option_name(key): value for key, value in zip(keys, written.values(), strict=True)}
    return _checked(Entry(kind, options, f"{place}.{kind}"), place, problems)


def _kind_of(keys: list[str], written: list[object], place: str, problems: list[Problem]) -> str | None:
    """The one key that names a kind and takes all the others as its options; the order of the keys means nothing."""
    known = [*KINDS, *JOINS]
    kinds = [key for key in keys if key in known]
    if not kinds:
        near = suggest(keys[0], known)
        _add(problems, place, "{place}: no layer is called {name!r}{near}", name=written[0], near=near)
        return None
    fitting = [kind for kind in kinds if all(other in _options(kind) for other in keys if other != kind)]
    if len(kinds) > 1 and len(fitting) != 1:
        message = "{place} holds several layers ({kinds}); write each as an entry of its own"
        _add(problems, place, message, kinds=", ".join(kinds))
        return None
    return fitting[0] if fitting else kinds[0]


def _options(kind: str) -> list[str]:
    if kind in JOINS:
        return []
    return [name.replace("_", "-") for name in parameters(KINDS[kind]) if name not in _BOUND]


def _read_join(kind: str, values: dict[str, object], place: str, problems: list[Problem]) -> Entry | None:
    """A residual or dense join of one list of layers, or `branches` of several."""
    for other in values:
        if other != kind:
            message = "{place}.{name} is not a setting of {kind}, which takes only a list"
            _add(problems, place, message, name=other, kind=kind)
    before, within, written = len(problems), f"{place}.{kind}", values[kind]
    if kind != BRANCHES:
        read = [read_entries(written, within, problems)]
    elif isinstance(written, Sequence) and not isinstance(written, str) and len(written) > 1:
        read = [read_entries(branch, f"{within}[{index}]", problems) for index, branch in enumerate(written)]
    else:
        _add(problems, within, "{place}={got!r} is not a list of two or more lists of layers", got=written)
        return None
    if len(problems) > before:
        return None
    return Entry(kind, {}, within, tuple(tuple(entry for entry in branch if entry is not None) for branch in read))


def _checked(entry: Entry, place: str, problems: list[Problem]) -> Entry | None:
    """The entry with its options' types, ranges and names checked against the kind's function."""
    options, own = dict(entry.options), option_name(entry.kind)
    before = len(problems)
    known = [name for name in parameters(KINDS[entry.kind]) if name not in _BOUND]
    if options.get(own) is None:
        options.pop(own, None)  # a bare name: the kind's own default
        if own in known and parameters(KINDS[entry.kind])[own].default is parameters(KINDS[entry.kind])[own].empty:
            _add(problems, place, "{place}: {kind} needs a value; write {{{kind}: …}}", kind=entry.kind)
    elif own not in known:
        message = "{place}: {kind} takes no value, got {got!r}; write only its name"
        _add(problems, place, message, kind=entry.kind, got=options.pop(own))
    for name in [name for name in options if name not in known]:
        near = suggest(name, [other for other in known if other != own]) or say("; {kind} has none", kind=entry.kind)
        _add(problems, place, "{place}.{name} is not a setting of {kind}{near}", name=name, kind=entry.kind, near=near)
        del options[name]
    if len(problems) > before:
        return None
    try:
        arguments(KINDS[entry.kind], options, place, {"signal": _ANYTHING})
    except ConfigError as error:
        problems.extend(error.problems)
        return None
    return Entry(entry.kind, options, entry.place)


def _add(problems: list[Problem], place: str, template: str, **values: object) -> None:
    problems.append(Problem(place, say(template, place=place, **values)))
