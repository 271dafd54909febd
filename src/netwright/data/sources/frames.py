"""Data frames of pandas and polars, and Arrow tables; recognised without importing any of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netwright.core.messages import say
from netwright.data.alike import table_like
from netwright.data.decimals import Decimal
from netwright.data.policy import Bad
from netwright.data.schema import Schema
from netwright.data.sources.delimited import arrow_column
from netwright.data.sources.loaded import Loaded, Origin
from netwright.data.table import RawTable, load_table
from netwright.data.targets import Wanted

__all__ = ["frame_columns", "load_columns", "load_frame"]

_GIVEN = Origin("given in Python")


def load_frame(
    frame: Any,
    *,
    target: str | Sequence[str] | None = None,
    target_kind: Wanted | None = None,
    ignore: Sequence[str] = (),
    decimal: Decimal | None = None,
    bad: Bad | None = None,
    like: Schema | None = None,
) -> Loaded:
    """A pandas or polars frame, or an Arrow table. Errors: see `table.load_table`."""
    return load_columns(
        frame_columns(frame) or {}, target=target, target_kind=target_kind, ignore=ignore, decimal=decimal, bad=bad,
        like=like,
    )  # fmt: skip


def load_columns(
    columns: Mapping[str, NDArray[Any]],
    *,
    target: str | Sequence[str] | None = None,
    target_kind: Wanted | None = None,
    ignore: Sequence[str] = (),
    decimal: Decimal | None = None,
    bad: Bad | None = None,
    like: Schema | None = None,
) -> Loaded:
    """Columns by name; rows count from 0, as data frames do. Errors: see `table.load_table`.

    `like` is a settled schema to read by, for new data (`load_like`).
    """
    lines = np.arange(len(next(iter(columns.values()), [])))
    table = RawTable("table", columns, lines, unit=say(" row "))
    if like is not None:
        return table_like(table, "table", _GIVEN, like, bad)
    return load_table(
        table, "table", _GIVEN, target=target, target_kind=target_kind, ignore=ignore, decimal=decimal, bad=bad
    )


def frame_columns(value: Any) -> dict[str, NDArray[Any]] | None:
    """The columns of a data frame, whichever library made it; None for anything else."""
    library = type(value).__module__.split(".")[0]
    if library == "pandas" and hasattr(value, "columns"):
        return {str(name): _pandas(value[name]) for name in value.columns}
    if library == "polars" and hasattr(value, "get_columns"):
        return {column.name: _polars(column) for column in value.get_columns()}
    if library == "pyarrow" and hasattr(value, "column_names"):
        return {name: arrow_column(value.column(name)) for name in value.column_names}
    return None


def _pandas(series: Any) -> NDArray[Any]:
    values: NDArray[Any]
    if series.dtype.kind in "iufb" and not hasattr(series.dtype, "na_value"):
        values = series.to_numpy()
    elif series.dtype.kind == "M":
        values = (
            series.dt.tz_localize(None).to_numpy() if getattr(series.dt, "tz", None) is not None else series.to_numpy()
        )
    elif series.dtype.kind in "iuf":
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        values = series.astype(object).to_numpy()
    return values


def _polars(series: Any) -> NDArray[Any]:
    values: NDArray[Any] = series.to_numpy()
    return values if values.dtype.kind in "biufM" else np.array([*series.to_list(), None], dtype=object)[:-1]
