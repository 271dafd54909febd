"""Repairing a run: a faulty one becomes better, a healthy one stays bit for bit, and a killed repair goes on."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from netwright.core.errors import Preempted
from netwright.core.records import read_json, read_jsonl
from netwright.doctor import Finding
from netwright.doctor.findings import Probe
from netwright.experiment.doctor import repairing
from netwright.experiment.doctor.attempts import Patient, figures_of
from netwright.experiment.doctor.diagnosing import Told
from netwright.experiment.doctor.remedies import Remedy
from netwright.experiment.doctor.repairing import repair, told_of
from netwright.experiment.evaluating import evaluate_run
from netwright.experiment.fit import fit
from netwright.experiment.folders import open_run
from netwright.experiment.run import train

DIGITS: dict[str, Any] = {
    "data": "digits", "model": {"name": "mlp", "hidden": [32]}, "optimizer": {"name": "adam", "lr": 3e-3},
    "train": {"epochs": 4, "batch_size": 64, "threads": 1},
}  # fmt: skip
SLOW: dict[str, Any] = {**DIGITS, "optimizer": {"name": "adam", "lr": 3e-6}}
WEIGHTS = Path("model") / "model.safetensors"


def proved(change: str, fault: str = "lr-too-low") -> Told:
    """A diagnosis as if its probe had proved that this change helps."""
    probe = Probe(change, "", 10, [2.3, 2.3], [2.3, 0.5])
    found = Finding("NW206", fault, "error", "optimizer.lr", "", "", "", 0.7, True, None, probe)
    return Told("", [found], steps=10)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that hardly learns, which no test changes."""
    return train(SLOW, tmp_path_factory.mktemp("runs") / "slow", quiet=True).folder


@pytest.fixture
def run(slow: Path, tmp_path: Path) -> Path:
    import shutil

    shutil.copytree(slow, tmp_path / "run", symlinks=True)
    return tmp_path / "run"


