"""What commands print: a JSON document, a table, or lines. Results go to stdout, everything else to stderr."""

import contextlib
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from netwright.core.messages import cells, filled, say

__all__ = ["complain", "emit", "figures", "line", "number", "quiet_stdout", "table"]

_RED, _PLAIN = "\033[31m", "\033[0m"


def emit(document: Any) -> None:
    """Print one JSON document; numbers that JSON does not know (NaN, infinity) become null."""
    print(_encoded(document, indent=2))


def line(value: Any) -> None:
    """Print one line of JSON, at once: somebody may be reading along."""
    print(_encoded(value), flush=True)


@contextlib.contextmanager
def quiet_stdout(as_json: bool) -> Iterator[None]:
    """While a `--json` command computes, what libraries and users' code print goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        yield


def complain(text: str, word: str = "error") -> None:
    """A message on standard error, each of its lines marked with `word`."""
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    mark = f"{_RED}{say(word)}:{_PLAIN}" if colour else f"{say(word)}:"
    sys.stdout.flush()
    with contextlib.suppress(OSError):  # where nothing can be said, the exit code still tells
        for part in text.splitlines() or [""]:
            print(mark, part, file=sys.stderr)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """A table: ruled by rich on a terminal, plain aligned columns elsewhere.

    Args:
        right: places of the columns that are set flush right (numbers).
    """
    if sys.stdout.isatty():
        _ruled(columns, rows, right)
        return
    lines = [list(columns), *(list(row) for row in rows)]
    widths = [max(cells(row[place]) for row in lines) for place in range(len(columns))]
    for row in lines:
        padded = [filled(cell, widths[place], right=place in right) for place, cell in enumerate(row)]
        print("  ".join(padded).rstrip())


def figures(metrics: dict[str, float]) -> str:
    """Metrics in one line, four decimals each."""
    return "  ".join(f"{name} {number(value)}" for name, value in metrics.items())


def number(value: Any) -> str:
    """Four decimals for a float."""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _ruled(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    ruled = Table(box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        ruled.add_column(column, justify="right" if place in right else "left", overflow="fold")
    for row in rows:
        ruled.add_row(*(Text(cell) for cell in row))
    Console().print(ruled)


def _encoded(value: Any, indent: int | None = None) -> str:
    unicode = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    return json.dumps(_finite(value), indent=indent, ensure_ascii=not unicode, default=str)


def _finite(value: Any) -> Any:
    if hasattr(value, "tolist"):  # an array, such as a predicted picture
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
