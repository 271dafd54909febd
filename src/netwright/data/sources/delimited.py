"""CSV and TSV files, JSON lines and Parquet: read to columns, every bad line named.

CSV is read by Python's own reader, because only a reader that we watch can say which line is ragged or not UTF-8.
"""

import codecs
import csv
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netwright.core.errors import ConfigError, DataError, need
from netwright.core.messages import say
from netwright.data.alike import table_like
from netwright.data.dataset import BadRow
from netwright.data.decimals import Decimal, some_comma
from netwright.data.policy import Bad, missing_file, settle
from netwright.data.schema import Schema
from netwright.data.sources.loaded import Loaded, Origin
from netwright.data.table import RawTable, join, load_table
from netwright.data.targets import Wanted

__all__ = ["TABLE_SUFFIXES", "load", "read_lines", "read_parts", "read_table"]

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".pq")
_DELIMITERS = ",;\t|"


def load(
    path: str,
    *,
    target: str | list[str] | None = None,
    target_kind: Wanted | None = None,
    ignore: list[str] | None = None,
    delimiter: str | None = None,
    encoding: str = "utf-8",
    decimal: Decimal | None = None,
    validation_path: str | None = None,
    test_path: str | None = None,
    bad: Bad | None = None,
    split: dict[str, Any] | None = None,
    like: Schema | None = None,
) -> Loaded:
    """A table in a file: `.csv`, `.tsv`, `.jsonl`, `.parquet`.

    Args:
        target: the column to predict, or several.
        ignore: columns that are no features.
        decimal: what stands before a fraction; with a comma, points part thousands. By default it is a point, and
            columns of numbers with commas are refused.
        validation_path, test_path: files of an official split; `path` is then the training part.
        like: a settled schema to read by, for new data (`load_like`).

    Raises:
        DataError: see `table.load_table`; also missing, empty or undecodable files.
    """
    table = read_parts((path, validation_path, test_path), delimiter=delimiter, encoding=encoding, bad=bad)
    if like is not None:
        return table_like(table, Path(path).name, Origin(path), like, bad)
    return load_table(
        table, Path(path).name, Origin(path), target=target, target_kind=target_kind, ignore=ignore or (),
        decimal=decimal, bad=bad,
    )  # fmt: skip


def read_parts(
    paths: Sequence[str | None], *, delimiter: str | None = None, encoding: str = "utf-8", bad: Bad | None = None
) -> RawTable:
    """The rows of one file, or of the files of an official split, in the order of `PARTS`; None where there is none.

    Raises:
        DataError: missing, empty or undecodable files, or files with different columns.
    """
    tables = {
        code: read_table(Path(file), delimiter, encoding, bad) for code, file in enumerate(paths) if file is not None
    }
    return join(tables) if len(tables) > 1 else tables[0]


def read_lines(path: Path, encoding: str) -> tuple[list[str], list[BadRow]]:
    """The lines of a text file without their ends; lines that cannot be decoded come back empty, and as problems.

    Raises:
        DataError: no such file, a folder, empty, binary, or an encoding that Python does not know.
    """
    content = _bytes(path)
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        content = content.removeprefix(codecs.BOM_UTF8)
    wide = encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32"))
    try:
        text = content.decode(encoding)
        lines = text.replace("\r\n", "\n").split("\n")
        if "\0" in text:
            row = next(number for number, line in enumerate(lines, start=1) if "\0" in line)
            raise DataError("{path}:{row} holds NUL bytes; this is no text file", path=path, row=row)
        return lines, []
    except LookupError as error:
        template = "data.encoding={encoding} is not an encoding; use utf-8, latin-1, gb18030, utf-16, …"
        raise DataError(template, encoding=encoding) from error
    except UnicodeDecodeError as error:
        if wide or content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            hint = "" if wide else say("; it begins like UTF-16: set data.encoding: utf-16")
            raise DataError("{path} is not {encoding}{hint}", path=path, encoding=encoding, hint=hint) from error
    decoded, problems = list[str](), list[BadRow]()
    for number, line in enumerate(content.split(b"\n"), start=1):
        try:
            decoded.append(line.decode(encoding).removesuffix("\r"))
        except UnicodeDecodeError as error:
            decoded.append("")
            problems.append(BadRow(f"{path}:{number}", _undecodable(line, error, encoding)))
    return decoded, problems


def _undecodable(line: bytes, error: UnicodeDecodeError, encoding: str) -> str:
    template = "byte {byte} at position {place} is not {encoding} (latin-1 or gb18030? set data.encoding)"
    return say(template, byte=f"0x{line[error.start]:02x}", place=error.start + 1, encoding=encoding)


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise DataError("{path} is a folder; expected a file", path=path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise missing_file(path) from None
    except OSError as error:
        raise DataError("{path} cannot be read: {reason}", path=path, reason=error.strerror) from error
    if not content.strip():
        raise DataError("{path} is empty; there is nothing to learn from", path=path)
    return content


def read_table(path: Path, delimiter: str | None, encoding: str, bad: Bad | None) -> RawTable:
    """The columns of a file as they stand there; lines that cannot be read are among its problems.

    Raises:
        DataError: see `load`.
    """
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".pq"):
        return _parquet(path)
    lines, problems = read_lines(path, encoding)
    if problems and problems[0].place == f"{path}:1":
        raise DataError("{problem}; the first line must be readable", problem=problems[0])
    settle(problems, len(lines), bad, str(path))
    reader = _json_rows if suffix in (".jsonl", ".ndjson") else _csv_rows
    return reader(path, lines, delimiter, problems)


