"""What a run writes and when: lines of figures, validations, saves, early stops, and what plateau is told."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from training_runs import DIGITS

from netwright.core.errors import CheckpointError, Preempted
from netwright.core.records import read_jsonl
from netwright.experiment.assemble import assemble
from netwright.experiment.config import load_config
from netwright.tasks.base import StepOutput
from netwright.training import checkpoints, loop
from netwright.training.hooks.base import Hook
from netwright.training.hooks.early_stop import EarlyStop
from netwright.training.session import Plan, Session

STEPS = 23  # of an epoch


def session(folder: Path, config: dict[str, Any] | None = None, optimizer: Any = None, **train: Any) -> Session:
    base = config or DIGITS
    values = {**base, "train": {"epochs": 2, **base["train"], **train}}
    if optimizer is not None:
        values["optimizer"] = optimizer
    return assemble(load_config(values), folder, quiet=True).session


def lines(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [line for line in read_jsonl(folder / "metrics.jsonl") if line["kind"] == kind]


def due(run: Session) -> list[int]:
    """The steps that have a line: several an epoch, not all."""
    stride = run.hooks[0].stride
    assert 1 <= stride <= STEPS // 4
    return list(range(stride, run.total_steps + 1, stride))


class Watch(Hook):
    """Notes the steps of what happened."""

    name = "watch"

    def __init__(self) -> None:
        self.validated: list[int] = []
        self.saved_at: list[int] = []

    def validation_end(self, run: Session) -> None:
        self.validated.append(run.progress.step)

    def saved(self, run: Session) -> None:
        self.saved_at.append(run.progress.step)


class Leave(Hook):
    """Asks to leave at a step, as a signal does."""

    name, stride = "leave", 1

    def __init__(self, step: int) -> None:
        self._step = step

    def step_end(self, run: Session, out: StepOutput) -> None:
        if run.progress.step == self._step:
            run.leave = lambda: Preempted("left")


def train(run: Session, *hooks: Hook) -> None:
    run.hooks.extend(hooks)
    run._steppers.extend(hook for hook in hooks if hook.stride)
    loop.train(run)


# --- metrics.jsonl ---------------------------------------------------------------------------------------------------


def test_a_line_has_all_figures_of_a_step(tmp_path: Path) -> None:
    run = session(tmp_path)
    train(run)
    trained = lines(tmp_path, "train")
    assert [line["step"] for line in trained] == due(run)
    names = {"kind", "step", "epoch", "loss", "lr", "grad_norm", "update_ratio", "examples_per_second", "seconds"}
    for line in trained:
        assert names <= line.keys()
        assert all(isinstance(line[name], int | float) for name in names - {"kind"})
        assert line["epoch"] == pytest.approx(line["step"] / STEPS, abs=1e-3)
        assert 0 < line["update_ratio"] < 1 and line["grad_norm"] > 0 and line["examples_per_second"] > 0
    assert [line["seconds"] for line in trained] == sorted(line["seconds"] for line in trained)
    assert 1e-3 > trained[0]["lr"] > 9e-4 and trained[-1]["lr"] < 1e-4, "the cosine falls"


def test_a_validation_has_its_figures_and_says_whether_it_is_the_best(tmp_path: Path) -> None:
    run = session(tmp_path)
    train(run)
    validated = lines(tmp_path, "validation")
    assert [line["step"] for line in validated] == [STEPS, 2 * STEPS]
    assert all({"loss", "accuracy", "best"} <= line.keys() for line in validated)
    assert {name: validated[-1][name] for name in run.last_metrics} == run.last_metrics
    best = max(validated, key=lambda line: line["accuracy"])
    assert [line["best"] for line in validated].count(True) >= 1
    assert run.progress.best == best["accuracy"] and run.progress.best_step == best["step"]


def test_a_figure_that_is_no_number_is_null(tmp_path: Path) -> None:
    run = session(tmp_path)
    run.measure = lambda source: {"loss": math.nan, "accuracy": math.inf}  # type: ignore[method-assign]
    train(run)
    assert lines(tmp_path, "validation")[0]["loss"] is None
    for text in (tmp_path / "metrics.jsonl").read_text().splitlines():
        json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize(("steps", "last"), [(None, 15), (7, 7), (15, 15), (99, 15)])
def test_a_run_ends_with_its_epochs_or_before(steps: int | None, last: int) -> None:
    assert Plan(epochs=3, steps=steps).last_step(5) == last


def test_only_weights_that_do_not_fit_are_another_network_s(tmp_path: Path) -> None:
    run = session(tmp_path)
    run.save()
    other = session(tmp_path, {**DIGITS, "model": {"name": "mlp", "hidden": [9]}})
    with pytest.raises(CheckpointError, match="its weights are those of another network"):
        other.restore()

    def fail(state: dict[str, Any]) -> None:
        raise RuntimeError("no state_dict of mine")

    run.task.load_state = fail  # type: ignore[method-assign]
    with pytest.raises(CheckpointError, match="no state_dict of mine"):
        run.restore()


def test_lines_of_a_run_that_never_saved_are_forgotten(tmp_path: Path) -> None:
    """Killed before its first save it begins anew, and steps done twice must stand in the log once."""
    tmp_path.joinpath("metrics.jsonl").write_text('{"kind": "train", "step": 1}\n{"kind": "tr')
    run = session(tmp_path)
    assert not run.restore()
    train(run)
    assert [line["step"] for line in lines(tmp_path, "train")] == due(run)


def test_lines_after_the_checkpoint_are_forgotten(tmp_path: Path) -> None:
    left = session(tmp_path)
    with pytest.raises(Preempted):
        train(left, Leave(30))
    assert lines(tmp_path, "train")
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "step": 31}\n{"kind": "train", "st')
    run = session(tmp_path)
    assert run.restore()
    train(run)
    assert [line["step"] for line in lines(tmp_path, "train")] == due(run)


def test_a_source_that_acts_tells_its_story(tmp_path: Path) -> None:
    acting = {
        "data": {
            "environment": "CartPole-v1", "learning_starts": 100, "collect": 32, "updates": 8, "steps_per_epoch": 16,
            "epsilon_fraction": 1.0,
        },
        "model": {"name": "dqn", "hidden": [8]},
        "train": {"epochs": 2, "batch_size": 16, "threads": 1},
    }  # fmt: skip
    train(session(tmp_path, acting))
    trained = lines(tmp_path, "train")
    assert all({"episode_return", "epsilon", "environment_steps", "q_mean"} <= line.keys() for line in trained)
    assert trained[0]["epsilon"] > trained[-1]["epsilon"] > 0
    assert trained[-1]["environment_steps"] == 100 + 3 * 32
    (tmp_path / "plain").mkdir()
    train(session(tmp_path / "plain"))
    assert not {"episode_return", "epsilon"} & lines(tmp_path / "plain", "train")[0].keys()


# --- when ------------------------------------------------------------------------------------------------------------


def test_validations_and_saves_every_so_many_steps(tmp_path: Path) -> None:
    run, watch = session(tmp_path, validate_every=9, checkpoint_every=7), Watch()
    run._improves = lambda value: False  # type: ignore[method-assign]
    train(run, watch)
    assert watch.validated == [9, 18, 27, 36, 45, 46], "and once at the end"
    assert watch.saved_at == [7, 14, 21, 28, 35, 42, 46]
    assert checkpoints.steps(tmp_path / "checkpoints")[-1] == 46


def test_a_better_validation_is_saved_whatever_the_plan(tmp_path: Path) -> None:
    run, watch = session(tmp_path, validate_every=9, checkpoint_every=1000), Watch()
    values = iter([0.1, 0.3, 0.2, 0.3, 0.4, 0.1])
    run.measure = lambda source: {"loss": 1.0, "accuracy": next(values)}  # type: ignore[method-assign]
    train(run, watch)
    assert watch.saved_at == [9, 18, 45, 46]
    assert (tmp_path / "checkpoints" / "best").resolve().name == "step-00000045"
    assert (run.progress.best, run.progress.best_step, run.progress.best_epoch) == (0.4, 45, 1)


def test_steps_end_a_run_before_its_epochs(tmp_path: Path) -> None:
    run, watch = session(tmp_path, steps=30), Watch()
    train(run, watch)
    assert run.progress.step == 30 and watch.validated == [23, 30] and watch.saved_at[-1] == 30


def test_the_best_weights_come_back(tmp_path: Path) -> None:
    run, seen = session(tmp_path), []

    def measure(source: Any) -> dict[str, float]:
        seen.append({name: tensor.clone() for name, tensor in run.model.state_dict().items()})
        return {"loss": 1.0, "accuracy": [0.9, 0.1][len(seen) - 1]}

    run.measure = measure  # type: ignore[method-assign]
    train(run)
    run.load_best()
    assert all(torch.equal(tensor, seen[0][name]) for name, tensor in run.model.state_dict().items())


# --- early stop and plateau ------------------------------------------------------------------------------------------


class Fake:
    """As much of a session as early stopping sees."""

    def __init__(self, sense: str) -> None:
        self.monitor, self.stop_reason = ("value", sense), None
        self.last_metrics: dict[str, float] = {}


@pytest.mark.parametrize(
    ("sense", "values", "stops_after"),
    [
        ("max", [0.1, 0.2, 0.2, 0.2, 0.9], 4),
        ("min", [0.9, 0.8, 0.9, 0.7, 0.8, 0.9], 6),
        ("min", [0.9, 0.8, 0.7, 0.6], None),
        ("max", [0.5, 0.52, 0.54, 0.9], 3),  # no gain above 0.05 over the best
        ("max", [math.nan, math.nan, 0.9], 2),
        ("max", [math.nan, 0.1, 0.2, 0.3], None),
    ],
)
def test_early_stop_waits_for_its_patience(sense: str, values: list[float], stops_after: int | None) -> None:
    hook, run = EarlyStop(patience=2, min_delta=0.05), Fake(sense)
    stopped = None
    for count, value in enumerate(values, 1):
        run.last_metrics = {"value": value}
        hook.validation_end(run)  # type: ignore[arg-type]
        if run.stop_reason and stopped is None:
            stopped = count
    assert stopped == stops_after


def test_an_early_stop_ends_the_run_after_a_save(tmp_path: Path) -> None:
    run, watch = session(tmp_path, epochs=9, early_stop={"patience": 2}), Watch()
    values = iter([0.5, 0.6, 0.6, 0.1, 0.9])
    run.measure = lambda source: {"loss": 1.0, "accuracy": next(values)}  # type: ignore[method-assign]
    train(run, watch)
    assert run.progress.step == 4 * STEPS and watch.saved_at[-1] == 4 * STEPS
    assert run.stop_reason == "accuracy has not improved for 2 validations"
    again = session(tmp_path, epochs=9, early_stop={"patience": 2})
    assert again.restore()
    train(again)
    assert again.progress.step == 4 * STEPS, "a resume does not go on where it had stopped"


@pytest.mark.parametrize(("accuracies", "cut"), [([0.1, 0.2, 0.3, 0.4], False), ([0.4, 0.3, 0.2, 0.1], True)])
def test_plateau_knows_which_way_is_better(accuracies: list[float], cut: bool, tmp_path: Path) -> None:
    plateau = {"name": "sgd", "lr": 0.1, "schedule": {"name": "plateau", "patience": 0, "factor": 0.5}}
    run = session(tmp_path, optimizer=plateau, epochs=4)
    values = iter(accuracies)
    run.measure = lambda source: {"loss": 1.0, "accuracy": next(values)}  # type: ignore[method-assign]
    assert run.monitor == ("accuracy", "max")
    train(run)
    assert run.engine.updaters["train"].lr == pytest.approx(0.1 * 0.5**3 if cut else 0.1)


def test_plateau_follows_a_loss_downwards(tmp_path: Path) -> None:
    rows = {
        "data": "diabetes", "model": {"name": "mlp", "hidden": [4]}, "train": {"epochs": 3, "batch_size": 64},
        "optimizer": {"name": "sgd", "lr": 0.01, "schedule": {"name": "plateau", "patience": 0, "factor": 0.5}},
    }  # fmt: skip
    run = session(tmp_path, rows)
    assert run.monitor[1] == "min"
    values = iter([3.0, 2.0, 1.0])
    run.measure = lambda source: {run.monitor[0]: next(values)}  # type: ignore[method-assign]
    train(run)
    assert run.engine.updaters["train"].lr == pytest.approx(0.01)
