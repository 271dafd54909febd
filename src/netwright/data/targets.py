"""The target: class or number?

Words and truth values are classes. Whole numbers are classes when they are few and close together (digits, grades,
wines), numbers otherwise (ages, counts, prices). `target_kind` in the data section overrules this.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netwright.core.errors import DataError
from netwright.core.messages import say
from netwright.data.columns import Parsed, parse_column, refuse_commas
from netwright.data.decimals import Decimal
from netwright.data.schema import Target, TargetKind

__all__ = ["MadeTarget", "Wanted", "class_target", "looks_like_classes", "make_target", "no_target", "too_many"]

Wanted = Literal["class", "number", "multilabel"]

_FEW = 20


@dataclass
class MadeTarget:
    """A target and its values, of which the rows in `bad` cannot be used.

    Shapes: values (N,) int64 for classes, (N, K) float64 otherwise: large numbers keep their differences.
    """

    target: Target
    values: Tensor
    bad: dict[int, str] = field(default_factory=dict)


def no_target(rows: int) -> MadeTarget:
    """No target at all: (N, 0), so that indexing by row still works."""
    return MadeTarget(Target("none"), torch.zeros(rows, 0))


def make_target(
    names: Sequence[str],
    columns: Sequence[NDArray[np.generic]],
    wanted: Wanted | None,
    decimal: Decimal | None = None,
) -> MadeTarget:
    """Make the target of one or several columns.

    Raises:
        DataError: one class only, words where numbers are wanted or may be meant, identifiers.
    """
    parsed = [parse_column(name, values, decimal) for name, values in zip(names, columns, strict=True)]
    if wanted != "class":
        refuse_commas(dict(zip(names, parsed, strict=True)))
    bad: dict[int, str] = {}
    for name, column in zip(names, parsed, strict=True):
        for row in np.flatnonzero(np.isnan(column.values)):
            bad.setdefault(int(row), say("{name} is missing, and it is the target", name=name))
        bad |= column.bad
    good = np.ones(len(columns[0]), dtype=bool)
    good[list(bad)] = False
    if not good.any():
        raise DataError(
            "target {name} has no usable value in {rows} rows; choose another column", name=names[0], rows=len(good)
        )
    if len(names) > 1:
        made = _several(names, parsed, good, wanted)
    elif _is_class(parsed[0], good, wanted):
        made = class_target(names[0], *_labels(parsed[0], columns[0]), good)
    else:
        made = _number(names, parsed)
        _varies(names[0], made.values[torch.from_numpy(good)])
    made.bad |= bad
    return made


def looks_like_classes(values: NDArray[np.float64], few: int = _FEW) -> bool:
    """Whether numbers are labels: whole, at most `few` of them, close together, each seen a few times."""
    unique = np.unique(values)
    if not np.all(np.mod(unique, 1) == 0) or len(unique) > few:
        return False
    close = unique[-1] - unique[0] + 1 <= 2 * len(unique)
    return bool(len(unique) <= 2 or (close and len(values) >= 3 * len(unique)))


def too_many(classes: int, rows: int) -> bool:
    """Whether values that differ so often are no classes, but identifiers, or texts to be written."""
    return classes > max(_FEW, 0.5 * rows)


def class_target(name: str, codes: NDArray[np.float64], labels: Sequence[str], good: NDArray[np.bool_]) -> MadeTarget:
    """Classes from codes into sorted labels; labels that no good row has are dropped.

    Raises:
        DataError: one class only, or nearly as many as rows.
    """
    used = np.unique(codes[good]).astype(np.int64)
    if len(used) == 1:
        template = "target {name} has one class only ({label}) in all {rows} rows; there is nothing to tell apart"
        raise DataError(template, name=name, label=labels[used[0]], rows=int(good.sum()))
    if too_many(len(used), int(good.sum())):
        template = (
            "target {name} has {count} different values in {rows} rows; is it an identifier? choose another column"
        )
        raise DataError(template, name=name, count=len(used), rows=int(good.sum()))
    lookup = np.zeros(len(labels), dtype=np.int64)
    lookup[used] = np.arange(len(used))
    values = lookup[np.where(good, codes, used[0]).astype(np.int64)]
    target = Target("class", tuple(labels[code] for code in used), (name,))
    return MadeTarget(target, torch.from_numpy(values))


def _is_class(parsed: Parsed, good: NDArray[np.bool_], wanted: Wanted | None) -> bool:
    if wanted is not None:
        return wanted == "class"
    if parsed.kind in ("boolean", "category", "text") or (parsed.kind == "id" and parsed.labels):
        return True
    return parsed.kind == "numeric" and looks_like_classes(parsed.values[good])


def _labels(parsed: Parsed, raw: NDArray[np.generic]) -> tuple[NDArray[np.float64], list[str]]:
    """Codes and labels as the user wrote them: 3.0 is "3", and yes stays yes."""
    if parsed.labels:
        return parsed.values, list(parsed.labels)
    unique = np.unique(parsed.values[~np.isnan(parsed.values)])
    codes = np.where(np.isnan(parsed.values), np.nan, np.searchsorted(unique, np.nan_to_num(parsed.values)))
    written: dict[int, str] = {}
    if parsed.kind == "boolean" and raw.dtype.kind in "OUS":
        for code, cell in zip(codes, raw.tolist(), strict=True):
            if not np.isnan(code) and len(written) < len(unique):
                written.setdefault(int(code), str(cell).strip())
    return codes, [written.get(code, f"{value:g}") for code, value in enumerate(unique)]


def _number(names: Sequence[str], parsed: Sequence[Parsed]) -> MadeTarget:
    for name, column in zip(names, parsed, strict=True):
        if column.labels:
            template = "target {name} holds words ({word!r}, …) where numbers are wanted; set data.target_kind: class"
            raise DataError(template, name=name, word=column.labels[0])
    values = np.stack([column.values for column in parsed], axis=1)
    return MadeTarget(Target("number", names=tuple(names)), torch.from_numpy(values))


def _varies(name: str, values: Tensor) -> None:
    if len(values) > 1 and bool((values == values[0]).all()):
        value = f"{float(values[0, 0]):g}"
        raise DataError("target {name} is {value} in every row; there is nothing to learn", name=name, value=value)


def _several(
    names: Sequence[str], parsed: Sequence[Parsed], good: NDArray[np.bool_], wanted: Wanted | None
) -> MadeTarget:
    """Several columns: labels that may hold together if all are 0 or 1, otherwise several numbers."""
    kind: TargetKind = "number"
    flags = all(np.isin(column.values[good], (0.0, 1.0)).all() and not column.labels for column in parsed)
    if wanted == "multilabel" or (wanted is None and flags):
        kind = "multilabel"
    if kind == "multilabel" and not flags:
        raise DataError(
            "targets {names} hold other values than 0 and 1; several labels an example need them",
            names=", ".join(names),
        )
    made = _number(names, parsed)
    return MadeTarget(Target(kind, names=tuple(names)), made.values)
