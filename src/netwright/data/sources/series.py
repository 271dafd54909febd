"""Time series in a table: a row a moment, a column a quantity, and perhaps a column that tells several series apart.

Rows are put in the order of time. A cell that is missing takes the value before it and is told as a problem; rows
before a series' first values, or without a time, are left out. Where the times make a regular grid, a moment that lacks
breaks the series: no window crosses the gap.
Letters: R rows, C columns (targets first), T rows of a window, H of the horizon.
"""

import importlib.metadata
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netwright.core.errors import ConfigError, DataError, MissingExtra
from netwright.core.messages import say
from netwright.core.schemas import Size
from netwright.data.columns import Parsed, parse_column, refuse_commas
from netwright.data.dataset import BadRow
from netwright.data.decimals import Decimal
from netwright.data.policy import Bad, settle
from netwright.data.schema import Column, Schema, Target
from netwright.data.series import SeriesDataset, window_starts
from netwright.data.sources.delimited import read_lines, read_parts
from netwright.data.sources.loaded import Loaded, Origin, official_parts
from netwright.data.table import RawTable, check_columns

__all__ = ["latest_rows", "load", "load_co2"]

_GAP = 1.5  # steps of time that are one too many
_GRID = 0.9  # share of steps that must be alike for a grid
_SHOWN_GAPS = 20


def load(
    path: str,
    *,
    target: str | list[str] | None = None,
    window: Size | None = None,
    horizon: Size | None = None,
    time: str | None = None,
    covariates: list[str] | None = None,
    series: str | None = None,
    season: Size | None = None,
    delimiter: str | None = None,
    encoding: str = "utf-8",
    decimal: Decimal | None = None,
    validation_path: str | None = None,
    test_path: str | None = None,
    bad: Bad | None = None,
    split: dict[str, Any] | None = None,
    like: Schema | None = None,
) -> Loaded:
    """Windows of a table (`.csv`, `.tsv`, `.jsonl`, `.parquet`) to forecast from.

    Args:
        target: the column to forecast, or several.
        window: rows that the network looks back on.
        horizon: rows that it forecasts.
        time: the column that orders the rows, dates or numbers; without it they stand in order.
        covariates: further columns that the network sees in the window, not beyond it.
        series: the column that tells several series apart.
        decimal: what stands before a fraction; with a comma, points part thousands. By default a point.
        season: rows after which a series is like itself again; found from dates where it is not given (hours of a day,
            days of a week, months of a year), else 1.
        validation_path, test_path: files of an official split; otherwise the latest rows are cut off.
        like: a settled schema to read by, for new data (`load_like`).

    Raises:
        ConfigError: no target, window or horizon; a season longer than the window.
        DataError: no such column, words for numbers, a moment that stands twice, no stretch as long as a window.
    """
    plan = _plan(target, window, horizon, time, covariates, series, decimal) if like is None else _Plan.of_schema(like)
    table = read_parts((path, validation_path, test_path), delimiter=delimiter, encoding=encoding, bad=bad)
    loaded = _loaded(table, Path(path).name, Origin(path), plan, like.target.season if like else season, bad)
    if like is not None:
        loaded.dataset = loaded.dataset.with_schema(like)
    return loaded


def load_co2(window: int = 104, horizon: int = 26) -> Loaded:
    """Carbon dioxide in the air over Mauna Loa, week by week from 1958 to 2001, in parts per million.

    Keeling & Whorf, "Atmospheric CO2 concentrations derived from flask air samples at sites in the SIO network", 2004;
    public domain; read from statsmodels where it is installed. 59 weeks lack and are filled with the week before.

    Raises:
        MissingExtra: the package is not installed.
    """
    found = importlib.util.find_spec("statsmodels")  # not imported: that takes seconds, and pandas and scipy
    if found is None or found.origin is None:
        template = "{module} is not installed; run: pip install --no-deps {module}"
        raise MissingExtra(template, module="statsmodels")
    file = Path(found.origin).parent / "datasets" / "co2" / "co2.csv"
    weeks, values = np.array([line.split(",") for line in read_lines(file, "ascii")[0][1:] if line], dtype=object).T
    dates = np.array([f"{week[:4]}-{week[4:6]}-{week[6:]}" for week in weeks], dtype=object)
    table = RawTable(str(file), {"date": dates, "co2": values}, np.arange(2, len(weeks) + 2))
    origin = Origin(f"statsmodels {importlib.metadata.version('statsmodels')}", "public domain")
    return _loaded(table, "co2", origin, _Plan(("co2",), (), window, horizon, "date", None), 52, None)


