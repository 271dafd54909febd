"""What happens to bad rows: counted and named always; skipped up to a limit, or refused.

`bad: skip` leaves out any number of them, `bad: refuse` none; without either, up to one row in twenty is left out.
"""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from netwright.core.errors import DataError
from netwright.core.messages import say
from netwright.data.dataset import BadRow

__all__ = ["Bad", "first_of", "missing_file", "nearest", "settle"]

Bad = Literal["skip", "refuse"]

_SKIPPED_SILENTLY = 0.05
_SHOWN, _LONGEST = 3, 200  # bad examples that are named, and their characters together


def settle(problems: Sequence[BadRow], total: int, bad: Bad | None, source: str) -> None:
    """Accept the bad rows among `total` or refuse the data.

    Raises:
        DataError: more bad rows than the policy allows, or nothing but bad rows; names the first of them.
    """
    if not problems or (bad == "skip" and len(problems) < total):
        return
    if bad is None and len(problems) <= _SKIPPED_SILENTLY * total:
        return
    values = {"source": source, "bad": len(problems), "total": total, "shown": first_of(problems, source)}
    if len(problems) >= total:
        raise DataError("{source}: all {total} examples are bad - {shown}; repair them, or name other data", **values)
    if bad == "refuse":
        raise DataError(
            "{source}: {bad} of {total} examples are bad - {shown}; repair them, or set data.bad: skip", **values
        )
    raise DataError(
        "{source}: {bad} of {total} examples are bad, more than the 5 % that may be skipped - {shown}; "
        "repair them, or set data.bad: skip",
        **values,
    )


def first_of(problems: Sequence[BadRow | str], source: str) -> str:
    """The first bad rows, or places of rows, in words, and how many more there are."""
    folder = f"{Path(source).parent}/"
    first = [str(problem).removeprefix(folder) for problem in problems[:_SHOWN]]
    while len(first) > 1 and sum(map(len, first)) > _LONGEST:
        first.pop()
    more = say("; and {count} more", count=len(problems) - len(first)) if len(problems) > len(first) else ""
    return "; ".join(first) + more


def missing_file(path: Path) -> DataError:
    """The error for a path that is not there, with the nearest name in its folder."""
    folder = path.parent
    if folder.is_dir():
        names = sorted(entry.name for entry in folder.iterdir())[:10_000]
        return DataError("{path} does not exist{near}", path=path, near=nearest(path.name, names, show_all=False))
    return DataError("{path} does not exist, nor does its folder; check data.path", path=path)


def nearest(name: object, names: Iterable[str], show_all: bool = True) -> str:
    """Like `core.errors.suggest`, for names whose case matters; at most a dozen are listed."""
    known = list(names)
    folded = {entry.lower(): entry for entry in known}
    near = difflib.get_close_matches(str(name).lower(), folded, n=1, cutoff=0.6)
    if near:
        return say("; did you mean {name}?", name=folded[near[0]])
    if not show_all or not known:
        return ""
    return say("; known: {names}", names=", ".join(known[:12]) + (", …" if len(known) > 12 else ""))