def _parquet(path: Path) -> RawTable:
    if not path.is_file():
        raise missing_file(path)
    parquet = need("pyarrow.parquet", "tables")
    try:
        table = parquet.read_table(path)
    except Exception as error:  # pyarrow has many error types and no common one
        reason = str(error).partition("\n")[0].rpartition("': ")[2].partition(". ")[0]
        raise DataError("{path} is not a readable Parquet file: {reason}", path=path, reason=reason) from error
    columns = {name: arrow_column(table.column(name)) for name in table.column_names}
    return RawTable(str(path), columns, np.arange(1, table.num_rows + 1), unit=say(" row "))


def arrow_column(column: Any) -> NDArray[Any]:
    """A column of an Arrow table as NumPy: numbers and dates as such, everything else as objects."""
    values: NDArray[Any] = column.to_numpy()
    return values if values.dtype.kind in "biufM" else np.array(column.to_pylist(), dtype=object)


def _csv_rows(path: Path, lines: list[str], delimiter: str | None, problems: list[BadRow]) -> RawTable:
    undecodable = {problem.place for problem in problems}
    if delimiter is not None and len(delimiter) != 1:
        template = "data.delimiter={got!r} does not fit; expected one character, such as , or ;"
        raise ConfigError(template, path="data.delimiter", got=delimiter)
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter or _delimiter(path, lines))
    names = _header(path, reader)
    rows, numbers, found = [], [], list(problems)
    first = before = reader.line_num
    for row in _rows(path, reader):
        first, before = before + 1, reader.line_num
        if not row or f"{path}:{first}" in undecodable:
            continue
        if len(row) == len(names):
            rows.append(row)
            numbers.append(first)
        else:
            reason = say("{got} fields where the header has {wanted}", got=len(row), wanted=len(names))
            found.append(BadRow(f"{path}:{first}", reason))
    if before > first > 1 and "\n".join(lines[first - 1 :]).count('"') % 2:
        template = "{path}:{line}: a quote that begins here is never closed; close it, or remove it"
        raise DataError(template, path=path, line=first)
    columns = [np.array(column, dtype=object) for column in zip(*rows, strict=True)] or [
        np.array([], dtype=object)
    ] * len(names)
    return RawTable(str(path), dict(zip(names, columns, strict=True)), np.array(numbers, dtype=np.int64), found)


def _rows(path: Path, reader: Any) -> Iterator[list[str]]:
    csv.field_size_limit(1 << 24)
    try:
        yield from reader
    except csv.Error as error:
        template = "{path}:{line}: {error}; check the quotes near that line"
        raise DataError(template, path=path, line=reader.line_num, error=error) from error


def _delimiter(path: Path, lines: list[str]) -> str:
    head, first, *_ = [*islice(filter(str.strip, lines), 2), "", ""]
    if some_comma([first.strip()]) and not any(sign in head for sign in _DELIMITERS):
        return ";"  # a single column, of numbers with a comma
    return "\t" if path.suffix.lower() == ".tsv" else max(_DELIMITERS, key=head.count)


def _header(path: Path, reader: Any) -> list[str]:
    names = [name.strip() for name in next((row for row in _rows(path, reader) if row), [])]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError("{path} has two columns named {name!r}; rename one", path=path, name=twice)
    if names and all(_is_number(name) for name in names):
        template = "{path}: the first line ({head}, …) looks like data; add a line of column names above it"
        raise DataError(template, path=path, head=", ".join(names[:3]))
    return names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _json_rows(path: Path, lines: list[str], delimiter: str | None, problems: list[BadRow]) -> RawTable:
    undecodable = {problem.place for problem in problems}
    rows, numbers, found = [], [], list(problems)
    for number, line in enumerate(lines, start=1):
        if not line.strip() or f"{path}:{number}" in undecodable:
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            reason = str(error)
            if isinstance(error, json.JSONDecodeError):
                reason = say("{error}, column {column}", error=error.msg, column=error.colno)
            found.append(BadRow(f"{path}:{number}", say("not JSON: {error}", error=reason)))
            continue
        if isinstance(row, dict):
            rows.append(row)
            numbers.append(number)
        else:
            found.append(
                BadRow(f"{path}:{number}", say("a {kind} where an object is expected", kind=type(row).__name__))
            )
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: np.array([_cell(row.get(name)) for row in rows] + [None], dtype=object)[:-1] for name in names}
    return RawTable(str(path), columns, np.array(numbers, dtype=np.int64), found)


def _cell(value: Any) -> Any:
    """Nested values become text, so that a column stays one of plain cells."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
