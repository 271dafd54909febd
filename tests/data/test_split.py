"""Splits: shares, strata, groups, times, hashes - and the seal on the test set."""

import logging
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

from netwright.core.errors import CheckpointError, ConfigError, DataError
from netwright.core.records import read_json, write_json
from netwright.data import load_data
from netwright.data.split import SplitRule, split_rows


def frame(rows: int = 200) -> pandas.DataFrame:
    chance = np.random.default_rng(1)
    return pandas.DataFrame(
        {
            "x": chance.normal(size=rows),
            "patient_id": [f"p{n // 5:03d}" for n in range(rows)],
            "day": pandas.date_range("2024-01-01", periods=rows)[chance.permutation(rows)],
            "sick": ["no"] * (rows - rows // 10) + ["yes"] * (rows // 10),
        }
    )


def section(**split: object) -> dict:
    return {"frame": frame(), "target": "sick", "split": split}


def test_stratified_keeps_shares_and_covers_every_row_once() -> None:
    data = load_data(section(validation=0.2, test=0.1))
    assert data.split["sizes"] == {"train": 140, "validation": 40, "test": 20}
    assert data.validation is not None
    assert int(data.validation.labels().sum()) == 4
    assert torch.equal(torch.cat(list(data.rows.values())).sort().values, torch.arange(200))


def test_split_depends_on_its_seed_only() -> None:
    first, again, other = load_data(section()), load_data(section()), load_data(section(seed=1))
    assert first.split["sha256"] == again.split["sha256"] != other.split["sha256"]
    assert load_data(section(), seed=1).split["sha256"] == other.split["sha256"]


def test_the_hash_sees_a_changed_value() -> None:
    changed = section()
    changed["frame"].loc[0, "x"] += 1e-3
    assert load_data(changed).split["sha256"] != load_data(section()).split["sha256"]


def test_groups_stay_together() -> None:
    data = load_data(section(by="group", column="patient_id"))
    groups = [set(data.keys["patient_id"][rows].tolist()) for rows in data.rows.values()]
    assert len(groups) == 3 and not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])
    assert 10 <= data.split["sizes"]["test"] <= 20
    two = section(by="group", column="sick", validation=0, test=0.2)  # a group for each of the two parts
    assert set(load_data({**two, "target": "x", "target_kind": "number"}).rows) == {"train", "test"}


def test_time_puts_the_latest_last() -> None:
    data = load_data(section(by="time", column="day"))
    days = {name: data.keys["day"][rows] for name, rows in data.rows.items()}
    assert days["train"].max() < days["validation"].min() <= days["validation"].max() < days["test"].min()
    assert data.split["sizes"] == {"train": 160, "validation": 20, "test": 20}


def test_rows_of_the_same_time_are_not_torn_apart() -> None:
    table = frame().assign(day=[n // 50 for n in range(200)])
    data = load_data({"frame": table, "target": "x", "split": {"by": "time", "column": "day"}})
    days = [set(data.keys["day"][rows].tolist()) for rows in data.rows.values()]
    assert not set.intersection(*days) and sum(map(len, days)) == 4


def test_small_classes_stay_in_training() -> None:
    table = frame(100).assign(sick=["no"] * 97 + ["yes"] * 3)
    assert load_data(table, target="sick").split["classes"]["yes"] == 3


def test_shares_of_nothing_and_of_everything() -> None:
    data = load_data(section(validation=0.0, test=0.0))
    assert data.validation is None and data.test is None and data.split["sizes"]["train"] == 200
    with pytest.raises(ConfigError, match="leaves nothing to train on"):
        load_data(section(validation=0.6, test=0.5))


@pytest.mark.parametrize(
    ("split", "error", "words"),
    [
        ({"by": "group"}, ConfigError, "needs data.split.column"),
        ({"column": "day"}, ConfigError, "needs data.split.by"),
        ({"by": "time", "column": "dya"}, DataError, "did you mean day"),
        ({"validaton": 0.1}, ConfigError, "did you mean validation"),
        ({"test": 1.5}, ConfigError, r"data\.split\.test=1\.5"),
        ({"by": "stratum"}, ConfigError, r"data\.split\.by='stratum'"),
        ("half", ConfigError, r"data\.split='half'"),
    ],
)
def test_wrong_split_sections(split: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        load_data({"frame": frame(), "target": "sick", "split": split})


def test_texts_without_lines_are_cut_where_the_share_ends(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abcd" * 500)
    assert load_data(tmp_path / "a.txt").split["sizes"] == {"train": 1600, "validation": 200, "test": 200}


def test_an_official_test_is_kept_unless_there_is_none() -> None:
    loaded = load_data("fashion-mnist-small")
    assert torch.equal(loaded.rows["test"], torch.arange(6000, 7000))
    from netwright.data.sources.fashion import load_small

    rows = split_rows(load_small(), SplitRule(validation=0.0)).rows
    assert set(rows) == {"train", "test"} and len(rows["train"]) == 6000


def test_the_test_set_is_sealed_and_looks_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = load_data("iris")
    assert data.test is not None and len(data.test) == 15
    with pytest.raises(DataError, match="sealed"):
        data.test.tensors()
    with pytest.raises(CheckpointError):
        data.test.open(tmp_path)  # no split.json: a look that cannot be counted is not given
    write_json(tmp_path / "split.json", data.split)
    with caplog.at_level(logging.WARNING, "netwright"):
        assert len(data.test.open(tmp_path)) == 15
        assert not caplog.records
        data.test.open(tmp_path)
    assert "look 2" in caplog.text
    record = read_json(tmp_path / "split.json")
    assert record["test_looks"] == 2 and record["sha256"] == data.split["sha256"]
