"""Settings, sizes of batches and orders of findings: each fault with the healthy programs that look like it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from healthy import Program, classifier, labels, mlp, numbers
from torch import Tensor, nn

import netwright as nw
from netwright.doctor.check import check

Make = Callable[[], Program]


def smoothed(loss: Any) -> Program:
    return classifier(mlp(), numbers(64, 20), loss=loss)


def stepped(kind: Callable[..., torch.optim.Optimizer], **options: Any) -> Program:
    net = mlp()
    return classifier(net, numbers(64, 20), optimizer=kind(net.parameters(), **options))


def deep(gain: float | None, count: int = 12) -> Program:
    layers: list[nn.Module] = []
    for at in range(count):
        linear = nn.Linear(20 if at == 0 else 48, 48)
        if gain is not None:
            nn.init.xavier_normal_(linear.weight, gain)
        layers += [linear, nn.Tanh()]
    return classifier(nn.Sequential(*layers, nn.Linear(48, 5)), numbers(64, 20))


def batched(size: int, examples: int = 2048, **more: Any) -> Program:
    return classifier(mlp(), numbers(examples, 20)) | {"batch_size": size} | more


def lbfgs() -> Program:
    net = mlp()
    return batched(2048) | {"net": net, "optimizer": torch.optim.LBFGS(net.parameters())}


def with_norm(size: int) -> Program:
    net = nn.Sequential(nn.Linear(20, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 5))
    return classifier(net, numbers(64, 20)) | {"batch_size": size}


class Shaped(nn.Module):
    """An autoencoder whose end is put into the shape of its input."""

    def __init__(self, end: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.body, self.end = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 64)), end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.body(x.flatten(1))).view_as(x)


def rebuilt(end: Callable[[Tensor], Tensor], x: Tensor) -> Program:
    net = Shaped(end)
    return {
        "net": net,
        "inputs": x,
        "targets": x,
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(net.parameters()),
    }


def thawed(count: int) -> Program:
    net = mlp().requires_grad_(False)
    for parameter in list(net.parameters())[-count:]:
        parameter.requires_grad_(True)
    return classifier(net, numbers(64, 20))


CASES: list[tuple[str, Make, list[Make]]] = [
    ("invalid-setting", lambda: stepped(torch.optim.Adam, lr=1e-3, eps=10.0),
     [lambda: stepped(torch.optim.Adam, lr=1e-3), lambda: stepped(torch.optim.Adam, lr=1e-3, eps=1e-3),
      lambda: stepped(torch.optim.RMSprop, lr=0.045, eps=1.0, momentum=0.9)]),
    ("invalid-setting", lambda: stepped(torch.optim.SGD, lr=0.1, momentum=0.9, dampening=1.0),
     [lambda: stepped(torch.optim.SGD, lr=0.1, momentum=0.9, dampening=0.1)]),
    ("invalid-setting", lambda: smoothed(nn.CrossEntropyLoss(label_smoothing=1.0)),
     [lambda: smoothed(nn.CrossEntropyLoss(label_smoothing=0.1))]),
    ("invalid-setting", lambda: smoothed(lambda out, y: 2 * F.cross_entropy(out, y, label_smoothing=1.0)),
     [lambda: smoothed(lambda out, y: 2 * F.cross_entropy(out, y, label_smoothing=0.2)),
      lambda: smoothed(F.cross_entropy)]),
    ("over-regularized", lambda: smoothed(lambda out, y: F.cross_entropy(out, y, label_smoothing=0.8)),
     [lambda: smoothed(lambda out, y: F.cross_entropy(out, y, label_smoothing=0.3))]),
    ("missing-normalization", lambda: deep(None), [lambda: deep(5 / 3), lambda: deep(None, 7)]),
    ("batch-too-large", lambda: batched(2048),
     [lambda: batched(128), lbfgs, lambda: batched(2048, epochs=500), lambda: batched(64, 64),
      lambda: classifier(mlp(), numbers(2048, 20))]),
    ("batch-too-large", lambda: batched(1024, epochs=5), [lambda: batched(256, epochs=5)]),
    ("batch-too-small", lambda: with_norm(2), [lambda: with_norm(16)]),
    ("output-range", lambda: rebuilt(torch.relu, numbers(64, 1, 8, 8)),
     [lambda: rebuilt(torch.relu, numbers(64, 1, 8, 8).abs()), lambda: rebuilt(lambda z: z, numbers(64, 1, 8, 8))]),
    ("frozen-parameters", lambda: thawed(1), [lambda: thawed(2), lambda: thawed(4)]),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "make", "healthy"), CASES, ids=[f"{c[0]}-{at}" for at, c in enumerate(CASES)])
def test_fault_is_named_and_its_healthy_likes_are_not(fault: str, make: Make, healthy: list[Make]) -> None:
    torch.manual_seed(0)
    loud = [f for f in check(**make()) if f.severity != "note"]
    assert loud and loud[0].fault == fault, [str(f) for f in loud]
    assert loud[0].evidence and loud[0].remedy
    for other in healthy:
        torch.manual_seed(0)
        assert [str(f) for f in check(**other()) if f.severity != "note" and f.fault == fault] == []


def test_a_cause_stands_before_what_follows_from_it() -> None:
    net = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 5), nn.LogSoftmax(dim=0))
    found = check(**classifier(net, numbers(64, 20), loss=nn.NLLLoss()))
    assert [f.fault for f in found if f.severity == "error"] == ["batch-mixing", "missing-output-activation"]


def told(net: nn.Module, x: Tensor, y: Tensor, loss: Any, **more: Any) -> nw.Diagnosis:
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    return nw.diagnose(net, optimizer, loss, train=(x, y), budget_seconds=60, **more)


def test_what_was_read_off_leads_a_diagnosis_and_is_not_dropped_when_the_run_goes_well() -> None:
    torch.manual_seed(0)
    x = numbers(400, 20)
    y = (x[:, 0] > 0).long()
    order = y.argsort()
    found = told(mlp(o=2), x[order], y[order], nn.CrossEntropyLoss(), epochs=2).findings
    assert found[0].fault == "not-shuffled" and found[0].severity == "warning", [str(f) for f in found]
    squashed = nn.Sequential(mlp(o=1), nn.Sigmoid())
    again = told(squashed, x, y[:, None].float(), nn.MSELoss(), epochs=20)
    assert again.progress is not None and again.progress > 0.8
    assert again.findings[0].fault == "wrong-loss" and again.findings[0].severity == "warning"


def test_structure_comes_first() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 3), nn.Softmax(dim=0))
    found = told(net, numbers(96, 20), labels(96, 3), nn.CrossEntropyLoss(), epochs=1).findings
    errors = [f.fault for f in found if f.severity == "error"]
    assert errors[0] == "batch-mixing" and "double-softmax" in errors


class OnBatches(nn.Module):
    """Batch norm on its batch's statistics, in evaluation mode too unless it is told its mode."""

    def __init__(self, told: bool) -> None:
        super().__init__()
        self.a, self.norm, self.b, self.told = nn.Linear(20, 32), nn.BatchNorm1d(32), nn.Linear(32, 5), told

    def forward(self, x: Tensor) -> Tensor:
        norm, training = self.norm, self.training if self.told else True
        h = F.batch_norm(self.a(x), norm.running_mean, norm.running_var, norm.weight, norm.bias, training)
        return self.b(F.relu(h))


