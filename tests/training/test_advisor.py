"""The doctor beside a run: it changes no bit, names what goes wrong, and says nothing of a healthy run."""

from pathlib import Path
from typing import Any

import pytest
from training_runs import traces

from netwright.core.errors import DivergedError
from netwright.core.records import read_json, read_jsonl
from netwright.experiment.assemble import assemble
from netwright.experiment.config import load_config
from netwright.experiment.run import train
from netwright.training import loop
from netwright.training.hooks.doctor import Advisor, live_findings

DIGITS: dict[str, Any] = {
    "data": "digits", "model": {"name": "mlp", "hidden": [32], "dropout": 0.2},
    "optimizer": {"name": "adamw", "lr": 2e-3, "clip": 1.0},
    "train": {"epochs": 3, "batch_size": 64, "threads": 1, "accumulate": 2},
}  # fmt: skip
HEALTHY: dict[str, dict[str, Any]] = {
    "digits": DIGITS,
    "sgd": {**DIGITS, "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "schedule": "cosine", "warmup": 0.1}},
    "cancer": {
        "data": "breast-cancer", "model": {"name": "mlp", "hidden": [32, 16], "dropout": 0.2},
        "optimizer": {"name": "adamw", "lr": 3e-3, "weight_decay": 0.1, "schedule": "cosine"},
        "train": {"epochs": 12, "batch_size": 32, "threads": 1},
    },
    "diabetes": {
        "data": "diabetes", "model": {"name": "mlp", "hidden": [16]}, "optimizer": {"name": "adam", "lr": 3e-3},
        "train": {"epochs": 12, "batch_size": 32, "threads": 1},
    },
}  # fmt: skip


def _changed(**sections: dict[str, Any]) -> dict[str, Any]:
    return {**DIGITS, **{name: {**DIGITS[name], **values} for name, values in sections.items()}}


def test_a_watched_run_has_the_same_bits(tmp_path: Path) -> None:
    train({**DIGITS, "doctor": "off"}, tmp_path / "off", quiet=True)
    train({**DIGITS, "doctor": "advise"}, tmp_path / "advise", quiet=True)
    assert traces(tmp_path / "off") == traces(tmp_path / "advise")


def test_a_watched_run_leaves_chance_as_it_was(tmp_path: Path) -> None:
    states = []
    for doctor in ("off", "advise"):
        made = assemble(load_config({**DIGITS, "doctor": doctor}), tmp_path / doctor, quiet=True)
        (tmp_path / doctor).mkdir()
        loop.train(made.session)
        states.append(made.session.state()["rng"])
    assert str(states[0]) == str(states[1])


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_said_of_healthy_runs(name: str, tmp_path: Path) -> None:
    run = train(HEALTHY[name], tmp_path / "run", quiet=True)
    assert [finding for finding in run.findings if finding.code >= "NW2"] == []


def test_a_run_that_leaps_is_told_so(tmp_path: Path) -> None:
    faulty = _changed(optimizer={"name": "sgd", "lr": 30.0, "clip": 100.0}, train={"epochs": 6})
    try:
        run = train(faulty, tmp_path / "run", quiet=True)
        faults = {finding.fault for finding in run.findings}
    except DivergedError:
        faults = {line["fault"] for line in read_jsonl(tmp_path / "run" / "findings.jsonl")}
    assert "lr-too-high" in faults


def test_the_error_of_a_diverged_run_names_the_suspicion(tmp_path: Path) -> None:
    faulty = {
        "data": "diabetes", "model": {"name": "mlp", "hidden": [16, 16]},
        "optimizer": {"name": "sgd", "lr": 20.0, "momentum": 0.9},
        "train": {"epochs": 10, "batch_size": 16, "threads": 1},
    }  # fmt: skip
    with pytest.raises(DivergedError, match="the doctor suspects lr-too-high"):
        train(faulty, tmp_path / "run", quiet=True)
    told = read_jsonl(tmp_path / "run" / "findings.jsonl")
    assert {"non-finite", "lr-too-high"} <= {line["fault"] for line in told}
    assert sum(line["fault"] == "non-finite" for line in told) == 1
    assert "lr-too-high" in read_json(tmp_path / "run" / "summary.json")["note"]


def test_a_run_without_a_doctor_has_no_suspicions(tmp_path: Path) -> None:
    made = assemble(load_config({**DIGITS, "doctor": "off"}), tmp_path, quiet=True)
    assert not any(isinstance(hook, Advisor) for hook in made.session.hooks)
    assert live_findings(made.session) == []


def test_trends_mean_nothing_where_an_agent_acts(tmp_path: Path) -> None:
    acting = {"data": {"environment": "CartPole-v1"}, "task": "q-learning", "train": {"epochs": 1}}
    made = assemble(load_config(acting), tmp_path, quiet=True)
    advisor = next(hook for hook in made.session.hooks if isinstance(hook, Advisor))
    assert not advisor._trends


def test_a_game_of_two_is_not_watched(tmp_path: Path) -> None:
    game = {"data": "digits", "task": "gan", "model": "gan", "train": {"epochs": 1}}
    made = assemble(load_config(game), tmp_path, quiet=True)
    assert not any(isinstance(hook, Advisor) for hook in made.session.hooks)


def test_a_hopeless_run_is_ended_where_it_is_to_be_repaired(tmp_path: Path) -> None:
    made = assemble(load_config({
        **DIGITS, "optimizer": {"name": "adam", "lr": 1e-7}, "train": {"epochs": 20, "batch_size": 64, "threads": 1},
        "doctor": "repair",
    }), tmp_path, quiet=True)  # fmt: skip
    loop.train(made.session)
    assert made.session.stop_reason and "lr-too-low" in made.session.stop_reason
    assert 0.3 * made.session.total_steps < made.session.progress.step < made.session.total_steps
