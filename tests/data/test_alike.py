"""New data are read by the training's schema: the same codes for the same words, whatever else the new data hold."""

from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from PIL import Image

from netwright.core.errors import DataError
from netwright.data import Schema, load_data, load_like


def frame() -> pandas.DataFrame:
    rows = 60
    return pandas.DataFrame(
        {
            "id": range(rows),
            "city": ["Rome", "Oslo", "Lima"] * 20,
            "size": np.linspace(1, 9, rows),
            "stamp": 1_700_000_000 + np.arange(rows)[::-1] * 7,
            "grade": [3, 1, 2] * 20,
            "cost": np.linspace(10, 20, rows),
        }
    )


def test_a_part_of_the_table_keeps_its_codes(tmp_path: Path) -> None:
    data = load_data({"frame": frame(), "target": "grade", "ignore": ["cost"], "split": {"test": 0, "validation": 0}})
    schema = Schema.from_dict(data.schema.to_dict())
    tensors = data.train.tensors()
    assert tensors is not None
    rows = [1, 4, 7]  # one city, one grade: nothing could be inferred from them
    frame().iloc[rows].to_csv(tmp_path / "a.csv", index=False)
    for spec in (
        frame().iloc[rows],
        {"frame": frame().iloc[rows]},
        tmp_path / "a.csv",
        {"path": str(tmp_path / "a.csv")},
    ):
        again = load_like(spec, schema).tensors()
        assert again is not None
        assert torch.equal(again[0], tensors[0][rows]) and torch.equal(again[1], tensors[1][rows])


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    schema = load_data(frame(), target="grade").schema
    with pytest.raises(DataError, match="no column 'size'; did you mean Size"):
        load_like(frame().rename(columns={"size": "Size"}), schema)
    with pytest.raises(DataError, match="no column 'grade'"):
        load_like(frame().drop(columns="grade"), schema)
    with pytest.raises(DataError, match="'9' is no class of the model"):
        load_like(frame().assign(grade=9), schema)
    table = frame().astype({"size": object})
    table.loc[5, "size"] = "large"
    assert [str(problem) for problem in load_like(table, schema).problems] == [
        "table row 5: size='large' is not a number"
    ]
    new = load_like(frame().assign(city="Paris"), schema).tensors()
    assert new is not None and bool((new[0][:, 0] == -1).all())
    with pytest.raises(DataError, match="the data are image"):
        load_like("digits", schema)


def test_numbers_keep_their_units() -> None:
    schema = load_data(frame(), target="cost").schema
    new = load_like(frame()[:2], schema).tensors()
    assert new is not None and new[1].flatten().tolist() == pytest.approx([10, 10 + 10 / 59])


def test_pictures_come_in_the_size_and_classes_of_training(tmp_path: Path) -> None:
    for label, size in (("a/cat", 8), ("a/dog", 8), ("b/dog", 20), ("c/eel", 8)):
        (tmp_path / label).mkdir(parents=True)
        for number in range(6):
            Image.new("RGB", (size, size), (number, 9, 9)).save(tmp_path / label / f"{number}.png")
    schema = load_data(tmp_path / "a").schema
    for spec in (tmp_path / "b", {"path": str(tmp_path / "b"), "memory_gb": 0.0}):
        dataset = load_like(spec, schema)
        assert dataset.read(0)[0].shape == (3, 8, 8) and dataset.labels().tolist() == [1] * 6
    with pytest.raises(DataError, match="does not know the class eel; its classes are cat, dog"):
        load_like(tmp_path / "c", schema)


def test_an_official_test_part_is_what_is_measured() -> None:
    assert len(load_like("fashion-mnist-small", load_data("fashion-mnist-small").schema)) == 1000
    assert len(load_like("iris", load_data("iris").schema)) == 150


def test_arrays_and_texts(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(30, 2))
    np.savez(tmp_path / "a.npz", x=x, y=np.array([5, 7, 9] * 10))
    np.savez(tmp_path / "b.npz", x=x, y=np.array([7, 9] * 15))
    schema = load_data(tmp_path / "a.npz").schema
    assert schema.target.classes == ("5", "7", "9")
    assert load_like(tmp_path / "b.npz", schema).labels().tolist()[:2] == [1, 2]
    (tmp_path / "a.txt").write_text("some words\n" * 30)
    assert len(load_like(tmp_path / "a.txt", load_data("glosses").schema)) == 330
