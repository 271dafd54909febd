"""The doctor in Lightning's Trainer: it sees what the watch sees, and the run does not notice it."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from callback_programs import digits, hashed, hooks, network
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from netwright.metrics import torchvision_guard  # noqa: F401 - before torchmetrics, which Lightning imports

L = pytest.importorskip("lightning", reason="lightning is not installed")

from netwright.doctor.callbacks import LightningDoctor  # noqa: E402

QUIET = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False,
         "enable_checkpointing": False, "logger": False}  # fmt: skip


class Classifier(L.LightningModule):
    def __init__(self, lr: float = 1e-2, break_at: int = -1) -> None:
        super().__init__()
        self.net, self.lr, self.break_at = network(), lr, break_at

    def training_step(self, batch: Any, at: int) -> Tensor:
        if at == self.break_at:
            raise RuntimeError("broken on purpose")
        loss = F.cross_entropy(self.net(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.lr)


class Pair(L.LightningModule):
    """Two networks, two optimizers, stepped by hand, the second one every other batch."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.one, self.two = network(), network()

    def training_step(self, batch: Any, at: int) -> None:
        first, second = self.optimizers()
        for net, optimizer, due in ((self.one, first, True), (self.two, second, at % 2)):
            loss = F.cross_entropy(net(batch[0]), batch[1])
            if due:
                optimizer.zero_grad()
                self.manual_backward(loss)
                optimizer.step()

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(net.parameters(), 1e-2) for net in (self.one, self.two)]


def loader(batch: int = 32) -> DataLoader:
    return DataLoader(TensorDataset(*digits()), batch, shuffle=True)


def fit(module: L.LightningModule, *callbacks: Any, epochs: int = 5, **more: Any) -> L.Trainer:
    torch.manual_seed(1)
    trainer = L.Trainer(max_epochs=epochs, callbacks=list(callbacks), **(QUIET | more))
    trainer.fit(module, loader())
    return trainer


def faults(doctor: LightningDoctor) -> dict[str, str]:
    return {finding.fault: finding.severity for finding in doctor.findings if finding.severity != "note"}


@pytest.mark.parametrize(
    "more", [{}, {"accumulate_grad_batches": 3, "gradient_clip_val": 1.0}, {"precision": "bf16-mixed"}]
)
def test_a_healthy_run_is_silent_and_bit_identical(more: dict[str, Any]) -> None:
    plain, watched = Classifier(), Classifier()
    fit(plain, **more)
    end = hashed(plain)
    doctor = LightningDoctor(loss_fn=F.cross_entropy, every=3)
    trainer = fit(watched, doctor, **more)
    assert hashed(watched) == end
    assert faults(doctor) == {}
    assert hooks(watched, *trainer.optimizers) == 0


def test_one_step_is_one_optimizer_step() -> None:
    doctor = LightningDoctor()
    trainer = fit(Classifier(), doctor, accumulate_grad_batches=4)
    assert doctor._attending.steps == trainer.global_step == 20


def test_a_rate_that_is_too_high_is_found_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    doctor = LightningDoctor(path=tmp_path / "findings.jsonl")
    with caplog.at_level(logging.WARNING, "netwright"):
        fit(Classifier(lr=30.0), doctor, epochs=10)
    assert "lr-too-high" in faults(doctor)
    assert sum("lr-too-high" in record.message for record in caplog.records) == 1
    written = [json.loads(line) for line in (tmp_path / "findings.jsonl").read_text("utf-8").splitlines()]
    assert "lr-too-high" in [line["fault"] for line in written]


def test_the_trainers_logger_gets_it(tmp_path: Path) -> None:
    from lightning.pytorch.loggers import CSVLogger

    fit(Classifier(lr=30.0), LightningDoctor(), epochs=10, logger=CSVLogger(tmp_path), log_every_n_steps=10)
    assert "doctor/lr-too-high" in next(tmp_path.rglob("metrics.csv")).read_text("utf-8")


def test_several_optimizers_by_hand() -> None:
    plain, watched = Pair(), Pair()
    fit(plain)
    end = hashed(plain)
    doctor = LightningDoctor(every=2)
    fit(watched, doctor)
    seen = doctor._attending
    assert hashed(watched) == end and faults(doctor) == {} and seen.steps == 5 * 16


def test_an_exception_takes_the_hooks_off() -> None:
    module, doctor = Classifier(break_at=7), LightningDoctor()
    with pytest.raises(RuntimeError, match="broken on purpose"):
        fit(module, doctor)
    assert hooks(module) == 0 and not doctor._attending.running and doctor._attending.steps == 7


def test_static_rules_see_the_first_batch() -> None:
    module = Classifier()
    module.net.append(torch.nn.Softmax(-1))
    doctor = LightningDoctor(loss_fn=torch.nn.CrossEntropyLoss())
    fit(module, doctor, epochs=1)
    assert "double-softmax" in faults(doctor)


@pytest.mark.parametrize("loss", [None, F.cross_entropy])
def test_a_diagnosis_at_the_end(loss: Any) -> None:
    plain, watched = Classifier(lr=30.0), Classifier(lr=30.0)
    fit(plain)
    end = hashed(plain)
    doctor = LightningDoctor(diagnose=10, loss_fn=loss)
    fit(watched, doctor)
    assert hashed(watched) == end
    assert "lr-too-high" in faults(doctor)
    assert doctor.findings == doctor._attending._diagnosed


def test_a_resumed_run_is_the_same(tmp_path: Path) -> None:
    def both(*callbacks: Any) -> str:
        first = fit(Classifier(), *callbacks, epochs=2)
        first.save_checkpoint(tmp_path / "held.ckpt")
        torch.manual_seed(2)
        module = Classifier()
        trainer = L.Trainer(max_epochs=4, callbacks=list(callbacks), **QUIET)
        trainer.fit(module, loader(), ckpt_path=tmp_path / "held.ckpt", weights_only=False)
        assert trainer.global_step == 64
        return hashed(module)

    doctor = LightningDoctor()
    assert both() == both(doctor)
    assert doctor._attending.steps == 32
