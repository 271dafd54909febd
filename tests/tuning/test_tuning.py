"""Searches from end to end, on a table of irises: what they find, what they refuse, and what they leave behind."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tuning_runs import RATE, RUINOUS, told, write_yaml

import netwright as nw
from netwright.core.errors import ConfigError, MissingExtra, ResourceError
from netwright.core.records import read_json
from netwright.experiment.config import load_config


@pytest.fixture(scope="module")
def searched(memory: Path) -> tuple[nw.Tuning, Path]:
    folder = memory / "searched"
    folder.mkdir()
    config = write_yaml(folder)
    return nw.tune(config, trials=8, space=RATE, out=folder / "search", again=1, quiet=True), config


def test_a_ruinous_rate_is_beaten(searched: tuple[nw.Tuning, Path]) -> None:
    done, _ = searched
    assert done.baseline is not None and done.best is not None and done.gain is not None
    assert done.baseline.number == 0 and done.baseline.settings == {}
    assert done.best.number > 0 and done.gain > 0.2
    assert done.kept == "best" and done.again is not None and done.again.holds
    assert len(done.again.seeds) == 1 and done.again.seeds[0] != 0
    assert "best of 8" in done.verdict


def test_trials_are_runs_that_never_saw_the_test_set(searched: tuple[nw.Tuning, Path]) -> None:
    done, _ = searched
    folders = [Path(trial.folder) for trial in done.trials] + list((done.folder / "again").iterdir())
    assert len(folders) == 10
    for folder in folders:
        assert read_json(folder / "split.json").get("test_looks", 0) == 0
        summary = read_json(folder / "summary.json")
        assert summary["metrics"]["test"] == {} and summary["metrics"]["validation"]
        assert summary["status"] == "finished" and (folder / "model" / "model.safetensors").is_file()
    kept = {folder.name for folder in (done.folder / "trials").iterdir() if (folder / "checkpoints").exists()}
    assert done.best is not None and kept == {"000", f"{done.best.number:03d}"}


def test_the_best_config_keeps_comments_and_trains(searched: tuple[nw.Tuning, Path], tmp_path: Path) -> None:
    done, config = searched
    assert done.config is not None and done.best is not None and done.best.value is not None
    text = done.config.read_text("utf-8")
    assert "# three species of iris" in text and "# small on purpose" in text
    before, after = YAML(typ="safe").load(config), YAML(typ="safe").load(text)
    assert after["optimizer"].pop("lr") == done.settings["optimizer.lr"]
    assert before["optimizer"].pop("lr") == 1e-7 and before == after
    run = nw.train(done.config, out=tmp_path / "run", quiet=True)
    assert run.metrics["validation"]["accuracy"] == pytest.approx(done.best.value)
    assert run.expectations_met


def test_what_is_written_is_what_is_told(searched: tuple[nw.Tuning, Path]) -> None:
    done, _ = searched
    assert json.loads((done.folder / "tuning.json").read_text("utf-8")) == json.loads(json.dumps(done.to_dict()))
    page = (done.folder / "report.html").read_text("utf-8")
    assert done.verdict.partition(";")[0][1:] in page and "optimizer.lr" in page


def test_the_same_seed_gives_the_same_trials(tmp_path: Path) -> None:
    space = {**RATE, "optimizer.name": ["adam", "sgd"], "train.batch_size": [8, 32]}
    one, two = (nw.tune(RUINOUS, trials=5, space=space, out=tmp_path / n, again=0, quiet=True) for n in "ab")
    assert told(one) == told(two) and len({str(trial.settings) for trial in one.trials}) == 5
    other = nw.tune(RUINOUS, trials=3, space=space, out=tmp_path / "c", again=0, quiet=True, **{"train.seed": 1})
    assert other.trials[1].settings != one.trials[1].settings


def test_a_search_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = nw.tune(RUINOUS, trials=4, space=RATE, out=tmp_path / "whole", again=0, quiet=True)
    for trials in (2, 4):
        done = nw.tune(RUINOUS, trials=trials, space=RATE, out=tmp_path / "parts", again=0, quiet=True)
        assert len(done.trials) == trials
    assert told(done) == told(whole)


def test_trials_that_fall_behind_end_early(tmp_path: Path) -> None:
    config = {**RUINOUS, "optimizer": {"name": "adam", "lr": 0.02}}
    space = {"optimizer.lr": [1e-7, 1e-1, "log"]}
    done = nw.tune(config, trials=9, space=space, out=tmp_path / "x", again=0, quiet=True)
    pruned = [trial for trial in done.trials if trial.status == "pruned"]
    assert pruned and all(trial.epochs < 6 and len(trial.curve) < 6 for trial in pruned)
    assert done.best not in pruned and done.trials[0].status == "finished"
    assert all("fell behind" in read_json(Path(trial.folder) / "summary.json")["note"] for trial in pruned)


def test_a_trial_that_fails_is_told_and_the_search_goes_on(tmp_path: Path) -> None:
    space = {"optimizer.lr": {"choices": [1e-2, 1e30]}, "model.hidden": [[8], [4]]}
    done = nw.tune(RUINOUS, trials=5, space=space, out=tmp_path / "x", again=0, quiet=True)
    failed = [trial for trial in done.trials if trial.status == "failed"]
    assert len(done.trials) == 5 and failed and all(trial.reason and trial.value is None for trial in failed)
    assert all(trial.settings["optimizer.lr"] == 1e30 for trial in failed)
    assert done.best is not None and done.best.settings["optimizer.lr"] == 1e-2


def test_a_small_space_is_searched_once(tmp_path: Path) -> None:
    space = {"optimizer.lr": {"choices": [1e-3, 1e-2]}}
    done = nw.tune(RUINOUS, trials=50, space=space, out=tmp_path / "x", again=0, quiet=True)
    assert sorted(trial.settings.get("optimizer.lr", 0) for trial in done.trials) == [0, 1e-3, 1e-2]


def test_a_config_that_diverges_has_no_figure_to_be_held_against(tmp_path: Path) -> None:
    config = {**RUINOUS, "optimizer": {"name": "sgd", "lr": 1e30}}
    done = nw.tune(config, trials=3, space=RATE, out=tmp_path / "x", quiet=True)
    assert done.trials[0].status == "failed" and done.gain is None and done.best is not None
    assert "your config failed" in done.verdict and done.again is None


def test_a_trial_is_cut_when_time_is_up(tmp_path: Path) -> None:
    config = {**RUINOUS, "train": {**RUINOUS["train"], "epochs": 100_000}}
    done = nw.tune(config, minutes=0.03, space=RATE, out=tmp_path / "x", again=0, quiet=True)
    assert done.trials[-1].status == "cut" and done.trials[-1].value is not None
    assert done.seconds < 30


def refused(kind: type[Exception], words: str, **how: Any) -> None:
    config = how.pop("config", RUINOUS)
    with pytest.raises(kind, match=words):
        nw.tune(config, **{"trials": 2, "space": RATE, "quiet": True, **how})


def test_dead_ends_are_told_before_anything_is_trained(tmp_path: Path) -> None:
    out = tmp_path / "x"
    refused(ConfigError, "leaves nothing to compare", trials=1, out=out)
    refused(ConfigError, "above 0", minutes=0, out=out)
    refused(ConfigError, "is not known; use median", pruner="best", out=out)
    refused(ConfigError, "nothing to choose from", space={"optimizer.lr": ["1"]}, out=out)
    refused(ConfigError, "expected sqlite", storage="floppy", out=out)
    refused(ResourceError, "cannot be reached", storage=f"sqlite:///{tmp_path}/none/x.db", out=out)
    refused(ResourceError, "no folder", storage=str(tmp_path / "none" / "x.db"), out=out)
    unsplit = {**RUINOUS, "data": {"name": "iris", "split": {"validation": 0}}}
    refused(ConfigError, "held out", config=unsplit, out=out)
    assert not (out / "trials").exists()


def test_another_search_in_the_folder_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "x"
    nw.tune(RUINOUS, trials=2, space=RATE, out=out, again=0, quiet=True)
    refused(ConfigError, "another config, space or store", space={"optimizer.lr": [1e-4, 1e-2, "log"]}, out=out)
    refused(ConfigError, "another config, space or store", config={**RUINOUS, "model": "mlp"}, out=out)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("data: iris\n", "utf-8")
    refused(ConfigError, "holds a run already", out=tmp_path / "run")


def test_the_space_may_stand_in_the_config(tmp_path: Path) -> None:
    values = {**RUINOUS, "tune": {"optimizer.lr": [1e-3, 1e-2, "log"]}}
    done = nw.tune(values, trials=2, out=tmp_path / "x", again=0, quiet=True)
    assert done.space == values["tune"]
    with pytest.raises(ConfigError, match=r"tune\.optimizer\.lr"):
        load_config({**RUINOUS, "tune": {"optimizer.lr": 3}})


def test_without_the_library_the_install_line_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    refused(MissingExtra, r"pip install 'netwright\[tune\]'", out=tmp_path / "x")
