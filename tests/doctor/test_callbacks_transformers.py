"""The doctor in Hugging Face's Trainer: it sees what the watch sees, and the run does not notice it."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from callback_programs import hashed, hooks
from torch import Tensor

from netwright.metrics import torchvision_guard  # noqa: F401 - transformers imports torchvision with its models

T = pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")

from netwright.doctor.callbacks import TransformersDoctor  # noqa: E402


class Sentences(torch.utils.data.Dataset):
    """Whether the first token is a small one, with a tenth of the labels wrong; or rows that count up."""

    def __init__(self, tokens: bool = False) -> None:
        chance = torch.Generator().manual_seed(0)
        self.x = torch.randint(1, 12, (512, 6), generator=chance)
        wrong = torch.rand(512, generator=chance) < 0.1
        self.y = ((self.x[:, 0] < 6) ^ wrong).long()
        if tokens:
            self.y = self.x = (self.x[:, :1] + torch.arange(6)) % 11 + 1

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, at: int) -> dict[str, Tensor]:
        return {"input_ids": self.x[at], "labels": self.y[at]}


def classifier(break_at: int = -1) -> Any:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    model = T.BertForSequenceClassification(T.BertConfig(vocab_size=12, max_position_embeddings=16, **sizes))
    count = 0

    def breaks(*_: Any) -> None:
        nonlocal count
        count += model.training
        if count == break_at:
            raise RuntimeError("broken on purpose")

    if break_at > 0:
        model.bert.register_forward_pre_hook(breaks)
    return model


def trainer(
    folder: Path, model: Any, *callbacks: Any, lr: float = 3e-3, epochs: float = 2, data: Any = None, **more: Any
) -> Any:
    given = {"report_to": "none", "disable_tqdm": True, "use_cpu": True, "save_strategy": "no", "logging_steps": 10}
    arguments = T.TrainingArguments(
        str(folder), learning_rate=lr, num_train_epochs=epochs, per_device_train_batch_size=16, **(given | more)
    )
    return T.Trainer(model, arguments, train_dataset=data or Sentences(), callbacks=list(callbacks))


def faults(doctor: TransformersDoctor) -> dict[str, str]:
    return {finding.fault: finding.severity for finding in doctor.findings if finding.severity != "note"}


@pytest.mark.parametrize("more", [{}, {"gradient_accumulation_steps": 3}, {"bf16": True}])
def test_a_healthy_run_is_silent_and_bit_identical(tmp_path: Path, more: dict[str, Any]) -> None:
    plain, watched, doctor = classifier(), classifier(), TransformersDoctor(every=3)
    trainer(tmp_path, plain, **more).train()
    end = hashed(plain)
    run = trainer(tmp_path, watched, doctor, **more)
    run.train()
    assert hashed(watched) == end
    assert faults(doctor) == {}
    assert hooks(watched, run.optimizer.optimizer) == 0
    assert doctor._attending.steps == run.state.global_step


@pytest.mark.parametrize("attached", [False, True])
def test_the_loss_is_the_trainers(tmp_path: Path, attached: bool) -> None:
    doctor = TransformersDoctor()
    more = {"gradient_accumulation_steps": 3, "logging_steps": 1}
    run = trainer(tmp_path, classifier(), *([] if attached else [doctor]), epochs=1, **more)
    if attached:
        doctor.attach(run)
    heard = []
    step = doctor._attending.done

    def done(*given: Any, **named: Any) -> None:
        step(*given, **named)
        heard.append(doctor._attending._watch.signals().losses[-1])

    doctor._attending.done = done
    run.train()
    logged = [line["loss"] for line in run.state.log_history if "loss" in line]
    assert heard == pytest.approx([float(loss) for loss in logged], rel=1e-3)


def test_a_rate_that_is_too_high_is_found_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    doctor = TransformersDoctor(path=tmp_path / "findings.jsonl")
    run = trainer(tmp_path, classifier(), doctor, lr=3.0, epochs=3, lr_scheduler_type="constant", max_grad_norm=0.0)
    with caplog.at_level(logging.WARNING, "netwright"):
        run.train()
    assert "lr-too-high" in faults(doctor)
    assert sum("lr-too-high" in record.message for record in caplog.records) == 1
    written = [json.loads(line) for line in (tmp_path / "findings.jsonl").read_text("utf-8").splitlines()]
    assert "lr-too-high" in [line["fault"] for line in written]
    assert any("doctor/lr-too-high" in line for line in run.state.log_history)


def test_a_loss_of_the_users_own_needs_attach(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def loss(outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        return torch.nn.functional.cross_entropy(outputs.logits, labels)

    blind, seeing = TransformersDoctor(), TransformersDoctor()
    for doctor in (blind, seeing):
        run = trainer(tmp_path, classifier(), *([doctor] if doctor is blind else []), epochs=2)
        run.compute_loss_func = loss
        if doctor is seeing:
            doctor.attach(run)
        with caplog.at_level(logging.WARNING, "netwright"):
            run.train()
    assert blind._attending.steps == 0 and seeing._attending.steps == 64
    assert sum("attach(trainer)" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize("attached", [False, True])
def test_an_exception_ends_the_watch(tmp_path: Path, attached: bool) -> None:
    model, doctor = classifier(break_at=8), TransformersDoctor()
    run = trainer(tmp_path, model, *([] if attached else [doctor]))
    if attached:
        doctor.attach(run)
    with pytest.raises(RuntimeError, match="broken on purpose"), doctor:
        run.train()
    assert hooks(model, run.optimizer.optimizer) == 1  # the test's own
    assert doctor._attending.steps == 7


def test_a_language_models_loss_is_known(tmp_path: Path) -> None:
    from netwright.doctor.callbacks.own_loss import _of_next_tokens, known_loss

    torch.manual_seed(0)
    model = T.GPT2LMHeadModel(T.GPT2Config(vocab_size=12, n_positions=16, n_embd=16, n_layer=1, n_head=2))
    x = Sentences().x[:8]
    assert known_loss(model, {"input_ids": x}, x) is _of_next_tokens
    assert isinstance(known_loss(classifier(), {"input_ids": x}, Sentences().y[:8]), torch.nn.CrossEntropyLoss)
    doctor = TransformersDoctor()
    trainer(tmp_path, model, doctor, data=Sentences(tokens=True)).train()
    assert faults(doctor) == {}


def test_a_diagnosis_at_the_end(tmp_path: Path) -> None:
    more = {"lr": 3.0, "lr_scheduler_type": "constant", "max_grad_norm": 0.0}
    plain, watched, doctor = classifier(), classifier(), TransformersDoctor(diagnose=15)
    trainer(tmp_path, plain, **more).train()
    end = hashed(plain)
    trainer(tmp_path, watched, doctor, **more).train()
    assert hashed(watched) == end
    assert "lr-too-high" in faults(doctor)
    assert doctor.findings == doctor._attending._diagnosed


def test_a_resumed_run_is_the_same(tmp_path: Path) -> None:
    ends = []
    for doctor in (None, TransformersDoctor()):
        folder = tmp_path / str(doctor is None)
        callbacks = [] if doctor is None else [doctor]
        more = {"save_strategy": "steps", "save_steps": 32}
        trainer(folder, classifier(), *callbacks, epochs=2, **more).train()
        model = classifier()
        trainer(folder, model, *callbacks, epochs=2, **more).train(resume_from_checkpoint=str(folder / "checkpoint-32"))
        ends.append(hashed(model))
    assert ends[0] == ends[1] and doctor._attending.steps == 32
