"""What a column of a table is: number, category, truth value, date, free text or identifier.

A column arrives as whatever the file held (strings, numbers, dates) and leaves as float64 with NaN for what is missing:
numbers as they are, truth values as 0 and 1, dates as days since 1970, everything else as the codes of its sorted
values. Cells that do not fit their column are reported, never guessed.
"""

import contextlib
import functools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netwright.core.errors import DataError
from netwright.core.messages import say
from netwright.data.decimals import Decimal, some_comma, with_comma
from netwright.data.schema import Column, ColumnKind

__all__ = ["MISSING", "Parsed", "date_text", "days", "is_missing", "parse_column", "refuse_commas", "truth"]

# What pandas reads as missing, and the question mark of the UCI archive.
MISSING = frozenset(
    {
        "",
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-NaN",
        "-nan",
        "<NA>",
        "N/A",
        "NA",
        "NULL",
        "NaN",
        "NaT",
        "None",
        "n/a",
        "nan",
        "null",
        "?",
    }
)
_TRUE, _FALSE = frozenset({"true", "yes", "t", "y"}), frozenset({"false", "no", "f", "n"})
_ID_EXACT = re.compile(r"(^|[_\s.-])(id|uuid|guid|index|idx|rownames?)$|[a-z]I[dD]$|^unnamed: 0$|^$")
_DATE = re.compile(r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]\d|$)")
# One form for a whole column, the best fit: 03/04/2024 alone could be March or April.
_DATE_FORMS = (
    "",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    *(f"{day} {time}" for day in ("%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d.%m.%Y") for time in ("%H:%M", "%H:%M:%S")),
)
_LIKELY, _FITS = 0.8, 0.95  # shares of a column's values that make a kind likely, and certain; the rest are bad cells
_FEW_WORDS = 20  # "1", "2", "3", "4 or more" are categories; a thousand prices with some junk are prices


@dataclass
class Parsed:
    """A column made numeric; `labels` are the words behind codes, `form` is that of dates, or "," for a decimal comma.

    `comma` is one of several words that may be numbers with a comma, where nobody said what it means.

    Shapes: values (N,) float64, NaN where missing.
    """

    kind: ColumnKind
    values: NDArray[np.float64]
    labels: tuple[str, ...] = ()
    form: str = ""
    bad: dict[int, str] = field(default_factory=dict)
    comma: str = ""

    def column(self, name: str) -> Column:
        """The schema's line about this column, with the reason if it is of no use as a feature."""
        known = self.values[~np.isnan(self.values)]
        unique = len(np.unique(known))
        note = {"id": say("an identifier"), "text": say("free text")}.get(self.kind, "")
        if unique <= 1:
            note = say("constant") if unique else say("empty")
        return Column(
            name,
            self.kind,
            len(self.values) - len(known),
            unique,
            self.labels if self.kind == "category" else (),
            _origin(self.kind, known),
            bool(len(known) < len(self.values)),
            note,
            self.form,
        )


def parse_column(name: str, values: NDArray[Any], decimal: Decimal | None = None) -> Parsed:
    """Infer what a column is. Shapes: values (N,) of any dtype.

    Integers called an id, or that count the rows, are identifiers; a handful of different words is a category.

    Args:
        decimal: what stands before a fraction. With a comma, points part thousands; with None, columns of what may be
            numbers with commas tell one of them (`Parsed.comma`).
    """
    if values.dtype.kind == "b":
        return Parsed("boolean", values.astype(np.float64))
    if values.dtype.kind in "iuf":
        return _numbers(name, values.astype(np.float64))
    if values.dtype.kind == "M":
        seconds = values.astype("datetime64[s]").astype(np.int64).astype(np.float64)
        return Parsed("datetime", np.where(np.isnat(values), np.nan, seconds / 86400.0))
    if values.dtype.kind == "m":
        return Parsed("numeric", values / np.timedelta64(1, "s"))
    return _words(name, values.tolist(), decimal)


def refuse_commas(parsed: Mapping[str, Parsed]) -> None:
    """See that no column is of words which may be numbers.

    Raises:
        DataError: one is; says what to do.
    """
    for name, column in parsed.items():
        if column.comma:
            template = (
                "column {name!r} holds {value!r}: set data.decimal to ',' if that is a decimal comma, to '.' if these "
                "are words, or remove the commas if they part thousands"
            )
            raise DataError(template, name=name, value=column.comma)


def is_missing(value: object) -> bool:
    """Whether a cell is empty in one of the usual ways."""
    if isinstance(value, str):
        return value.strip() in MISSING
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or type(value).__name__ in ("NAType", "NaTType")
    )


def truth(value: object) -> float:
    """A truth value as 0 or 1, from words as well.

    Raises:
        ValueError: it is none.
    """
    word = str(value).strip().lower()
    if word in _TRUE or word in _FALSE:
        return float(word in _TRUE)
    number = float(word)
    if number in (0.0, 1.0):
        return number
    raise ValueError(word)


def days(value: object, form: str = "") -> float:
    """A date as days since 1970-01-01 (UTC); `form` is that of `strptime`, by default ISO.

    Raises:
        ValueError: it is no such date.
    """
    if isinstance(value, np.datetime64):
        return float(value.astype("datetime64[s]").astype(np.int64)) / 86400.0
    if isinstance(value, date):
        value, form = value.isoformat(), ""
    text = str(value).strip()
    moment = datetime.strptime(text, form) if form else datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() / 86400.0