def latest_rows(path: str, schema: Schema) -> Tensor:
    """The rows of a file of one series in the order of time, by the columns of a schema. Shapes: -> (R, C) float64.

    Raises:
        DataError: as `load`; also a file with several series.
    """
    rows = _rows(read_parts((path,)), _Plan.of_schema(schema), None, path)
    if len(np.unique(rows.codes)) > 1:
        raise DataError("{path} holds several series; give the rows of one", path=path)
    return torch.from_numpy(rows.values)


@dataclass(frozen=True)
class _Plan:
    """Which columns mean what, and how long windows are."""

    targets: tuple[str, ...]
    covariates: tuple[str, ...]
    window: int
    horizon: int
    time: str | None
    series: str | None
    decimal: Decimal | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return *self.targets, *self.covariates

    @classmethod
    def of_schema(cls, schema: Schema) -> "_Plan":
        """Read back from what `_schema` wrote."""
        noted = {"id" if column.kind == "id" else "time": column.name for column in schema.columns if column.note}
        targets = schema.target.names
        others = tuple(column.name for column in schema.features if column.name not in targets)
        return cls(
            targets, others, schema.input_shape[0], schema.target.horizon, noted.get("time"), noted.get("id"),
            "," if any(column.form == "," for column in schema.features) else None,
        )  # fmt: skip


@dataclass
class _Rows:
    """Rows in order. Shapes: values (R, C) float64, times (R,) float64, codes (R,) of the series, parts (R,) int8."""

    values: NDArray[np.float64]
    times: NDArray[np.float64]
    codes: NDArray[np.int64]
    parts: NDArray[np.int8]
    places: Sequence[str]
    problems: list[BadRow]
    dates: str  # how dates are written; "none" where times are numbers


def _plan(
    target: str | list[str] | None,
    window: int | None,
    horizon: int | None,
    time: str | None,
    covariates: list[str] | None,
    series: str | None,
    decimal: Decimal | None,
) -> _Plan:
    for name, value in (("target", target), ("window", window), ("horizon", horizon)):
        if not value:
            template = "data.{name} is needed to forecast; {do}"
            do = say("name the column") if name == "target" else say("give a number of rows")
            raise ConfigError(template, path=f"data.{name}", name=name, do=do)
    targets = (target,) if isinstance(target, str) else tuple(target or ())
    others = tuple(name for name in covariates or () if name not in targets)
    return _Plan(targets, others, window or 1, horizon or 1, time, series, decimal)


def _loaded(table: RawTable, name: str, origin: Origin, plan: _Plan, season: int | None, bad: Bad | None) -> Loaded:
    rows = _rows(table, plan, bad, table.source)
    broken = _breaks(rows, table)
    pieces = torch.from_numpy(np.cumsum(broken))
    starts = window_starts(pieces, plan.window + plan.horizon)
    if not len(starts):
        longest = int(torch.bincount(pieces).max())
        template = (
            "{source}: the longest unbroken stretch has {rows} rows, and a window of {window} with a horizon of "
            "{horizon} needs {length}; use a shorter data.window or more data"
        )
        raise DataError(
            template, source=table.source, rows=longest, window=plan.window, horizon=plan.horizon,
            length=plan.window + plan.horizon,
        )  # fmt: skip
    schema = _schema(plan, rows, table, _season(season, rows, plan.window))
    dataset = SeriesDataset(
        torch.from_numpy(rows.values), torch.from_numpy(rows.times), pieces, starts, schema, name, rows.problems
    )
    return Loaded(dataset, origin, len(table), rows.problems, _official(dataset, torch.from_numpy(rows.parts)))


