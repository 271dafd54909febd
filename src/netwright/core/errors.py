"""Mistakes, said in one line: what, got, expected, do - and the exit code that goes with each kind.

Only these reach the user without a traceback; anything else that escapes is a bug of ours.
"""

import difflib
import importlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from types import ModuleType

from netwright.core.messages import few, say

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "DivergedError",
    "Interrupted",
    "MissingExtra",
    "NetwrightError",
    "Preempted",
    "Problem",
    "ResourceError",
    "because",
    "need",
    "ran_out_of_memory",
    "suggest",
]


_LONGEST = 300  # characters of one value in a message


class NetwrightError(Exception):
    """A mistake we can name. `template` goes through the table of messages; `values` fill its fields.

    The message is one line whatever the values hold: texts and other libraries' errors are folded and cut.
    """

    exit_code = 2

    def __init__(self, template: str, **values: object) -> None:
        super().__init__(say(template, **{name: _in_a_line(value) for name, value in values.items()}))
        self.template = template


@dataclass(frozen=True)
class Problem:
    """One mistake of a config: `path` is dotted (`model.layers[3].conv`), `line` counts from 1 in `file`."""

    path: str
    message: str
    line: int | None = None
    file: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.file and self.line else ""
        return f"{place}{self.message}"


class ConfigError(NetwrightError):
    """The user's error in a config or an argument; carries every problem found, not only the first."""

    def __init__(self, template: str, path: str = "", **values: object) -> None:
        super().__init__(template, **values)
        self.problems = [Problem(path, str(self))]

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> "ConfigError":
        """One error for many problems, a line each."""
        found = list(problems)
        error = cls("")
        error.args = ("\n".join(str(problem) for problem in found),)
        error.problems = found
        return error


class DataError(NetwrightError):
    """Data that cannot be used: missing, empty, damaged, or not what the task needs."""

    exit_code = 3


class CheckpointError(NetwrightError):
    """A checkpoint, a model folder or weights that are missing, damaged or of another network."""

    exit_code = 4


class ResourceError(NetwrightError):
    """Out of disk or memory, or a folder that cannot be written."""

    exit_code = 5


class DivergedError(NetwrightError):
    """The loss stopped being a number; the weights on disk are the last healthy ones."""

    exit_code = 6


class Preempted(NetwrightError):
    """SIGTERM came; the run is saved and can be resumed."""

    exit_code = 75


class Interrupted(NetwrightError):
    """Ctrl-C came; the run is saved and can be resumed."""

    exit_code = 130


class MissingExtra(NetwrightError):
    """A library that is not part of the core install is wanted."""


def need(module: str, extra: str) -> ModuleType:
    """Import `module`, or say how to install the extra that brings it.

    Raises:
        MissingExtra: the library is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != module.split(".", maxsplit=1)[0]:
            raise
        template = "{module} is not installed; run: pip install 'netwright[{extra}]'"
        raise MissingExtra(template, module=module.split(".", maxsplit=1)[0], extra=extra) from error


def because(error: BaseException) -> str:
    """Why something of ours that was read back is not whole, for people: without the names of Python's errors."""
    if isinstance(error, KeyError):
        return say("{key} is missing in it", key=error.args[0] if error.args else "?")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, json.JSONDecodeError):
        return say("no JSON at line {line}", line=error.lineno)
    if isinstance(error, UnicodeDecodeError):
        return say("no UTF-8 text")
    if isinstance(error, AttributeError | IndexError | TypeError):
        return say("something else stands where its values should")
    return str(error).strip().partition("\n")[0]


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether this is a machine or an accelerator without memory left; torch says it in several ways."""
    words = ("can't allocate memory", "out of memory", "unable to allocate", "alloc_failed")
    told = isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)
    return told or isinstance(error, MemoryError)


def _in_a_line(value: object) -> object:
    if not isinstance(value, str | BaseException):
        return value
    text = " ".join(str(value).split()) if "\n" in str(value) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


# What other libraries call it, where the names are not alike.
_ELSEWHERE = {"acc": "accuracy", "bs": "batch_size", "l2": "weight_decay", "learning_rate": "lr", "wd": "weight_decay"}


def suggest(name: object, names: Iterable[str]) -> str:
    """The end of a sentence about an unknown `name`: the nearest known one, or up to three that are as near; all, or
    the first of many, where none is near.
    """
    known, text = sorted(names), str(name).lower()
    if _ELSEWHERE.get(text.replace("-", "_")) in known:
        return say("; did you mean {name}?", name=_ELSEWHERE[text.replace("-", "_")])
    near = difflib.get_close_matches(text, known, n=3, cutoff=0.6)
    if near:
        likeness = {one: _likeness(one, text) for one in near}
        best = sorted(one for one in near if likeness[one] == max(likeness.values()))
        return say("; did you mean {name}?", name=" / ".join(best))
    return say("; known: {names}", names=few(known)) if known else ""


def _likeness(one: str, text: str) -> tuple[float, int]:
    """How alike two names are; of those that are as much so, names that begin alike are more so."""
    begins = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, text, strict=False)))
    return difflib.SequenceMatcher(None, one, text).ratio(), begins
