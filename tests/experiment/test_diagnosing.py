"""Diagnosing our own runs: the probes' step is the loop's, nothing is changed, and a record tells what it shows."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from netwright.core.errors import CheckpointError
from netwright.core.records import append_jsonl, write_json, write_text
from netwright.doctor.probe import Program
from netwright.experiment.assemble import Assembly, assemble
from netwright.experiment.config import load_config
from netwright.experiment.doctor.diagnosing import OurStep, diagnose_assembly, diagnose_config
from netwright.experiment.doctor.recorded import recorded_findings
from netwright.experiment.model_folder import weights_hash
from netwright.training import loop

DIGITS: dict[str, Any] = {
    "data": "digits", "model": {"name": "mlp", "hidden": [32], "dropout": 0.3},
    "optimizer": {"name": "sgd", "lr": 0.1, "clip": 0.5, "l1": 1e-4, "schedule": "cosine", "warmup": 0.2},
    "train": {"epochs": 1, "batch_size": 64, "threads": 1, "accumulate": 2}, "doctor": "off",
}  # fmt: skip


def made(folder: Path, **sections: Any) -> Assembly:
    return assemble(load_config({**DIGITS, **sections}), folder, quiet=True)


def test_the_step_of_the_probes_is_the_loops(tmp_path: Path) -> None:
    watched, trained = made(tmp_path), made(tmp_path)
    step, optimizer = OurStep(watched), watched.session.engine.updaters["train"].optimizer
    state = torch.random.get_rng_state()
    for batch in watched.session.train_source.epoch(0):
        step(watched.model, optimizer, (batch.inputs, batch.targets))
    torch.random.set_rng_state(state)
    loop.train(trained.session)
    assert weights_hash(watched.model) == weights_hash(trained.model)


def test_a_fork_steps_on_copies_alone(tmp_path: Path) -> None:
    original = made(tmp_path)
    optimizer = original.session.engine.updaters["train"].optimizer
    fork = Program(original.model, optimizer, original.loss, OurStep(original)).fork()
    before, rates = weights_hash(original.model), copy.deepcopy([g["lr"] for g in optimizer.param_groups])
    batch = next(iter(original.session.train_source.epoch(0)))
    for _ in range(4):
        fork.advance((batch.inputs, batch.targets))
    assert weights_hash(original.model) == before != weights_hash(fork.net)
    assert [group["lr"] for group in optimizer.param_groups] == rates
    assert original.session.engine.updates == 0 and not optimizer.state


def test_a_diagnosis_changes_nothing_and_proves_the_cause(tmp_path: Path) -> None:
    slow = made(tmp_path, optimizer={"name": "adam", "lr": 3e-7}, train={"epochs": 4, "batch_size": 64, "threads": 1})
    before, chance = weights_hash(slow.model), torch.random.get_rng_state()
    told = diagnose_assembly(slow, budget=60)
    assert weights_hash(slow.model) == before and torch.equal(chance, torch.random.get_rng_state())
    assert slow.model.training
    first = told.findings[0]
    assert (first.fault, first.severity) == ("lr-too-low", "error") and "lr-too-low" in told.verdict
    assert first.probe is not None and first.probe.change.startswith("lr*")


def test_static_findings_bring_their_fix(tmp_path: Path) -> None:
    layers = ["flatten", {"linear": 16}, "relu", "linear", "softmax"]
    told = diagnose_config({**DIGITS, "model": {"layers": layers}}, budget=3)
    found = next(finding for finding in told.findings if finding.fault == "double-softmax")
    assert found.severity == "error" and found.fix == {"model.layers[4]": None}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"data": "digits", "task": "gan", "model": "gan"}, "against each other"),
        ({"data": {"environment": "CartPole-v1"}, "task": "q-learning"}, "its own acts"),
    ],
)
def test_tasks_without_pairs_are_told_why(config: dict[str, Any], words: str) -> None:
    told = diagnose_config({**config, "train": {"epochs": 1}}, budget=3)
    assert words in told.note and not told.probed
    assert not [finding for finding in told.findings if finding.severity == "error"]


def _record(folder: Path, held: list[float], trained: list[float], status: str = "finished") -> Path:
    write_text(folder / "config.yaml", "data: digits\n")
    write_json(folder / "summary.json", {"status": status, "note": "loss is nan"})
    for step, (one, other) in enumerate(zip(held, trained, strict=True), 1):
        append_jsonl(folder / "metrics.jsonl", {"kind": "train", "step": step, "loss": other, "lr": 0.1})
        append_jsonl(folder / "metrics.jsonl", {"kind": "validation", "step": step, "loss": one})
    return folder


def test_a_record_shows_learning_by_heart(tmp_path: Path) -> None:
    held = [1.0, 0.6, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2]
    falling = [1.0, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01]
    assert [finding.fault for finding in recorded_findings(_record(tmp_path / "a", held, falling))] == ["overfitting"]
    assert recorded_findings(_record(tmp_path / "b", held, held)) == []  # both climb: that is another matter


def test_a_record_shows_what_was_left_to_learn(tmp_path: Path) -> None:
    falling = [1.0 - 0.08 * step for step in range(10)]
    assert [f.fault for f in recorded_findings(_record(tmp_path / "a", falling, falling))] == ["undertrained"]
    settled = [1.0, 0.5, 0.3, 0.21, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2]
    assert recorded_findings(_record(tmp_path / "b", settled, settled)) == []


def test_a_record_shows_that_a_run_diverged(tmp_path: Path) -> None:
    found = recorded_findings(_record(tmp_path, [1.0], [1.0], "diverged"))
    assert [(one.fault, one.severity, one.evidence) for one in found] == [("non-finite", "error", "loss is nan")]


def test_no_run_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a run folder"):
        recorded_findings(tmp_path)
