"""Time series: order, gaps, missing cells, seasons, the split in time, scaling, windows, and new data."""

from pathlib import Path

import numpy as np
import pytest
import torch

from netwright.core.errors import ConfigError, DataError, MissingExtra
from netwright.data import Preprocessor, Schema, describe, load_data, load_like
from netwright.data.batching import SeriesWindows
from netwright.data.series import SeriesDataset, window_starts
from netwright.data.sources import series


def hourly(path: Path, rows: int = 300, skip: tuple[int, ...] = (), extra: str = "") -> Path:
    """A file of hours: `value` counts up, `other` down."""
    start = np.datetime64("2024-01-01T00:00")
    lines = [f"{start + np.timedelta64(i, 'h')},{i},{-i}" for i in range(rows) if i not in skip]
    path.write_text("date,value,other\n" + "\n".join(lines) + "\n" + extra)
    return path


def section(path: Path, **more: object) -> dict[str, object]:
    return {"path": str(path), "target": "value", "time": "date", "window": 24, "horizon": 6} | more


def test_no_target_of_validation_or_test_is_ever_seen_before(tmp_path: Path) -> None:
    data = load_data(section(hourly(tmp_path / "a.csv"), split={"validation": 0.1, "test": 0.2}))
    assert data.split["method"] == "time" and data.validation is not None and data.test is not None
    train, validation, test = data.train, data.validation, data.test.open()
    assert isinstance(train, SeriesDataset) and isinstance(validation, SeriesDataset)
    seen = train.rows[train.covered(), 0]
    assert seen.max() == 209 and validation.labels().min() == 210 and validation.labels().max() == 239
    assert test.labels().min() == 240 and test.labels().max() == 299
    # Each row that can be asked for is asked for, and windows look back over the cut.
    assert len(test) == 60 - 5 and test.read(0)[0][:, 0].tolist() == list(range(216, 240))


def test_rows_are_put_in_order_and_windows_stay_inside_a_series(tmp_path: Path) -> None:
    rows = [f"2024-01-{day:02d},{who},{100 * (who == 'b') + day}" for day in range(1, 21) for who in "ab"]
    np.random.default_rng(0).shuffle(rows)
    (tmp_path / "a.csv").write_text("when,who,value\n" + "\n".join(rows))
    spec = {"path": str(tmp_path / "a.csv"), "target": "value", "time": "when", "series": "who"}
    data = load_data(spec | {"window": 4, "horizon": 2, "split": {"test": 0.2, "validation": 0.2}})
    for part in (data.train, data.validation, data.test.open()):
        for i in range(len(part)):
            past, ahead = part.read(i)
            assert torch.equal(torch.cat([past, ahead]).diff(dim=0), torch.ones(5, 1, dtype=torch.float64))
    assert data.split["sizes"] == {"train": 2 * (12 - 5), "validation": 2 * 3, "test": 2 * 3}  # both cut at one day
    assert [column.name for column in data.schema.features] == ["value"]


def test_no_window_crosses_a_gap_and_gaps_are_told(tmp_path: Path) -> None:
    data = load_data(section(hourly(tmp_path / "a.csv", skip=(100, 101)), split={"validation": 0, "test": 0}))
    assert len(data.train) == (100 - 29) + (198 - 29)
    assert [str(problem) for problem in data.problems] == [
        f"{tmp_path}/a.csv:102: times are missing before this row; no window crosses the gap"
    ]


def test_working_days_are_no_grid_with_gaps(tmp_path: Path) -> None:
    days = [day for day in np.arange("2024-01-01", "2024-06-01", dtype="datetime64[D]") if np.is_busday(day)]
    (tmp_path / "a.csv").write_text("date,value\n" + "\n".join(f"{day},{i}" for i, day in enumerate(days)))
    data = load_data(section(tmp_path / "a.csv", split={"validation": 0, "test": 0}))
    assert len(data.train) == len(days) - 29 and not data.problems and data.schema.target.season == 1


def test_missing_cells_take_the_value_before_and_are_told(tmp_path: Path) -> None:
    text = "value,x\n?,1\n" + "\n".join(f"{'' if i in (9, 10) else i},1" for i in range(60))
    (tmp_path / "a.csv").write_text(text)
    spec = {"path": str(tmp_path / "a.csv"), "target": "value", "window": 5, "horizon": 2}
    with pytest.raises(DataError, match="3 of 61 examples are bad") as caught:
        load_data(spec | {"bad": "refuse"})
    assert "a.csv:2: no value; the value before it is used" in str(caught.value)
    data = load_data(spec | {"split": {"validation": 0, "test": 0}})
    assert data.train.rows[:, 0].tolist()[8:12] == [8, 8, 8, 11] and len(data.train.rows) == 60


