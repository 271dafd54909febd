"""A trial that goes wrong, and the winning config as a file."""

from pathlib import Path
from typing import Any

import pytest
from tuning_runs import RATE, RUINOUS, YAML, write_yaml

import netwright as nw
from netwright.core.errors import ResourceError
from netwright.experiment.config import load_config
from netwright.experiment.tuning import trials
from netwright.experiment.tuning.outcome import write_best
from netwright.tuning.results import Trial, Tuning


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Every trial but the first fails."""
    real = trials.carry_out

    def carry_out(config: Any, folder: Path, *rest: Any, **how: Any) -> Any:
        if folder.name != "000":
            raise error
        return real(config, folder, *rest, **how)

    monkeypatch.setattr(trials, "carry_out", carry_out)


def search(out: Path, **how: Any) -> Tuning:
    return nw.tune(RUINOUS, **{"trials": 2, "space": RATE, "out": out, "again": 0, "quiet": True, **how})


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "out of memory"),
        (MemoryError(), "out of memory"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), "RuntimeError: mat1 and mat2"),
    ],
)  # fmt: skip
def test_what_goes_wrong_with_a_trial_is_its_result(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, words: str
) -> None:
    failing(monkeypatch, error)
    done = search(tmp_path / "x")
    assert done.trials[1].status == "failed" and words in done.trials[1].reason
    assert done.best is not None and done.best.number == 0 and done.kept == "original"


def test_a_full_disk_ends_the_search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failing(monkeypatch, ResourceError("disk is full while writing {path}; free some space and resume", path="x"))
    with pytest.raises(ResourceError, match="disk is full"):
        search(tmp_path / "x")
    monkeypatch.undo()
    assert [trial.status for trial in search(tmp_path / "x").trials] == ["finished", "finished"]  # and goes on later


def test_what_check_refuses_is_not_trained(tmp_path: Path) -> None:
    space = {"model.hidden": [[8], [8, 8, 8, 8, 8, 8]], "model.activation": ["relu", "identity"]}
    done = search(tmp_path / "x", trials=4, space=space)
    refused = [trial for trial in done.trials if trial.reason.startswith("check refuses it")]
    assert refused and all(trial.settings["model.activation"] == "identity" for trial in refused)
    assert all(trial.status == "failed" and trial.epochs <= 1 for trial in refused)


def written(folder: Path, config: Path, settings: dict[str, Any], *overrides: str) -> tuple[str, dict[str, Any]]:
    """The text of the winning config, and what it says."""
    read = load_config(config, overrides)
    best = Trial(1, "finished", 0.9, settings)
    told = Tuning(folder, None, "accuracy", "max", [best], best, None, {}, "best", verdict="better")
    write_best(folder / "best.yaml", read, read.to_dict(), told)
    return (folder / "best.yaml").read_text("utf-8"), load_config(folder / "best.yaml").to_dict()


def test_comments_stay_and_overrides_are_written_down(tmp_path: Path) -> None:
    config = write_yaml(tmp_path)
    text, values = written(tmp_path, config, {"optimizer.name": "sgd", "optimizer.lr": 0.1}, "train.epochs=9")
    assert "# small on purpose" in text and text.startswith("# From `netwright tune`: better\n")
    wanted = {**load_config(config).to_dict(), "optimizer": {"name": "sgd", "lr": 0.1}}
    wanted["train"]["epochs"] = 9
    assert values == wanted


def test_a_config_that_takes_over_another_is_written_whole(tmp_path: Path) -> None:
    write_yaml(tmp_path)
    (tmp_path / "mine.yaml").write_text("extends: irises.yaml\ntrain: {epochs: 3}\n", "utf-8")
    (tmp_path / "there").mkdir()
    text, values = written(tmp_path / "there", tmp_path / "mine.yaml", {"model.dropout": 0.25})
    assert "extends" not in text and values["train"]["epochs"] == 3
    assert values["model"] == {"name": "mlp", "hidden": [8], "dropout": 0.25}


def test_the_winning_config_means_the_same_in_another_folder(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b\n1,2\n3,4\n", "utf-8")
    config = write_yaml(tmp_path, YAML.replace("data: iris", "data: {path: table.csv, target: b}"))
    (tmp_path / "there").mkdir()
    text, values = written(tmp_path / "there", config, {"optimizer.lr": 0.1})
    assert values["data"] == {"path": str(tmp_path / "table.csv"), "target": "b"} and "# small on purpose" in text