def _rows(table: RawTable, plan: _Plan, bad: Bad | None, source: str) -> _Rows:
    """The rows in order, without those that cannot be used."""
    wanted = [name for name in (*plan.names, plan.time, plan.series) if name is not None]
    check_columns(table, wanted)
    if not len(table):
        raise DataError("{source} has no rows; there is nothing to learn from", source=source)
    parsed = {name: parse_column(name, table.columns[name], plan.decimal) for name in dict.fromkeys(wanted)}
    refuse_commas({name: column for name, column in parsed.items() if name != plan.series})
    values = np.stack([_numbers(parsed[name], name, source) for name in plan.names], axis=1)
    times = _times(parsed.get(plan.time or ""), plan.time, len(table), source)
    codes = _codes(parsed.get(plan.series or ""), len(table))
    problems = [*table.problems, *_without_place(table, times, codes)]
    known = np.flatnonzero(~np.isnan(times) & (codes >= 0))
    order = known[np.lexsort((times[known], codes[known]))]
    _refuse_twice(table, times[order], codes[order], order, plan)
    filled, missing, lead = _fill(values[order], codes[order])
    problems += [BadRow(table.place(int(row)), _missing(values[row], parsed, plan, row)) for row in order[missing]]
    settle(problems, len(table) + len(table.problems), bad, source)
    kept = ~lead
    order = order[kept]
    parts = table.parts[order] if table.parts is not None else np.zeros(len(order), dtype=np.int8)
    form = parsed[plan.time].form if plan.time and parsed[plan.time].kind == "datetime" else "none"
    return _Rows(
        filled[kept], times[order], codes[order], parts, [table.place(int(row)) for row in order], problems, form
    )


def _numbers(parsed: Parsed, name: str, source: str) -> NDArray[np.float64]:
    if parsed.labels or parsed.kind == "datetime":
        template = "{source}: column {name!r} holds {kind} where numbers are wanted; a series is one of numbers"
        raise DataError(template, source=source, name=name, kind=say("words") if parsed.labels else say("dates"))
    return np.where(np.isfinite(parsed.values), parsed.values, np.nan)


def _times(parsed: Parsed | None, name: str | None, count: int, source: str) -> NDArray[np.float64]:
    if parsed is None:
        return np.arange(count, dtype=np.float64)
    if parsed.labels:
        template = "{source}: data.time={name} holds words ({word!r}, …) where dates or numbers are wanted"
        raise DataError(template, source=source, name=name, word=parsed.labels[0])
    return parsed.values


def _codes(parsed: Parsed | None, count: int) -> NDArray[np.int64]:
    if parsed is None:
        return np.zeros(count, dtype=np.int64)
    unique = np.unique(parsed.values[~np.isnan(parsed.values)])
    return np.where(np.isnan(parsed.values), -1, np.searchsorted(unique, np.nan_to_num(parsed.values))).astype(np.int64)


def _without_place(table: RawTable, times: NDArray[np.float64], codes: NDArray[np.int64]) -> list[BadRow]:
    lost = np.flatnonzero(np.isnan(times) | (codes < 0))
    return [BadRow(table.place(int(row)), say("no time or no series; left out")) for row in lost]


def _refuse_twice(
    table: RawTable, times: NDArray[np.float64], codes: NDArray[np.int64], order: NDArray[np.int64], plan: _Plan
) -> None:
    twice = np.flatnonzero((np.diff(times) == 0) & (np.diff(codes) == 0))
    if not len(twice):
        return
    first, second = (table.place(int(order[row])) for row in (twice[0], twice[0] + 1))
    do = (
        say("remove one") if plan.series else say("remove one, or name the column that tells series apart: data.series")
    )
    raise DataError("{first} and {second} are of the same time; {do}", first=first, second=second, do=do)


