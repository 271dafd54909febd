"""A teacher beside the labels: the formula, whose scores count for what, and runs from a config with a teacher."""

import json
import logging
import os
import shutil
from dataclasses import replace

import pytest
import torch
from task_helpers import PICTURES, ROWS, Source, leave_at, make_batch, measured, session
from torch import nn
from torch.nn import functional as F

import netwright
from netwright.core.errors import CheckpointError, ConfigError, Preempted
from netwright.core.records import read_jsonl
from netwright.data.dataset import TensorDataset
from netwright.data.encoding import TablePreprocessor
from netwright.data.normalising import ImagePreprocessor
from netwright.experiment.assemble import assemble
from netwright.experiment.config import load_config
from netwright.experiment.evaluating import evaluate_run
from netwright.experiment.model_folder import weights_hash
from netwright.experiment.teacher import _adapted, _Rescaled, find_teacher
from netwright.experiment.teacher import taught as beside_teacher
from netwright.tasks import Phase
from netwright.tasks.classification import Classification
from netwright.tasks.distillation import Distillation, Teacher
from netwright.tasks.regression import Regression
from netwright.training import loop

IDENTITY = nn.Identity()


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def teacher(weight, **changed):
    network = nn.Linear(3, 3, bias=False)
    network.weight.data = weight
    return Teacher(**{"network": network.eval().requires_grad_(False), "name": "master", "hash": "1"} | changed)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_loss_of_a_step_is_hinton_s(alpha):
    logits, codes, weight = draw(5, 3).requires_grad_(), torch.tensor([0, 1, 2, 1, 0]), draw(3, 3, seed=1)
    task = Distillation(Classification(PICTURES), teacher(weight), 4.0, alpha)
    out = task.training_step(IDENTITY, make_batch(logits, codes), Phase())
    wanted = (logits @ weight.T / 4).softmax(1)
    soft = 16 * (wanted * (wanted.log() - (logits / 4).log_softmax(1))).sum(1).mean()
    hard = F.cross_entropy(logits, codes)
    assert out.loss.item() == pytest.approx((alpha * soft + (1 - alpha) * hard).item(), rel=1e-5)
    assert out.logs["soft_loss"].item() == pytest.approx(soft.item(), rel=1e-5)
    assert out.logs["hard_loss"].item() == pytest.approx(hard.item(), rel=1e-5)
    out.loss.backward()
    student = (logits / 4).softmax(1).detach()
    slope = alpha * 4 * (student - wanted) + (1 - alpha) * (logits.softmax(1) - F.one_hot(codes, 3))
    assert torch.allclose(logits.grad, slope.detach() / 5, atol=1e-6), "the teacher's scores are no variables"


def test_mixed_targets_reach_the_student_and_mixed_pictures_the_teacher():
    seen = []

    class Watching(nn.Linear):
        def forward(self, x):
            seen.append(x)
            return super().forward(x)

    inputs, shares = draw(4, 3), torch.rand(4, 3).softmax(1)
    task = Distillation(Classification(PICTURES), teacher(draw(3, 3), network=Watching(3, 3).eval()))
    out = task.training_step(IDENTITY, make_batch(inputs, shares), Phase())
    assert torch.equal(seen[0], inputs) and out.logs["hard_loss"].item() == pytest.approx(
        -(shares * inputs.log_softmax(1)).sum(1).mean().item(), rel=1e-5
    )


def test_classes_in_another_order_are_put_into_the_student_s():
    order = torch.tensor([2, 0, 1])
    plain, turned = teacher(draw(3, 3)), teacher(draw(3, 3)[[1, 2, 0]], order=order)
    assert torch.allclose(plain.scores(draw(4, 3)), turned.scores(draw(4, 3)))


def test_the_teacher_s_own_normalisation_is_used():
    mine, own = ImagePreprocessor(PICTURES, [0.3], [0.2]), ImagePreprocessor(PICTURES, [0.5], [0.7])
    pixels = torch.rand(4, 1, 8, 8)
    assert torch.allclose(_Rescaled(own, mine)(mine.normalise(pixels)), own.normalise(pixels), atol=1e-6)


def test_evaluation_is_the_student_s_own():
    logits, codes = draw(30, 3), torch.randint(0, 3, (30,))
    source = Source(make_batch(logits, codes))
    task = Classification(PICTURES)
    assert measured(Distillation(task, teacher(draw(3, 3))), IDENTITY, source) == measured(task, IDENTITY, source)
    made = Distillation(task, teacher(draw(3, 3)))
    assert (made.monitor, made.sense) == ("accuracy", "max") and made.answers(logits) == task.answers(logits)