def test_a_mode_that_is_not_told_comes_before_the_mixing_that_it_makes() -> None:
    faults = [f.fault for f in check(**classifier(OnBatches(False), numbers(64, 20))) if f.severity == "error"]
    assert faults == ["wrong-mode", "batch-mixing"]
    assert not [f for f in check(**classifier(OnBatches(True), numbers(64, 20))) if f.severity != "note"]


def test_a_likelihood_turned_round_on_log_probabilities() -> None:
    net = nn.Sequential(mlp(), nn.LogSoftmax(1))
    turned = check(**classifier(net, numbers(64, 20), loss=lambda out, y: -F.nll_loss(out, y)))
    assert turned[0].fault == "wrong-loss" and turned[0].severity == "error"
    assert not [f for f in check(**classifier(net, numbers(64, 20), loss=F.nll_loss)) if f.severity != "note"]


class Branch(nn.Module):
    """A hidden layer whose result is taken up, dropped, given beside the output, or skipped by chance."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.a, self.b, self.c, self.kind = nn.Linear(20, 32), nn.Linear(32, 32), nn.Linear(32, 5), kind

    def forward(self, x: Tensor) -> Any:
        h = F.relu(self.a(x))
        if self.kind == "skipped" and self.training:
            return self.c(h)
        g = F.relu(self.b(h))
        return (self.c(h), g) if self.kind == "beside" else self.c(h if self.kind == "dropped" else g)


def first_part(out: Any, y: Tensor) -> Tensor:
    return F.cross_entropy(out[0], y)


def test_a_layer_whose_result_is_thrown_away() -> None:
    found = check(**classifier(Branch("dropped"), numbers(64, 20)))
    assert [(f.fault, f.severity, f.where) for f in found] == [("frozen-parameters", "warning", "b.weight")]
    for kind, loss in (("used", nn.CrossEntropyLoss()), ("skipped", nn.CrossEntropyLoss()), ("beside", first_part)):
        assert not [f for f in check(**classifier(Branch(kind), numbers(64, 20), loss=loss)) if f.severity != "note"]


def odds(out: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(out, y)


def test_a_loss_that_is_the_same_for_any_output() -> None:
    x = numbers(64, 20)
    given = {"inputs": x, "targets": torch.sigmoid(x[:, :1] + x[:, 1:2])}
    found = check(mlp(o=1), **given, loss=odds)
    assert [(f.fault, f.severity) for f in found if f.severity != "note"] == [("wrong-loss", "error")]
    assert not [f for f in check(mlp(o=1), **given, loss=lambda out, y: (out - y).cosh().log().mean()) if f.proven]
