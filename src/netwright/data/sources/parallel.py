"""A parallel corpus: two text files, line n of the one saying what line n of the other says in another language."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netwright.core.errors import ConfigError, DataError
from netwright.data.dataset import BadRow
from netwright.data.policy import Bad
from netwright.data.sources.delimited import read_lines
from netwright.data.sources.documents import of_pairs
from netwright.data.sources.loaded import PARTS, Loaded, Origin
from netwright.data.table import RawTable, join
from netwright.data.tokenizing.settings import token_settings

__all__ = ["load"]

_SOURCE, _TARGET = "source", "target"


def load(
    path: str,
    target_path: str,
    *,
    validation_path: str | None = None,
    validation_target_path: str | None = None,
    test_path: str | None = None,
    test_target_path: str | None = None,
    tokens: dict[str, Any] | None = None,
    encoding: str = "utf-8",
    bad: Bad | None = None,
    split: dict[str, Any] | None = None,
) -> Loaded:
    """Pairs of lines, of which the second is to be written; their columns are called `source` and `target`.

    Args:
        path, target_path: the files; whatever their names end in (`.en`, `.de`, `.txt`), they are text.
        validation_path, …: both files of each part of an official split.
        tokens: see `TokenSettings`.

    Raises:
        ConfigError: a part with one file only.
        DataError: missing, empty or binary files, of different numbers of lines; too many bad lines.
    """
    files = (path, target_path), (validation_path, validation_target_path), (test_path, test_target_path)
    tables = {}
    for code, (name, (one, other)) in enumerate(zip(PARTS, files, strict=True)):
        if one is not None and other is not None:
            tables[code] = _table(Path(one), Path(other), encoding)
        elif one is not None or other is not None:
            lacking = f"{name}_path" if one is None else f"{name}_target_path"
            template = "data.{lacking} is needed too; a parallel corpus is two files"
            raise ConfigError(template, path=f"data.{lacking}", lacking=lacking)
    table = join(tables) if len(tables) > 1 else tables[0]
    return of_pairs(table, Origin(path), (_SOURCE, _TARGET), token_settings(tokens), bad)


def _table(one: Path, other: Path, encoding: str) -> RawTable:
    """The lines of two files as two columns, but for those that cannot be decoded."""
    columns, problems = list[list[str]](), list[BadRow]()
    for file in (one, other):
        lines, found = read_lines(file, encoding)
        columns.append(lines[:-1] if lines[-1] == "" else lines)  # what follows the last end of line is no line
        problems += found
    if len(columns[0]) != len(columns[1]):
        template = "{one} has {lines} lines and {other} {others}; each line needs its translation on the same line"
        raise DataError(template, one=one, lines=len(columns[0]), other=other, others=len(columns[1]))
    undecodable = {int(problem.place.rpartition(":")[2]) for problem in problems}
    numbers = [number for number in range(1, len(columns[0]) + 1) if number not in undecodable]
    told = {name: _chosen(lines, numbers) for name, lines in zip((_SOURCE, _TARGET), columns, strict=True)}
    return RawTable(str(one), told, np.array(numbers, dtype=np.int64), problems)


def _chosen(lines: list[str], numbers: list[int]) -> NDArray[Any]:
    return np.array([lines[number - 1] for number in numbers] + [None], dtype=object)[:-1]