def test_the_report_compares_both(tmp_path):
    logits = torch.tensor([[2.0, 0, 0], [0, 2.0, 0], [0, 0, 2.0], [0, 0, 2.0]])
    made = Distillation(Classification(ROWS), teacher(torch.eye(3)[[1, 0, 2]]))
    table = made.exhibits(IDENTITY, Source(make_batch(logits, torch.tensor([0, 1, 2, 1]))), tmp_path)[0]
    assert table["rows"] == [["teacher master", 9, 0.25, 0.5], ["student", 0, 0.75, 0.5]]
    assert made.exhibits(IDENTITY, Source(), tmp_path) == []


def test_another_teacher_is_refused_on_resume():
    made = Distillation(Classification(ROWS), teacher(draw(3, 3)))
    made.load_state(made.state())
    with pytest.raises(CheckpointError, match="not the one"):
        Distillation(Classification(ROWS), teacher(draw(3, 3), hash="2")).load_state(made.state())


BASE = {
    "data": "digits",
    "optimizer": {"name": "adamw", "lr": 3e-3},
    "train": {"epochs": 2, "batch_size": 64, "threads": 1, "checkpoint_every": 10},
}
STUDENT = {**BASE, "model": {"name": "mlp", "hidden": [8], "dropout": 0.1}, "augment": ["cutmix"]}


@pytest.fixture(scope="module")
def master(tmp_path_factory):
    """A teacher's run."""
    out = tmp_path_factory.mktemp("master") / "master-1"
    config = {**BASE, "model": {"name": "mlp", "hidden": [64]}, "train": {**BASE["train"], "epochs": 8}}
    return netwright.train(config, out=out, quiet=True)


def taught(run, **settings):
    return {**STUDENT, "distill": {"teacher": str(run.folder), **settings}}


def test_a_student_is_saved_without_its_teacher_and_reported_with_it(master, tmp_path):
    run = netwright.train(taught(master), out=tmp_path / "student", quiet=True)
    lines = [line for line in read_jsonl(run.folder / "metrics.jsonl") if line["kind"] == "train"]
    for line in lines:
        assert line["loss"] == pytest.approx(0.7 * line["soft_loss"] + 0.3 * line["hard_loss"], rel=1e-5)
    state = json.loads((run.folder / "checkpoints" / "last" / "state.json").read_text())
    assert len(state["model"]) == 4 and len(state["task"]["teacher"]) == 64
    table = json.loads((run.folder / "exhibits.json").read_text())[0]
    measured_then = master.metrics["test"]["accuracy"]
    assert table["rows"][0][:3] == ["teacher master-1 (mlp)", 64 * 65 + 650, pytest.approx(measured_then, abs=1e-4)]
    assert table["rows"][1][2] == pytest.approx(run.metrics["test"]["accuracy"], abs=1e-4)
    page = (run.folder / "report.html").read_text("utf-8")
    assert "Teacher and student" in page and "losses by part" in page.lower()
    shutil.move(master.folder / "model", master.folder / "elsewhere")
    try:  # the student stands alone
        assert len(netwright.load(run.folder)(torch.zeros(8, 8))) == 1
        assert evaluate_run(run.folder)["metrics"]["accuracy"] == pytest.approx(run.metrics["test"]["accuracy"])
    finally:
        shutil.move(master.folder / "elsewhere", master.folder / "model")


def test_alpha_0_is_training_without_a_teacher(master, tmp_path):
    configs = {"plain": STUDENT, "alone": taught(master, alpha=0.0), "both": taught(master, alpha=0.9)}
    begun, ended = {}, {}
    for name, config in configs.items():
        run = session(config, tmp_path / name)
        begun[name] = weights_hash(run.model)
        loop.train(run)
        ended[name] = weights_hash(run.model)
    assert begun["plain"] == begun["alone"] == begun["both"]
    assert ended["plain"] == ended["alone"] != ended["both"]


def test_a_resumed_student_ends_with_the_same_bits(master, tmp_path):
    one = session(taught(master), tmp_path / "one")
    loop.train(one)
    two = session(taught(master), tmp_path / "two")
    leave_at(two, 7)
    with pytest.raises(Preempted):
        loop.train(two)
    two = session(taught(master), tmp_path / "two")
    assert two.restore() and two.progress.step == 7
    loop.train(two)
    assert weights_hash(one.model) == weights_hash(two.model)


