"""The doctor in skorch's nets: it sees what the watch sees, and the run does not notice it."""

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from callback_programs import digits, hashed, hooks, network
from torch import Tensor, nn

skorch = pytest.importorskip("skorch", reason="skorch is not installed")

from netwright.doctor.callbacks import SkorchDoctor  # noqa: E402


class Net(nn.Module):
    def __init__(self, break_at: int = -1, softmax: bool = False) -> None:
        super().__init__()
        self.net, self.break_at, self.softmax = network(), break_at, softmax

    def forward(self, x: Tensor) -> Tensor:
        self.break_at -= self.training
        if self.break_at == 0:
            raise RuntimeError("broken on purpose")
        out = self.net(x)
        return out.softmax(-1) if self.softmax else out


def made(*callbacks: Any, lr: float = 1e-2, epochs: int = 6, **more: Any) -> Any:
    given = {"criterion": nn.CrossEntropyLoss, "optimizer": torch.optim.Adam, "batch_size": 32, "verbose": 0,
             "iterator_train__shuffle": True, "train_split": None}  # fmt: skip
    return skorch.NeuralNetClassifier(Net, lr=lr, max_epochs=epochs, callbacks=list(callbacks), **(given | more))


def fitted(net: Any) -> Any:
    torch.manual_seed(1)
    x, y = digits()
    return net.fit(x.numpy(), y.numpy())


def faults(doctor: SkorchDoctor) -> dict[str, str]:
    return {finding.fault: finding.severity for finding in doctor.findings if finding.severity != "note"}


@pytest.mark.parametrize(
    "more", [{}, {"criterion": nn.NLLLoss, "module__softmax": True}, {"train_split": skorch.dataset.ValidSplit(4)}]
)
def test_a_healthy_run_is_silent_and_bit_identical(more: dict[str, Any]) -> None:
    plain, doctor = fitted(made(**more)), SkorchDoctor(every=3)
    end = hashed(plain.module_)
    watched = fitted(made(doctor, **more))
    assert hashed(watched.module_) == end
    assert faults(doctor) == {}
    assert hooks(watched.module_, watched.optimizer_) == 0
    assert doctor.attending_.steps == (72 if "train_split" in more else 96)


def test_a_rate_that_is_too_high_is_found_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    doctor = SkorchDoctor(path=tmp_path / "findings.jsonl")
    with caplog.at_level(logging.WARNING, "netwright"):
        net = fitted(made(doctor, lr=30.0, epochs=10))
    assert "lr-too-high" in faults(doctor)
    assert sum("lr-too-high" in record.message for record in caplog.records) == 1
    written = [json.loads(line) for line in (tmp_path / "findings.jsonl").read_text("utf-8").splitlines()]
    assert "lr-too-high" in [line["fault"] for line in written]
    assert ["lr-too-high"] in [epoch.get("doctor") for epoch in net.history]
    assert sum(net.history[:, "event_doctor"]) == 1


def test_static_rules_see_the_first_batch() -> None:
    doctor = SkorchDoctor()
    fitted(made(doctor, module__softmax=True, epochs=1))
    assert "double-softmax" in faults(doctor)


def test_an_exception_ends_the_watch() -> None:
    doctor = SkorchDoctor()
    net = made(doctor, module__break_at=8)
    with pytest.raises(RuntimeError, match="broken on purpose"), doctor:
        fitted(net)
    assert hooks(net.module_, net.optimizer_) == 0 and doctor.attending_.steps == 7
    net = made(alone := SkorchDoctor(), module__break_at=8)
    with pytest.raises(RuntimeError, match="broken on purpose"):
        fitted(net)
    assert not alone.attending_.running and alone.attending_.steps == 7


def test_a_checkpoint_of_the_whole_net_can_be_pickled_and_training_goes_on(tmp_path: Path) -> None:
    ends = []
    for doctor in ([], [SkorchDoctor()]):
        callbacks = [*doctor, skorch.callbacks.Checkpoint(dirname=tmp_path, f_pickle="net.pkl", monitor=None)]
        fitted(made(*callbacks, epochs=2))
        net = pickle.loads((tmp_path / "net.pkl").read_bytes())
        torch.manual_seed(2)
        x, y = digits()
        net.partial_fit(x.numpy(), y.numpy())
        ends.append(hashed(net.module_))
    assert ends[0] == ends[1]
    resumed = next(callback for _, callback in net.callbacks_ if isinstance(callback, SkorchDoctor))
    assert resumed.attending_.steps == 32 and resumed.findings == []


def test_a_net_with_a_doctor_can_be_cloned() -> None:
    from sklearn.base import clone

    twin = clone(made(SkorchDoctor(every=7)))
    assert twin.callbacks[0].every == 7 and twin.callbacks[0].findings == []


def test_a_diagnosis_at_the_end() -> None:
    plain, doctor = fitted(made(lr=30.0)), SkorchDoctor(diagnose=10)
    end = hashed(plain.module_)
    watched = fitted(made(doctor, lr=30.0))
    assert hashed(watched.module_) == end
    assert "lr-too-high" in faults(doctor) and doctor.findings == doctor.attending_._diagnosed