@pytest.mark.parametrize(
    ("step", "window", "season"), [("30m", 48, 48), ("h", 24, 24), ("h", 20, 1), ("D", 24, 7), ("W", 60, 52)]
)
def test_the_season_follows_from_the_dates(tmp_path: Path, step: str, window: int, season: int) -> None:
    unit = np.timedelta64(30, "m") if step == "30m" else np.timedelta64(1, step)
    lines = [f"{np.datetime64('2020-01-01T00:00') + i * unit},{i % 5}" for i in range(200)]
    (tmp_path / "a.csv").write_text("date,value\n" + "\n".join(lines))
    assert load_data(section(tmp_path / "a.csv", window=window)).schema.target.season == season


def test_months_have_a_season_of_twelve(tmp_path: Path) -> None:
    months = np.arange("2000-01", "2010-01", dtype="datetime64[M]").astype("datetime64[D]")
    (tmp_path / "a.csv").write_text("date,value\n" + "\n".join(f"{day},{i}" for i, day in enumerate(months)))
    data = load_data(section(tmp_path / "a.csv"))
    assert data.schema.target.season == 12 and not data.problems


def test_scaling_and_the_naive_error_are_of_training_rows_only(tmp_path: Path) -> None:
    data = load_data(section(hourly(tmp_path / "a.csv"), covariates=["other"], split={"validation": 0, "test": 0.5}))
    made = Preprocessor.fit(data.train)
    rows = data.train.rows[data.train.covered()]
    assert made.values()["mean"] == pytest.approx(rows.mean(0).tolist()) and rows[:, 0].max() == 149
    assert made.values()["naive"] == [24.0]  # a value is 24 above that of a day before
    scaled = made.inputs(rows[None])
    assert scaled.dtype == torch.float32 and scaled.mean().abs() < 1e-6 and scaled.shape == (1, 150, 2)
    wanted = data.train.labels()[:7]
    assert torch.allclose(made.targets_back(made.targets(wanted).double()), wanted.flatten(1), atol=1e-4)
    again = Preprocessor.from_dict(made.to_dict())
    assert torch.equal(again.inputs(rows[None]), scaled) and again.schema == data.schema


def test_batches_are_a_pure_function_of_seed_and_epoch(tmp_path: Path) -> None:
    data = load_data(section(hourly(tmp_path / "a.csv"), covariates=["other"]))
    made = Preprocessor.fit(data.train)
    one, other = (SeriesWindows(data.train, made, batch_size=32, seed=3) for _ in range(2))
    batches = list(one.epoch(2))
    for mine, resumed in zip(batches[3:], other.epoch(2, start=3), strict=True):
        assert torch.equal(mine.inputs, resumed.inputs) and torch.equal(mine.targets, resumed.targets)
    assert not torch.equal(batches[0].index, next(one.epoch(3)).index)
    index = torch.cat([batch.index for batch in batches])
    assert sorted(index.tolist()) == list(range(len(data.train))) and one.examples == len(data.train)
    past, ahead = data.train.read(int(batches[0].index[0]))
    assert torch.equal(batches[0].inputs[0], made.inputs(past[None])[0]) and batches[0].inputs.shape == (32, 24, 2)
    assert torch.equal(batches[0].targets[0], made.targets(ahead[None])[0]) and batches[0].targets.shape == (32, 6)


def test_sizes_for_networks_and_the_schema_as_json(tmp_path: Path) -> None:
    data = load_data(section(hourly(tmp_path / "a.csv"), target=["value", "other"], horizon=5))
    sizes = {"in_channels": 2, "horizon": 5, "in_features": 48, "num_classes": 10}
    assert data.schema.sizes() == sizes and data.schema.default_task() == "forecasting"
    assert Schema.from_dict(data.schema.to_dict()) == data.schema
    assert describe(data)["task"] == "forecasting" and "series (24, 2)" in str(describe(data))