@pytest.mark.parametrize(("changed", "message"), [
    ({"distill": {"teacher": "nowhere"}}, "neither a run or model folder nor the name of an example"),
    ({"distill": {"teacher": "/no/where"}}, "teacher=/no/where is neither a run or model folder"),
    ({"distill": {"teacher": "**/[a"}}, "neither a run or model folder"),
    ({"distill": {"teacher": "gan-fashion-mnist"}}, "make it with: netwright train gan-fashion-mnist"),
    ({"distill": {"temperature": 4}}, "distill.teacher is missing"),
    ({"distill": {"teacher": "x", "alpha": 1.5, "temprature": 3}}, "distill.alpha=1.5"),
    ({"distill": {"teacher": "x", "temprature": 3}}, "did you mean temperature"),
    ({"distill": {"teacher": "MASTER"}, "data": "fashion-mnist-small"}, "other classes apart.*: 0, 1.*T-shirt"),
    ({"distill": {"teacher": "MASTER"}, "data": "diabetes", "augment": []}, "tell classes apart"),
])  # fmt: skip
def test_what_cannot_teach_is_refused(changed, message, master, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {k: str(master.folder) if v == "MASTER" else v for k, v in changed["distill"].items()}
    with pytest.raises(ConfigError, match=message) as caught:
        netwright.train({**STUDENT, **changed, "distill": settings}, out=tmp_path / "run", quiet=True)
    assert all(problem.path.startswith("distill") for problem in caught.value.problems)


def test_a_refusal_calls_the_task_by_its_name_in_the_catalog():
    config = load_config({"data": "digits", "task": "segmentation", "distill": {"teacher": "master"}})
    with pytest.raises(ConfigError, match="the task is image-segmentation"):
        beside_teacher(Regression(ROWS), config, None, None, torch.device("cpu"))


def test_other_inputs_and_encodings_are_refused(master, tmp_path):
    rows = {"data": "breast-cancer", "model": {"name": "mlp", "hidden": [4]}, "train": {"epochs": 1, "batch_size": 64}}
    small = netwright.train(rows, out=tmp_path / "small", quiet=True)
    own = netwright.load(small.folder).preprocess
    others = [replace(own.schema.columns[0], name="other"), *own.schema.columns[1:]]
    with pytest.raises(ConfigError, match="encoded in another way"):
        _adapted(own, TablePreprocessor(replace(own.schema, columns=tuple(others)), *own.values().values()))
    assert _adapted(own, own) is None
    wide = TensorDataset(torch.rand(80, 1, 4, 4), torch.arange(80) % 10, PICTURES, "wide")
    with pytest.raises(ConfigError, match=r"inputs of .*8x8, and the data give .*4x4"):
        netwright.fit(nn.Sequential(nn.Flatten(), nn.Linear(16, 10)), (wide.inputs.numpy(), wide.targets.numpy()),
                      distill={"teacher": str(master.folder)}, out=tmp_path / "run", quiet=True)  # fmt: skip


def test_an_example_s_name_means_its_newest_finished_run(master, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("lenet-fashion-mnist-1", "lenet-fashion-mnist-2"):
        shutil.copytree(master.folder / "model", tmp_path / "runs" / name / "model")
    (tmp_path / "runs" / "lenet-fashion-mnist-3").mkdir()
    os.utime(tmp_path / "runs" / "lenet-fashion-mnist-1" / "model" / "config.json", (1, 1))
    found = find_teacher("lenet-fashion-mnist", tmp_path, tmp_path / "elsewhere")
    assert found == str(tmp_path / "runs" / "lenet-fashion-mnist-2" / "model")
    beside = tmp_path / "gallery"
    shutil.copytree(master.folder / "model", beside / "mlp-fashion-mnist" / "model")
    assert find_teacher("mlp-fashion-mnist", tmp_path, beside) == str(beside / "mlp-fashion-mnist" / "model")
    assert find_teacher(str(master.folder), tmp_path, beside) == str(master.folder / "model")


def test_a_teacher_of_another_split_is_warned_of(master, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "netwright"):
        assemble(load_config(taught(master)), tmp_path / "run", quiet=True)
        assert not caplog.records
        other = {**taught(master), "data": {"name": "digits", "split": {"seed": 5}}}
        assemble(load_config(other), tmp_path / "other", quiet=True)
    assert "another split of digits" in caplog.text
