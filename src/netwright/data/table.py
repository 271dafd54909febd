"""From columns to a data set: features as one float32 row, the target apart, bad rows left out.

Letters: N rows, F columns used as features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netwright.core.errors import DataError
from netwright.core.messages import say
from netwright.data.columns import Parsed, parse_column, refuse_commas
from netwright.data.dataset import BadRow, TensorDataset
from netwright.data.decimals import Decimal
from netwright.data.policy import Bad, nearest, settle
from netwright.data.schema import Column, Schema
from netwright.data.sources.loaded import Loaded, Origin, official_parts
from netwright.data.targets import MadeTarget, Wanted, make_target, no_target

__all__ = ["RawTable", "check_columns", "fit_columns", "join", "load_table"]

_MOST_CATEGORIES = 64


@dataclass
class RawTable:
    """Columns as they were read, with the place of each row and the part of the split it came with.

    Shapes: every column (N,); lines (N,) numbers of the rows in their file; parts (N,) codes into `PARTS`.
    `unit` joins file and number in a place: `houses.csv:17`, `houses.parquet row 17`.
    """

    source: str
    columns: Mapping[str, NDArray[Any]]
    lines: NDArray[np.int64]
    problems: Sequence[BadRow] = ()
    parts: NDArray[np.int8] | None = None
    files: tuple[str, ...] = ()
    file_of: NDArray[np.int64] | None = None
    unit: str = ":"

    def __len__(self) -> int:
        return len(self.lines)

    def place(self, row: int) -> str:
        """Where a row stands."""
        file = self.files[self.file_of[row]] if self.file_of is not None else self.source
        return f"{file}{self.unit}{self.lines[row]}"


def join(tables: Mapping[int, RawTable]) -> RawTable:
    """One table of several files, by the part of the split that each is.

    Raises:
        DataError: their columns differ.
    """
    several = list(tables.values())
    names = set(several[0].columns)
    for table in several[1:]:
        if differing := sorted(names ^ set(table.columns)):
            template = "{one} and {other} have different columns ({names}); give them the same"
            raise DataError(template, one=several[0].source, other=table.source, names=", ".join(differing[:6]))
    lengths = [len(table) for table in several]
    return RawTable(
        several[0].source,
        {name: np.concatenate([table.columns[name] for table in several]) for name in several[0].columns},
        np.concatenate([table.lines for table in several]),
        [problem for table in several for problem in table.problems],
        np.repeat(np.array(list(tables), dtype=np.int8), lengths),
        tuple(table.source for table in several),
        np.repeat(np.arange(len(several)), lengths),
        several[0].unit,
    )


def load_table(
    table: RawTable,
    name: str,
    origin: Origin,
    *,
    target: str | Sequence[str] | None = None,
    target_kind: Wanted | None = None,
    ignore: Sequence[str] = (),
    decimal: Decimal | None = None,
    bad: Bad | None = None,
) -> Loaded:
    """Make a data set of a table.

    Shapes: inputs (N, F) float32 with NaN for what is missing, codes for categories (see `Schema.features` for their
    order); targets (N,) int64 for classes, (N, K) float64 for numbers and labels, (N, 0) for none.

    Raises:
        DataError: no rows, no such column, no usable feature, a target that cannot be learnt, too many bad rows.
    """
    total = len(table) + len(table.problems)
    settle(table.problems, total, bad, table.source)  # first: with half the rows gone, the rest would mislead
    if not len(table):
        raise DataError("{source} has no rows; there is nothing to learn from", source=table.source)
    targets = [target] if isinstance(target, str) else list(target or ())
    check_columns(table, [*targets, *ignore])
    made = no_target(len(table))
    if targets:
        made = make_target(targets, [table.columns[name] for name in targets], target_kind, decimal)
    others = [column for column in table.columns if column not in targets]
    parsed = {column: parse_column(column, table.columns[column], decimal) for column in others}
    used = {column: item for column, item in parsed.items() if column not in ignore}
    refuse_commas(used)
    good, problems = _bad_rows(table, made, used)
    settle(problems, total, bad, table.source)
    columns = [_column(item, column, good, column in ignore) for column, item in parsed.items()]
    schema = Schema("table", (sum(column.width for column in columns),), "float32", made.target, tuple(columns))
    if not schema.features:
        raise DataError(
            "{source} has no usable feature{why}; keep at least one column of numbers or categories",
            source=table.source,
            why=_why(columns),
        )
    keys = {column: torch.from_numpy(item.values[good]) for column, item in parsed.items()}
    inputs = _pack(schema.features, keys)
    kept = torch.from_numpy(good)
    parts = (
        torch.from_numpy(table.parts)[kept]
        if table.parts is not None
        else torch.zeros(int(good.sum()), dtype=torch.int8)
    )
    dataset = TensorDataset(inputs, made.values[kept], schema, name, problems)
    rows = np.flatnonzero(good)
    return Loaded(
        dataset, origin, total, problems, official_parts(parts), keys, lambda row: table.place(int(rows[row]))
    )


def fit_columns(loaded: Loaded, train: Tensor) -> TensorDataset:
    """Settle on the training rows which categories get a slot and which columns a missing indicator.

    Everything else in a category column becomes the "unknown" code, so that nothing is learnt from the other splits.
    Shapes: train (n,) row numbers.
    """
    dataset = loaded.dataset
    assert isinstance(dataset, TensorDataset)
    inputs, settled = dataset.inputs.clone(), {}
    for place, column in enumerate(dataset.schema.features):
        seen = inputs[train, place]
        fitted = replace(column, indicator=column.kind != "category" and bool(seen.isnan().any()))
        if column.kind == "category":
            fitted, inputs[:, place] = _keep_frequent(fitted, seen, inputs[:, place])
        settled[column.name] = fitted
    columns = tuple(settled.get(column.name, column) for column in dataset.schema.columns)
    schema = replace(dataset.schema, columns=columns, input_shape=(sum(column.width for column in columns),))
    return TensorDataset(inputs, dataset.targets, schema, dataset.name, dataset.problems)


def _keep_frequent(column: Column, seen: Tensor, codes: Tensor) -> tuple[Column, Tensor]:
    """The most frequent categories of the training rows, in sorted order; -1 is the code of all others."""
    counts = torch.bincount(seen[~seen.isnan()].long(), minlength=len(column.categories))
    kept = torch.argsort(counts, descending=True, stable=True)[:_MOST_CATEGORIES]
    kept = kept[counts[kept] > 0].sort().values
    lookup = torch.full((len(column.categories),), -1.0)
    lookup[kept] = torch.arange(len(kept), dtype=torch.float32)
    recoded = torch.where(codes.isnan(), codes, lookup[codes.nan_to_num(0).long()])
    return replace(column, categories=tuple(column.categories[i] for i in kept.tolist())), recoded


def check_columns(table: RawTable, wanted: Sequence[str]) -> None:
    """See that a table has these columns.

    Raises:
        DataError: one is lacking; says the nearest.
    """
    for name in wanted:
        if name not in table.columns:
            near = nearest(name, table.columns)
            raise DataError("{source} has no column {name!r}{near}", source=table.source, name=name, near=near)


def _bad_rows(
    table: RawTable, made: MadeTarget, parsed: Mapping[str, Parsed]
) -> tuple[NDArray[np.bool_], list[BadRow]]:
    reasons = dict(made.bad)
    for item in parsed.values():
        if item.kind not in ("id", "text"):
            for row, reason in item.bad.items():
                reasons.setdefault(row, reason)
    good = np.ones(len(table), dtype=bool)
    good[list(reasons)] = False
    return good, [*table.problems, *(BadRow(table.place(row), reasons[row]) for row in sorted(reasons))]


def _column(parsed: Parsed, name: str, good: NDArray[np.bool_], ignored: bool) -> Column:
    column = replace(parsed, values=parsed.values[good]).column(name)
    return replace(column, note=say("left out by data.ignore")) if ignored else column


def _why(columns: Sequence[Column]) -> str:
    noted = [f"{column.name}: {column.note}" for column in columns if column.note]
    return f" ({', '.join(noted[:4])})" if noted else ""


def _pack(features: Sequence[Column], keys: Mapping[str, Tensor]) -> Tensor:
    """The features side by side. Shapes: -> (N, F) float32."""
    return torch.stack([(keys[column.name] - column.origin).float() for column in features], dim=1)
