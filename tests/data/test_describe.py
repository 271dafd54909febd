"""`describe` and its leakage audit: each kind of leak is found, and honest data are not accused."""

import json
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

from netwright.data import DataBundle, describe, list_data, load_data
from netwright.data.audit import audit


def frame(rows: int = 300) -> pandas.DataFrame:
    chance = np.random.default_rng(4)
    table = pandas.DataFrame(
        {"x": chance.normal(size=rows), "z": chance.normal(size=rows), "c": chance.choice(list("abc"), rows)}
    )
    return table.assign(
        label=np.where(table.x + chance.normal(size=rows) > 0, "up", "down"), value=table.x * 3 + table.z
    )


def kinds(data: DataBundle) -> dict[str, str]:
    return {leak.where: leak.kind for leak in audit(data)}


THERE = [card["name"] for card in list_data() if card["installed"] and card["name"] != "fashion-mnist"]


@pytest.mark.parametrize("name", THERE)
def test_builtin_sets_are_described_as_json_and_as_a_page(name: str) -> None:
    described = describe(load_data(name))
    assert json.loads(json.dumps(described)) == described
    page = str(described)
    assert page.startswith(name) and described["task"] in page
    # iris has a flower twice, digits none; a feature that gives the label away is in none of them
    assert all(leak["kind"] == "duplicates" for leak in described["leaks"])


def test_honest_data_have_no_leaks() -> None:
    for target in ("label", "value"):
        assert kinds(load_data(frame(), target=target)) == {}


def test_duplicates_across_parts_are_counted() -> None:
    table = pandas.concat([frame(), frame()[:60]])
    data = load_data(table, target="label")
    found = {leak.where: leak.count for leak in audit(data) if leak.kind == "duplicates"}
    assert found and sum(found.values()) >= 5
    tensor = torch.randint(0, 255, (50, 1, 6, 6), dtype=torch.uint8)
    pictures = load_data((torch.cat([tensor, tensor]), torch.arange(100) % 2))
    assert "duplicates" in kinds(pictures).values()


@pytest.mark.parametrize(
    ("column", "target"),
    [
        (lambda t: t.label.map({"up": "u", "down": "d"}), "label"),
        (lambda t: (t.label == "up").astype(int), "label"),
        (lambda t: np.where(t.label == "up", 5.0, -5.0) + t.z.clip(-2, 2), "label"),
        (lambda t: 7 - 2.5 * t.value, "value"),
    ],
)
def test_a_feature_that_is_the_label_is_named(column: object, target: str) -> None:
    table = frame()
    table["leak"] = column(table)  # type: ignore[operator]
    other = "value" if target == "label" else "label"
    assert kinds(load_data(table.drop(columns=other), target=target)) == {"leak": "determining-feature"}


def test_groups_in_several_parts_are_named_and_the_advice_helps() -> None:
    table = frame().assign(patient_id=[f"p{n % 60}" for n in range(300)])
    assert kinds(load_data(table, target="label"))["patient_id"] == "shared-group"
    split = {"by": "group", "column": "patient_id"}
    assert kinds(load_data({"frame": table, "target": "label", "split": split})) == {}


def test_long_lines_of_a_text_in_two_parts(tmp_path: Path) -> None:
    lines = [f"this is line number {n} and it is a rather long one" for n in range(300)]
    (tmp_path / "a.txt").write_text("\n".join([*lines, *lines[:30]]))
    assert "duplicates" in kinds(load_data(tmp_path / "a.txt")).values()


def test_warnings_candidates_and_bad_rows_are_shown(tmp_path: Path) -> None:
    table = frame().assign(label=["rare"] * 8 + ["often"] * 292)
    page = describe(load_data(table, target="label"))
    assert any("classes are unequal" in warning for warning in page["warnings"])
    table.rename(columns={"label": "Species"}).to_csv(tmp_path / "a.csv", index=False)
    with (tmp_path / "a.csv").open("a") as file:
        file.write("1,2\n")
    page = describe(load_data(tmp_path / "a.csv"))
    assert page["target_candidates"] == ["Species", "value"] and page["task"] is None
    assert page["problems"] == [{"place": f"{tmp_path}/a.csv:302", "reason": "2 fields where the header has 5"}]
    assert "a.csv:302" in str(page) and "perhaps the target: Species" in str(page)