def date_text(value: float, form: str = "") -> str:
    """Undo of `days`, to the second."""
    moment = datetime(1970, 1, 1) + timedelta(seconds=round(value * 86400))
    return moment.strftime(form) if form else moment.isoformat()


def _numbers(name: str, values: NDArray[np.float64]) -> Parsed:
    known = values[~np.isnan(values)]
    bad = {
        int(row): say("{name}={value} is not a finite number", name=name, value=values[row])
        for row in np.flatnonzero(np.isinf(values))
    }
    unique = np.unique(known)
    if len(unique) and np.all((unique == 0) | (unique == 1)):
        return Parsed("boolean" if len(unique) == 2 else "numeric", values, bad=bad)
    whole = bool(len(known)) and bool(np.all(np.mod(known[np.isfinite(known)], 1) == 0))
    if whole and (_counts_rows(values) or (_ID_EXACT.search(name) and len(unique) > 20)):
        return Parsed("id", values, bad=bad)
    return Parsed("numeric", values, bad=bad)


def _counts_rows(values: NDArray[np.float64]) -> bool:
    """Whether a column is 0, 1, 2, … or 1, 2, 3, … down the rows."""
    return len(values) >= 20 and values[0] in (0.0, 1.0) and bool(np.all(np.diff(values) == 1))


def _words(name: str, cells: Sequence[Any], decimal: Decimal | None) -> Parsed:
    if set(map(type, cells)) == {str}:
        known = [row for row, cell in enumerate(cells) if cell.strip() not in MISSING]
    else:
        known = [row for row, cell in enumerate(cells) if not is_missing(cell)]
    if not known:
        return Parsed("numeric", np.full(len(cells), np.nan))
    sample = [str(cells[row]).strip() for row in known[:: max(1, len(known) // 200)]]
    kind: ColumnKind | None = None
    read: Callable[[Any], float] = float
    form = ""
    if all(isinstance(cells[row], bool) or str(cells[row]).strip().lower() in _TRUE | _FALSE for row in known[:200]):
        kind, read = "boolean", truth
    elif decimal == "," and _share(with_comma, sample) >= _LIKELY:
        kind, read, form = "numeric", with_comma, decimal
    elif _share(float, sample) >= _LIKELY:
        kind = "numeric"
    elif sum(bool(_DATE.match(text)) for text in sample) >= _LIKELY * len(sample):
        form = max(_DATE_FORMS, key=lambda form: _share(functools.partial(days, form=form), sample))
        kind, read = "datetime", functools.partial(days, form=form)
    parsed = _read(name, cells, known, kind, read) if kind is not None else None
    if parsed is None:
        return replace(_coded(name, cells, known), comma="" if decimal else some_comma(sample))
    return replace(parsed, form=form)


def _share(read: Any, sample: Sequence[str]) -> float:
    fits = 0
    for text in sample:
        try:
            read(text)
        except ValueError:
            continue
        fits += 1
    return fits / len(sample)


def _read(name: str, cells: Sequence[Any], known: list[int], kind: Any, read: Any) -> Parsed | None:
    """Read every known cell; None when many do not fit and there are few words, which then are categories."""
    values, bad = np.full(len(cells), np.nan), dict[int, str]()
    if read is float:
        with contextlib.suppress(ValueError, TypeError, OverflowError):  # all at once, where all fit
            values[known] = np.array([cells[row] for row in known], dtype=np.float64)
            known = []
    for row in known:
        try:
            values[row] = read(cells[row])
        except (ValueError, TypeError, OverflowError):
            wanted = {"numeric": say("a number"), "boolean": say("yes or no"), "datetime": say("a date")}[kind]
            bad[row] = say("{name}={value!r} is not {wanted}", name=name, value=str(cells[row])[:40], wanted=wanted)
    if len(bad) > (1 - _FITS) * len(known) and len({str(cells[row]) for row in known}) <= _FEW_WORDS:
        return None
    if kind != "numeric":
        return Parsed(kind, values, bad=bad)
    parsed = _numbers(name, values)
    return Parsed(parsed.kind, values, bad=parsed.bad | bad)


def _coded(name: str, cells: Sequence[Any], known: list[int]) -> Parsed:
    words = [str(cells[row]).strip() for row in known]
    labels, codes = np.unique(np.array(words, dtype=object).astype(str), return_inverse=True)
    values = np.full(len(cells), np.nan)
    values[known] = codes
    return Parsed(_kind_of_words(name, words, len(labels)), values, tuple(labels.tolist()))


def _kind_of_words(name: str, words: list[str], unique: int) -> ColumnKind:
    spaced = sum(word.count(" ") for word in words[:500]) / min(len(words), 500)
    if unique > 20 and (_ID_EXACT.search(name) or (unique == len(words) and spaced < 0.5)):
        return "id"
    if spaced >= 4 or (unique > 100 and unique > 0.5 * len(words)):
        return "text" if unique > 20 else "category"
    return "category"


def _origin(kind: ColumnKind, known: NDArray[np.float64]) -> float:
    """What to subtract so that float32 keeps the differences: nothing for numbers of ordinary size."""
    if not len(known):
        return 0.0
    if kind == "datetime":
        return float(np.floor(known.min()))
    large = kind == "numeric" and np.abs(known).max() >= 2**20
    return float(np.floor(np.median(known))) if large else 0.0
