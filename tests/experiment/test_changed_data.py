"""A run whose data changed: rows are dealt out anew, so neither going on nor the sealed test set would be honest."""

from pathlib import Path

import pytest

import netwright as nw
from netwright.core.errors import DataError
from netwright.experiment.evaluating import evaluate_run


def rows(first: int, count: int, shift: int = 0) -> str:
    return "".join(f"{n % 7 + shift},{n % 3},{'left' if n % 2 else 'right'}\n" for n in range(first, first + count))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "t.csv").write_text("a,b,label\n" + rows(0, 120))
    config = {"path": str(tmp_path / "t.csv"), "target": "label"}
    train = {"epochs": 2, "batch_size": 32, "seed": 0}
    whole = {"data": config, "model": {"name": "mlp", "hidden": [4]}, "train": train}
    nw.train(whole, out=tmp_path / "run", quiet=True)
    return tmp_path / "run"


def test_more_rows_are_refused(run: Path) -> None:
    with (run.parent / "t.csv").open("a") as file:
        file.write(rows(120, 30))
    with pytest.raises(DataError, match="have changed since it began"):
        evaluate_run(run)
    with pytest.raises(DataError, match="have changed since it began"):
        nw.train(resume=run, overrides=["train.epochs=3"], quiet=True)
    assert evaluate_run(run, data=str(run.parent / "t.csv"))["metrics"]["accuracy"] >= 0


def test_other_rows_are_told(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    (run.parent / "t.csv").write_text("a,b,label\n" + rows(0, 120, shift=1))
    evaluate_run(run)
    assert "but not the same" in caplog.text


def test_the_same_rows_are_fine(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    evaluate_run(run)
    assert "not the same" not in caplog.text and "have changed" not in caplog.text
