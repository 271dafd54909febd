"""TensorBoard and MLflow get what metrics.jsonl gets, over a resume too, and can do a run no harm."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from training_runs import at_step, summary, write_config

from netwright.cli.main import main
from netwright.core.records import read_jsonl
from netwright.tasks.base import StepOutput
from netwright.tasks.classification import Classification
from netwright.training.hooks import trackers
from netwright.training.hooks.recorder import Recorder
from netwright.training.hooks.trackers import Tracker, Trackers
from netwright.training.session import Session


def leave_at(step: int, patched: pytest.MonkeyPatch) -> None:
    """SIGTERM, as it were, at a step."""
    from netwright.core.errors import Preempted

    real = Session.step_end

    def step_end(run: Session, out: StepOutput) -> None:
        real(run, out)
        if run.progress.step == step:
            run.leave = lambda: Preempted("left")

    patched.setattr(Session, "step_end", step_end)


def lines(folder: Path, kind: str) -> dict[int, float]:
    return {line["step"]: line["loss"] for line in read_jsonl(folder / "metrics.jsonl") if line["kind"] == kind}


def stumble(out: StepOutput) -> None:
    raise ZeroDivisionError


# --- TensorBoard -----------------------------------------------------------------------------------------------------


def scalars(folder: Path, tag: str) -> dict[int, float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    found = events.Scalars(tag)
    assert len({event.step for event in found}) == len(found), "steps done twice stand in it twice"
    return {event.step: event.value for event in found}


def test_tensorboard_has_every_line(tmp_path: Path) -> None:
    config, folder = write_config(tmp_path / "config.yaml", track=["tensorboard"]), tmp_path / "run"
    assert main(["train", config, "--out", str(folder), "-q"]) == 0
    assert list((folder / "tensorboard").glob("events.out.tfevents.*"))
    for kind in ("train", "validation"):
        assert scalars(folder, f"{kind}/loss") == pytest.approx(lines(folder, kind), rel=1e-5)
    assert scalars(folder, "train/lr") and scalars(folder, "validation/accuracy")


def test_tensorboard_goes_on_after_a_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, folder = write_config(tmp_path / "config.yaml", track=["tensorboard"]), tmp_path / "run"
    with monkeypatch.context() as patched:  # it breaks at 38, and the checkpoint is that of 30
        patched.setattr(Classification, "training_step", at_step(38, stumble))
        assert main(["train", config, "--out", str(folder), "-q"]) == 70
    assert 30 < max(scalars(folder, "train/loss")) < 38
    assert main(["train", "--resume", str(folder), "-q"]) == 0
    assert scalars(folder, "train/loss") == pytest.approx(lines(folder, "train"), rel=1e-5)


# --- MLflow ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of a store of files: mlflow-skinny has no database."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri((tmp_path / "store").as_uri())
    yield mlflow.MlflowClient()
    while mlflow.active_run() is not None:
        mlflow.end_run()
    mlflow.set_tracking_uri(before)


def history(client: Any, run_id: str, name: str) -> dict[int, float]:
    return {metric.step: metric.value for metric in client.get_metric_history(run_id, name)}


def test_mlflow_has_every_line_and_the_settings(store: Any, tmp_path: Path) -> None:
    config, folder = write_config(tmp_path / "config.yaml", track=["mlflow"]), tmp_path / "run"
    assert main(["train", config, "--out", str(folder), "-q"]) == 0
    (run,) = store.search_runs(["0"])
    assert run.info.status == "FINISHED" and run.info.run_name == "run"
    assert run.data.params["optimizer.lr"] == "0.001" and run.data.params["train.batch_size"] == "64"
    for kind in ("train", "validation"):
        assert history(store, run.info.run_id, f"{kind}_loss") == pytest.approx(lines(folder, kind))


def test_mlflow_goes_on_with_the_same_run(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, folder = write_config(tmp_path / "config.yaml", track=["mlflow"]), tmp_path / "run"
    with monkeypatch.context() as patched:
        leave_at(31, patched)
        assert main(["train", config, "--out", str(folder), "-q"]) == 75
    assert [run.info.status for run in store.search_runs(["0"])] == ["KILLED"]
    assert main(["train", "--resume", str(folder), "-q", "--set", "doctor=off"]) == 0
    (run,) = store.search_runs(["0"])
    assert run.info.status == "FINISHED"
    assert history(store, run.info.run_id, "train_loss") == pytest.approx(lines(folder, "train"))


def test_a_run_of_the_user_is_used_and_left_open(store: Any, tmp_path: Path) -> None:
    import mlflow

    config = write_config(tmp_path / "config.yaml", track=["mlflow"])
    with mlflow.start_run() as mine:
        assert main(["train", config, "--out", str(tmp_path / "run"), "-q"]) == 0
        assert mlflow.active_run().info.run_id == mine.info.run_id
    assert history(store, mine.info.run_id, "validation_accuracy")


def test_without_a_server_mlflow_writes_beside_the_run(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    mlflow.set_tracking_uri(None)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: None)
    config = write_config(tmp_path / "config.yaml", track=["mlflow"])
    assert main(["train", config, "--out", str(tmp_path / "runs" / "one"), "-q"]) == 0
    assert list((tmp_path / "runs" / "mlruns").rglob("validation_accuracy"))


# --- trouble ---------------------------------------------------------------------------------------------------------


class Troubled(Tracker):
    name = "mlflow"

    def __init__(self, fails_at: str) -> None:
        self._fails_at = fails_at
        self.taken = 0

    def start(self, step: int) -> None:
        self._fail("start")

    def take(self, line: dict[str, Any]) -> None:
        self.taken += 1
        self._fail("take")

    def close(self, finished: bool) -> None:
        self._fail("close")

    def _fail(self, verb: str) -> None:
        if verb == self._fails_at:
            raise ConnectionError("the server is away")


def test_a_tracker_that_fails_is_said_once_and_dropped(caplog: pytest.LogCaptureFixture) -> None:
    troubled, fine = Troubled("take"), Troubled("never")
    both = Trackers(troubled, fine)
    with caplog.at_level(logging.WARNING, "netwright"):
        both.start(0)
        for _ in range(3):
            both.take({"kind": "train", "step": 1})
        both.close(finished=True)
    assert (troubled.taken, fine.taken) == (1, 3)
    assert [record.message for record in caplog.records] == [
        "mlflow takes no more figures (the server is away); the run goes on"
    ]


def test_a_tracker_that_cannot_be_opened_stops_a_new_run_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = Recorder.__init__

    def with_trouble(recorder: Recorder, *arguments: Any, **named: Any) -> None:
        real(recorder, *arguments, **named)
        recorder._trackers = Trackers(Troubled("start"))

    config, folder = write_config(tmp_path / "config.yaml"), tmp_path / "run"
    with monkeypatch.context() as patched:
        leave_at(31, patched)
        assert main(["train", config, "--out", str(folder), "-q"]) == 75
    monkeypatch.setattr(Recorder, "__init__", with_trouble)
    assert main(["train", config, "--out", str(tmp_path / "new"), "-q"]) == 2
    assert "train.track: mlflow cannot be opened (the server is away)" in capsys.readouterr().err
    assert main(["train", "--resume", str(folder)]) == 0
    assert "the run goes on" in capsys.readouterr().err
    assert summary(folder)["status"] == "finished"