def _fill(
    values: NDArray[np.float64], codes: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Each missing cell from the row before. Shapes: -> filled (R, C), rows with missing cells (R,), rows without past
    (R,): nothing fills those.
    """
    places = np.where(np.isnan(values), -1, np.arange(len(values))[:, None])
    last = np.maximum.accumulate(places, axis=0)
    begins = np.searchsorted(codes, codes)  # codes are sorted
    filled = np.take_along_axis(values, np.maximum(last, 0), axis=0)
    return filled, np.isnan(values).sum(axis=1) > 0, (last < begins[:, None]).sum(axis=1) > 0


def _missing(values: NDArray[np.float64], parsed: dict[str, Parsed], plan: _Plan, row: int) -> str:
    names = [name for name, value in zip(plan.names, values, strict=True) if np.isnan(value)]
    told = [parsed[name].bad[int(row)] for name in names if int(row) in parsed[name].bad]
    return say("{what}; the value before it is used", what=told[0] if told else say("no {name}", name=", ".join(names)))


def _breaks(rows: _Rows, table: RawTable) -> NDArray[np.int64]:
    """1 where a new stretch begins: another series, or after a gap in a regular grid; gaps are told."""
    begins: NDArray[np.bool_] = np.diff(rows.codes, prepend=rows.codes[:1]) != 0
    steps = np.diff(rows.times, prepend=rows.times[:1])
    usual = steps[1:][~begins[1:]]
    if len(usual) and _is_grid(usual):
        gaps = ~begins & (steps > _GAP * np.median(usual))
        told = np.flatnonzero(gaps)[:_SHOWN_GAPS]
        rows.problems += [
            BadRow(rows.places[row], say("times are missing before this row; no window crosses the gap"))
            for row in told
        ]
        begins |= gaps
    return np.asarray(begins, dtype=np.int64)


def _is_grid(steps: NDArray[np.float64]) -> bool:
    """Whether nearly all steps are alike; months are, working days are not."""
    middle = np.median(steps)
    return bool(middle > 0 and np.mean(np.abs(steps - middle) <= 0.15 * middle) >= _GRID)


def _season(given: int | None, rows: _Rows, window: int) -> int:
    if given is not None and given > window:
        template = "data.season={season} is longer than data.window={window}; use a window of a season or more"
        raise ConfigError(template, path="data.season", season=given, window=window)
    if given is not None:
        return given
    steps = np.diff(rows.times)[np.diff(rows.codes) == 0]
    if rows.dates == "none" or not len(steps) or not _is_grid(steps):
        return 1
    days = float(np.median(steps))
    by_step = ((0.9, round(1 / days)), (1.1, 7), (7.5, 52), (32, 12), (93, 4))
    found = next((season for most, season in by_step if days < most), 1)
    return found if 1 < found <= window else 1


def _schema(plan: _Plan, rows: _Rows, table: RawTable, season: int) -> Schema:
    columns = [
        Column(name, "numeric", unique=len(np.unique(rows.values[:, k])), form="," if plan.decimal == "," else "")
        for k, name in enumerate(plan.names)
    ]
    if plan.time is not None:
        kind, form = ("numeric", "") if rows.dates == "none" else ("datetime", rows.dates)
        columns.append(Column(plan.time, kind, note=say("orders the rows"), form=form))  # type: ignore[arg-type]
    if plan.series is not None:
        columns.append(Column(plan.series, "id", unique=len(np.unique(rows.codes)), note=say("tells series apart")))
    target = Target("forecast", names=plan.targets, horizon=plan.horizon, season=season)
    return Schema("series", (plan.window, len(plan.names)), "float64", target, tuple(columns))


def _official(dataset: SeriesDataset, parts_R: Tensor) -> dict[str, Tensor]:
    """Windows by the file in which all their targets stand, if they look back on no later part."""
    if not bool(parts_R.any()):
        return {}
    inside = parts_R[dataset.starts[:, None] + torch.arange(dataset.length)]
    wanted, past = inside[:, dataset.window :], inside[:, : dataset.window]
    whole = (wanted == wanted[:, :1]).all(1) & (past <= wanted[:, :1]).all(1)
    codes = torch.where(whole, wanted[:, 0], torch.full_like(wanted[:, 0], -1))
    return official_parts(codes)