def test_official_files_follow_one_another(tmp_path: Path) -> None:
    lines = hourly(tmp_path / "all.csv").read_text().splitlines()
    (tmp_path / "train.csv").write_text("\n".join(lines[:251]))
    (tmp_path / "test.csv").write_text("\n".join([lines[0], *lines[251:]]))
    data = load_data(section(tmp_path / "train.csv", test_path=str(tmp_path / "test.csv")))
    test = data.test.open()
    assert test.labels().min() == 250 and test.labels().max() == 299 and len(test) == 45
    assert data.train.rows[data.train.covered()].max() == 224  # a tenth of the 250 rows is the validation


def test_new_data_are_read_by_the_schema_of_training(tmp_path: Path) -> None:
    schema = load_data(section(hourly(tmp_path / "a.csv"), covariates=["other"])).schema
    new = load_like(str(hourly(tmp_path / "b.csv", rows=40)), schema)
    assert len(new) == 11 and new.schema == schema
    with pytest.raises(DataError, match="no column 'other'"):
        (tmp_path / "c.csv").write_text("date,value\n2024-01-01,1\n2024-01-02,2\n")
        load_like(str(tmp_path / "c.csv"), schema)


def test_a_recent_window_as_users_have_it(tmp_path: Path) -> None:
    data = load_data(section(hourly(tmp_path / "a.csv"), covariates=["other"]))
    made = Preprocessor.fit(data.train)
    wanted = made.raw(str(tmp_path / "a.csv"))
    assert wanted.shape == (24, 2) and wanted[-1].tolist() == [299, -299]
    values = list(range(276, 300))
    assert torch.equal(made.raw({"value": values, "other": [-v for v in values], "date": ["?"] * 24}), wanted)
    assert torch.equal(made.raw(np.stack([values, [-v for v in values]], 1)), wanted)
    for bad, words in [
        (np.zeros((5, 2)), "the latest 24 rows, got 5"),
        (np.zeros((30, 3)), r"shape \(30, 3\); expected 24 rows or more of 2 columns \(value, other\)"),
        ({"value": values}, "lacks column other"),
        (np.full((24, 2), np.nan), "no numbers"),
        ("nowhere.csv", "does not exist"),
    ]:
        with pytest.raises(DataError, match=words):
            made.raw(bad)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": None}, "data.target is needed to forecast; name the column"),
        ({"horizon": None}, "data.horizon is needed to forecast; give a number of rows"),
        ({"season": 48}, "data.season=48 is longer than data.window=24"),
        ({"split": {"by": "random"}}, "data.split.by=random would put rows beside the test's into training"),
        ({"split": {"test": 0.01}}, "data.split.test=0.01 leaves too few rows for a horizon of 6"),
        (
            {"window": 400},
            "the longest unbroken stretch has 300 rows, and a window of 400 with a horizon of 6 needs 406",
        ),
        ({"target": "vallue"}, "no column 'vallue'; did you mean value"),
        ({"target": "date", "time": None}, "column 'date' holds dates where numbers are wanted"),
        ({"windows": 3}, "data.windows"),
    ],
)
def test_mistakes_are_told_in_one_line(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises((ConfigError, DataError)) as caught:
        load_data(section(hourly(tmp_path / "a.csv")) | changes)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_one_moment_twice_is_refused_by_place(tmp_path: Path) -> None:
    path = hourly(tmp_path / "a.csv", extra="2024-01-01T00:00,7,7\n")
    with pytest.raises(DataError, match=r"a.csv:2 and .*a.csv:302 are of the same time; remove one, or name") as caught:
        load_data(section(path))
    assert "data.series" in str(caught.value)


def test_window_starts_do_not_leave_a_piece() -> None:
    assert window_starts(torch.tensor([0, 0, 0, 1, 1, 1, 1]), 3).tolist() == [0, 3, 4]
    assert window_starts(torch.tensor([0, 0]), 3).tolist() == []


def test_the_package_that_brings_co2_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install --no-deps statsmodels"):
        load_data("co2")


def test_co2_is_read_where_it_is_installed() -> None:
    if series.importlib.util.find_spec("statsmodels") is None:
        pytest.skip("statsmodels is not installed")
    data = load_data({"name": "co2", "window": 60, "horizon": 10})
    assert data.schema.input_shape == (60, 1) and data.schema.target.season == 52 and len(data.problems) == 59
    with pytest.raises(ConfigError, match=r"data.window is for time series, and iris is none"):
        load_data({"name": "iris", "window": 60})
