"""A class that stands in the files of validation or test only is told, with the places."""

import logging
from pathlib import Path

import pytest
import torch
from PIL import Image

from netwright.core.errors import DataError
from netwright.data import load_data


def _table(path: Path, labels: list[str]) -> str:
    path.write_text("x,y\n" + "".join(f"{k * 0.37:.2f},{label}\n" for k, label in enumerate(labels)))
    return str(path)


def test_of_a_table_class_and_rows_are_named(tmp_path: Path) -> None:
    train = _table(tmp_path / "train.csv", ["cat", "dog"] * 15)
    test = _table(tmp_path / "test.csv", ["cat", "Cat", "dog", "cow", *["dog"] * 10])
    with pytest.raises(DataError, match=r"^test.csv:3; test.csv:5: no training example is of the class Cat, cow; "):
        load_data({"path": train, "test_path": test, "target": "y"})
    good = _table(tmp_path / "good.csv", ["dog", "cat"] * 5)
    bundle = load_data({"path": train, "test_path": good, "target": "y"})
    assert bundle.schema.target.classes == ("cat", "dog")


def test_of_texts_too(tmp_path: Path) -> None:
    train = _table(tmp_path / "train.csv", ["cat", "dog"] * 15)
    late = _table(tmp_path / "late.csv", ["cat", "owl"] * 5)
    for file in (train, late):
        Path(file).write_text(Path(file).read_text().replace("\n0", "\nword 0").replace("\n1", "\nword 1"))
    with pytest.raises(DataError, match=r"late.csv:3; .*class owl"):
        load_data({"path": train, "validation_path": late, "text": "x", "target": "y"})


@pytest.mark.parametrize("kind", ["png", "txt"])
def test_of_folders_the_files_are_named(kind: str, tmp_path: Path) -> None:
    for part, classes in (("train", "ab"), ("test", "abc")):
        for label in classes:
            folder = tmp_path / part / label
            folder.mkdir(parents=True)
            for k in range(3):
                if kind == "png":
                    Image.new("L", (8, 8), color=k * 60 + len(label)).save(folder / f"{k}.png")
                else:
                    (folder / f"{k}.txt").write_text(f"words {k} of {label}")
    with pytest.raises(DataError, match=rf"test/c/0.{kind}; .*no training example is of the class c;"):
        load_data(str(tmp_path))


def test_of_arrays_it_is_said_only(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that was given may know more classes than the arrays show."""
    monkeypatch.setattr(logging.getLogger("netwright"), "propagate", True)
    x, y = torch.randn(20, 3), torch.arange(20) % 2
    with caplog.at_level(logging.WARNING, "netwright"):
        bundle = load_data((x, y), validation=(x[:4], torch.tensor([0, 1, 2, 2])))
    assert "validation row 2; validation row 3: no training example is of the class 2" in caplog.text
    assert len(bundle.schema.target.classes) == 3