@pytest.fixture(autouse=True)
def no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an attempt left is looked at by the slow tests only."""
    monkeypatch.setattr(repairing, "_still", lambda *_: [])


def test_a_proved_remedy_is_kept_where_it_holds(run: Path) -> None:
    before = figures_of(run)["accuracy"]
    done = repair(Patient(run, quiet=True), told=proved("lr*1000"))
    assert done.succeeded and done.kept == 1 and done.attempts[0].held
    assert "+optimizer: {name: adam, lr: 0.003}" in done.attempts[0].diff
    assert open_run(run).metrics["validation"]["accuracy"] > before + 0.3
    assert figures_of(run) == figures_of(run / "repairs" / "1")
    assert evaluate_run(run)["metrics"] == pytest.approx(open_run(run).metrics["test"])
    assert (run / "config.original.yaml").read_text() != (run / "config.yaml").read_text()
    told = read_json(run / "repairs.json")
    assert set(told) == {"attempts", "kept", "verdict"} and told["kept"] == 1
    keys = {"number", "fault", "change", "diff", "from_step", "before", "after", "held", "seconds", "folder"}
    assert keys <= set(told["attempts"][0]) and told["attempts"][0]["folder"] == "repairs/1"


def test_what_does_not_hold_is_not_kept(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slower = [Remedy("lr-too-high", f"lr/{by}", {"optimizer.lr": 3e-6 / by}) for by in (10, 100)]
    monkeypatch.setattr(repairing, "_for", lambda *_: slower)
    before = (run / WEIGHTS).read_bytes(), (run / "config.yaml").read_bytes(), (run / "summary.json").read_bytes()
    done = repair(Patient(run, quiet=True), told=proved("lr/10", "lr-too-high"))
    assert not done.succeeded and [one.held for one in done.attempts] == [False, False]
    after = (run / WEIGHTS).read_bytes(), (run / "config.yaml").read_bytes(), (run / "summary.json").read_bytes()
    assert before == after and read_json(run / "repairs.json")["kept"] == "original"


def test_a_healthy_run_is_left_alone(run: Path) -> None:
    before = (run / WEIGHTS).read_bytes()
    done = repair(Patient(run, quiet=True), told=Told("", [], steps=10))
    assert done.attempts == [] and done.verdict == "nothing to repair"
    assert before == (run / WEIGHTS).read_bytes() and not (run / "repairs").exists()


def test_a_second_call_finds_it_done(run: Path) -> None:
    repair(Patient(run, quiet=True), told=Told("", [], steps=10))
    again = repair(Patient(run, quiet=True), told=proved("lr*1000"))
    assert again.attempts == [] and not again.running


def test_a_stopped_repair_goes_on(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = repairing.attempt, []

    def stopped(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise Preempted("preempted")
        return real(*arguments)

    monkeypatch.setattr(repairing, "attempt", stopped)
    with pytest.raises(Preempted):
        repair(Patient(run, quiet=True), told=proved("lr*1000"))
    known = told_of(run)
    assert known is not None and known.running and known.queue[0].patch == {"optimizer.lr": 3e-3}
    done = repair(Patient(run, quiet=True))  # no diagnosis: the plan stands in the file
    assert done.succeeded and read_json(run / "repairs.json")["kept"] == 1


def test_a_repair_goes_on_from_a_checkpoint_that_had_learnt(tmp_path: Path) -> None:
    run = train(DIGITS, tmp_path / "run", quiet=True).folder
    done = repair(Patient(run, quiet=True), told=proved("lr/10", "lr-too-high"))
    assert done.attempts[0].from_step > 0


def test_training_repairs_what_it_has_trained(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="netwright"):
        run = train({**SLOW, "doctor": "repair"}, tmp_path / "run", quiet=True)
    told = read_json(run.folder / "repairs.json")
    assert told["kept"] != "original" and run.metrics["validation"]["accuracy"] > 0.8
    assert run.model is not None and any("repaired by attempt" in line for line in caplog.messages)
    assert "lr-too-low" in {line["fault"] for line in read_jsonl(run.folder / "findings.jsonl")}
    assert "doctor: repair" in (run.folder / "config.yaml").read_text()
    again = train(resume=run.folder, quiet=True)
    assert again.metrics == json.loads(json.dumps(run.metrics))


def test_a_run_that_diverged_ends_well_where_it_is_repaired(tmp_path: Path) -> None:
    faulty = {
        "data": "diabetes", "model": {"name": "mlp", "hidden": [16, 16]},
        "optimizer": {"name": "sgd", "lr": 20.0, "momentum": 0.9}, "doctor": "repair",
        "train": {"epochs": 10, "batch_size": 16, "threads": 1},
    }  # fmt: skip
    run = train(faulty, tmp_path / "run", quiet=True)
    assert run.metrics["validation"]["r2"] > 0.2
    assert read_json(run.folder / "summary.json")["status"] == "finished"


def test_the_users_own_module_gets_the_weights_that_are_kept(tmp_path: Path) -> None:
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(600, 8, generator=chance)
    y = (x[:, :3].sum(1) > 0).long()
    module = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
    run = fit(
        module, (x, y), optimizer={"name": "adam", "lr": 3e-6}, epochs=12, batch_size=32, doctor="repair",
        out=tmp_path / "run", quiet=True, threads=1,
    )  # fmt: skip
    assert run.model is module and read_json(run.folder / "repairs.json")["kept"] != "original"
    assert (module.eval()(x).argmax(1) == y).float().mean() > 0.85


def test_an_optimizer_made_in_python_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    module = torch.nn.Linear(4, 2)
    x = torch.randn(100, 4)
    sgd = torch.optim.SGD(module.parameters(), 1e-6)
    run = fit(
        module, (x, (x[:, 0] > 0).long()), optimizer=sgd, epochs=1, doctor="repair", out=tmp_path / "run", quiet=True
    )
    assert not (run.folder / "repairs.json").exists()
    assert any("made in Python" in line for line in caplog.messages)


def test_a_healthy_run_that_may_be_repaired_ends_with_the_same_bits(tmp_path: Path) -> None:
    plain = train(DIGITS, tmp_path / "plain", quiet=True)
    watched = train({**DIGITS, "doctor": "repair"}, tmp_path / "watched", quiet=True)
    assert (plain.folder / WEIGHTS).read_bytes() == (watched.folder / WEIGHTS).read_bytes()
    told = read_json(watched.folder / "repairs.json")
    assert (told["attempts"], told["verdict"]) == ([], "nothing to repair")
    assert watched.metrics == plain.metrics


def test_a_run_that_the_doctor_ended_in_vain_comes_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    longer = {**SLOW, "optimizer": {"name": "adam", "lr": 1e-9}, "train": {**SLOW["train"], "epochs": 24}}
    plain = train(longer, tmp_path / "plain", quiet=True).folder
    ended: list[int] = []

    def nothing(patient: Patient, *_: Any) -> repairing.Repairs:
        ended.append(read_json(patient.folder / "summary.json")["steps"])
        return repairing.Repairs()

    monkeypatch.setattr(repairing, "repair", nothing)
    run = train({**longer, "doctor": "repair"}, tmp_path / "run", quiet=True).folder
    steps = read_json(plain / "summary.json")["steps"]
    assert ended[0] < steps == read_json(run / "summary.json")["steps"]
    assert (plain / WEIGHTS).read_bytes() == (run / WEIGHTS).read_bytes()
    assert "lr-too-low" in {line["fault"] for line in read_jsonl(run / "findings.jsonl")}


def test_what_is_set_beside_a_repair_goes_into_its_attempts(run: Path) -> None:
    done = repair(Patient(run, quiet=True, changes={"train.epochs": 5}), told=proved("lr*1000"))
    assert done.attempts[0].held and "+train: {epochs: 5" in done.attempts[0].diff
    assert "epochs: 5" in (run / "config.yaml").read_text()


def test_a_longer_run_takes_the_time_of_all_attempts(run: Path) -> None:
    found = Finding("NW226", "undertrained", "error", "run", "", "", "", 0.7, True)
    plan = repairing._begun(Patient(run, quiet=True), Told("", [found], steps=10))
    assert [remedy.change for remedy in plan.queue][:2] == ["lr*10", "longer"]
    remedy = plan.queue[1]
    assert repairing._at_length(Patient(run, quiet=True), plan, remedy).patch == {"train.epochs": 12}


def test_a_repaired_run_is_evaluated_predicts_and_reports(run: Path) -> None:
    from netwright.experiment.predictor import load as predictor

    repair(Patient(run, quiet=True), told=proved("lr*1000"))
    assert evaluate_run(run)["metrics"]["accuracy"] > 0.5
    picture = torch.zeros(1, 8, 8).numpy()
    assert predictor(run / "model")(picture)[0].keys() >= {"label", "probability"}
    page = (run / "report.html").read_text("utf-8")
    assert "attempt 1" in page and "lr: 0.003" in page
