"""Static faults written in other ways: functional calls, losses of one's own, recurrent and attending networks, data.

Each has a healthy twin, in which the same thing is done rightly; the twin is free of errors and of that fault.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from healthy import Program, Recurrent, classifier, labels, mlp, numbers
from torch import Tensor, nn

from netwright.doctor.check import check

Pair = tuple[str, Callable[[], Program], Callable[[], Program]]


class Body(nn.Module):
    """Two layers with anything between and behind them."""

    def __init__(self, end: Callable[[Tensor], Tensor] = lambda z: z, act: Callable[[Tensor], Tensor] = F.relu,
                 o: int = 5) -> None:  # fmt: skip
        super().__init__()
        self.a, self.b, self.c = nn.Linear(20, 32), nn.Linear(32, 32), nn.Linear(32, o)
        self.end, self.act = end, act

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.c(self.act(self.b(self.act(self.a(x))))))


def plain(net: nn.Module | None = None, x: Tensor | None = None, **more: Any) -> Program:
    return classifier(net or mlp(), numbers(64, 20) if x is None else x, **more)


def number(end: Callable[[Tensor], Tensor] = lambda z: z, targets: Tensor | None = None, **more: Any) -> Program:
    x = numbers(64, 20)
    wanted = 2 * x[:, :1] + 0.5 * numbers(64, 1, seed=3) if targets is None else targets
    return classifier(Body(end, o=1), x, targets=wanted, loss=nn.MSELoss(), **more)


def binary(loss: Any, end: Callable[[Tensor], Tensor] = lambda z: z) -> Program:
    return classifier(Body(end, o=1), numbers(64, 20), targets=(numbers(64, 1, seed=4) > 0).float(), loss=loss)


def by_hand(out: Tensor, y: Tensor) -> Tensor:
    dice = 1 - 2 * (out * y).sum() / (out.sum() + y.sum() + 1e-6)
    return F.binary_cross_entropy(out, y) + dice


def rmse(out: Tensor, y: Tensor) -> Tensor:
    return ((out - y) ** 2).mean().sqrt()


class Residual(nn.Module):
    def __init__(self, act: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.c, self.act = nn.Linear(20, 20), nn.Linear(20, 20), nn.Linear(20, 5), act

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.act(self.a(x))
        return self.c(x + self.act(self.b(x)))


class Weight(nn.Module):
    """A weight in one of several ways; `made`: anew in each pass."""

    def __init__(self, tensor: Tensor | None) -> None:
        super().__init__()
        self.weight, self.head = tensor, nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        weight = nn.Parameter(0.1 * torch.randn(20, 32)) if self.weight is None else self.weight
        return self.head(F.relu(x @ weight))


class ThroughNumPy(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.c(torch.from_numpy(F.relu(self.b(F.relu(self.a(x)))).detach().numpy()))


class Layers(nn.Module):
    def __init__(self, hold: Callable[[list[nn.Module]], Any]) -> None:
        super().__init__()
        self.layers = hold([nn.Linear(20, 32), nn.Linear(32, 5)])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers[1](F.relu(self.layers[0](x)))


class Asleep(nn.Module):
    def __init__(self, turn_off: bool) -> None:
        super().__init__()
        self.body, self.turn_off = (
            nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 5)),
            turn_off,
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.turn_off:
            self.body.eval()
        return self.body(x)


class OwnNorm(nn.Module):
    def __init__(self, always: bool) -> None:
        super().__init__()
        self.a, self.b, self.always = nn.Linear(20, 32, bias=False), nn.Linear(32, 5), always
        self.register_buffer("mean", torch.zeros(32))
        self.register_buffer("var", torch.ones(32))

    def forward(self, x: Tensor) -> Tensor:
        return self.b(F.relu(F.batch_norm(self.a(x), self.mean, self.var, training=self.always or self.training)))


class Pixels(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(F.relu(self.a(x)))


def in_a(hold: Callable[[list[nn.Module]], Any]) -> Program:
    return {"net": Layers(hold), "inputs": numbers(64, 20), "targets": labels(64, 5), "loss": nn.CrossEntropyLoss()}


def held_norms(held: bool) -> Program:
    net = nn.Sequential(nn.Linear(20, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 5))
    net[1].train(not held)
    return plain(net)


def penalised(weight: float) -> Program:
    net = mlp()

    def loss(out: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(out, y) + weight * sum(p.abs().sum() for p in net.parameters())

    return plain(net, loss=loss)


def recurrent(scale: float) -> Program:
    net = Recurrent()
    for parameter in net.lstm.parameters():
        nn.init.uniform_(parameter, -scale, scale)
    return plain(net, numbers(64, 10, 6))


def constant_first(constant: bool) -> Program:
    net = mlp()
    if constant:
        nn.init.constant_(net[0].weight, 0.3)
        nn.init.zeros_(net[0].bias)
    return plain(net)


def zeros_everywhere(everywhere: bool) -> Program:
    net = mlp()
    nn.init.zeros_(net[2].weight)
    if everywhere:
        nn.init.zeros_(net[0].weight)
    return plain(net)


def mask(share: float) -> Program:
    targets = (torch.rand(8, 16, 16, generator=torch.Generator().manual_seed(0)) < share).long()
    return classifier(Pixels(), numbers(8, 3, 16, 16), targets=targets)


def split(change: Callable[[Tensor], Tensor]) -> Program:
    scale = torch.linspace(1, 3, 20)
    x, other = numbers(300, 20) * scale + 5 * scale, numbers(300, 20, seed=5) * scale + 5 * scale
    return plain(nn.Sequential(nn.BatchNorm1d(20), mlp()), x, validation=(change(other), labels(300, 5, seed=9)))


def prices(change: Callable[[Tensor], Tensor]) -> Program:
    x, other = numbers(200, 20), numbers(200, 20, seed=5)
    program = number()
    return program | {"inputs": x, "targets": numbers(200, 1, seed=6), "validation": (other, change(numbers(200, 1)))}


def given(column: Callable[[Tensor], Tensor]) -> Program:
    x, y = numbers(128, 20), labels(128, 5)
    x[:, 3] = column(y)
    return plain(x=x, targets=y)


def curve(noise: float) -> Program:
    x, y = numbers(128, 20), numbers(128, 1, seed=3).exp()
    x[:, 9:10] = y.log() + noise * numbers(128, 1, seed=8)
    return number() | {"inputs": x, "targets": y}


def repeated(noise: float) -> Program:
    x = numbers(64, 20)
    return plain(x=x, validation=(x[:30] + noise * numbers(30, 20, seed=4), labels(30, 5)))


def ordered(exceptions: bool) -> Program:
    y = torch.arange(5).repeat_interleave(40)
    y = y if exceptions else y[torch.randperm(200, generator=torch.Generator().manual_seed(0))]
    y[[5, 77, 150]] = torch.tensor([3, 0, 1])
    return plain(x=numbers(200, 20), targets=y)


def sorted_numbers(sort: bool) -> Program:
    y = numbers(200, 1, seed=3)
    return number() | {"inputs": numbers(200, 20), "targets": y.sort(0).values if sort else y}


def few_updates(epochs: int) -> Program:
    config = {"train": {"batch_size": 512, "epochs": epochs}}
    return plain(x=numbers(512, 20), config=config, examples=512)


def wide(units: int) -> Program:
    return classifier(nn.Sequential(nn.Linear(10_500, units), nn.ReLU(), nn.Linear(units, 5)), numbers(16, 10_500))


def offset(middle: float) -> Program:
    return plain(x=0.01 * numbers(64, 20) + middle if middle else numbers(64, 20))


CASES: dict[str, Pair] = {
    "loss of one's own, out of labels": (
        "head-size-mismatch",
        lambda: plain(mlp(o=4), loss=lambda out, y: F.cross_entropy(out, y, label_smoothing=0.1)),
        lambda: plain(loss=lambda out, y: F.cross_entropy(out, y, label_smoothing=0.1)),
    ),
    "raw scores, bce and dice": (
        "missing-output-activation", lambda: binary(by_hand), lambda: binary(by_hand, torch.sigmoid)
    ),
    "clamped": ("output-range", lambda: number(lambda z: z.clamp(0, 1)), lambda: number(lambda z: z.clamp(-50, 50))),
    "squared": ("output-range", lambda: number(lambda z: z**2), lambda: number(lambda z: z**3)),
    "scaled sigmoid": (
        "output-range",
        lambda: number(lambda z: 2 * torch.sigmoid(z)),
        lambda: number(lambda z: 40 * torch.sigmoid(z) - 20),
    ),
    "unit vectors": (
        "output-range",
        lambda: classifier(Body(lambda z: F.normalize(z, dim=1)), numbers(64, 20), targets=4 * numbers(64, 5),
                           loss=nn.MSELoss()),
        lambda: classifier(Body(lambda z: F.normalize(z, dim=1)), numbers(64, 20),
                           targets=F.normalize(numbers(64, 5), dim=1), loss=nn.MSELoss()),
    ),
    "float labels": (
        "wrong-loss", lambda: number(targets=labels(64, 5).float().view(-1, 1)),
        lambda: number(targets=labels(64, 5).float().view(-1, 1) + 0.3 * numbers(64, 1)),
    ),
    "integers that are multi-hot": (
        "multilabel-as-multiclass",
        lambda: plain(targets=(numbers(64, 5) > 0).long(), loss=lambda out, y: F.cross_entropy(out, y.float())),
        lambda: plain(targets=(numbers(64, 5) > 0).long(),
                      loss=lambda out, y: F.binary_cross_entropy_with_logits(out, y.float())),
    ),
    "a residual of lines": (
        "missing-nonlinearity", lambda: plain(Residual(lambda z: z)), lambda: plain(Residual(F.gelu))
    ),
    "norms only": (
        "missing-nonlinearity",
        lambda: plain(Body(act=lambda z: F.layer_norm(z, (32,)))),
        lambda: plain(Body(act=lambda z: F.relu(F.layer_norm(z, (32,))))),
    ),
    "large recurrent weights": ("bad-init-scale", lambda: recurrent(10.0), lambda: recurrent(0.3)),
    "one constant layer": ("symmetric-init", lambda: constant_first(True), lambda: constant_first(False)),
    "zeros everywhere": ("symmetric-init", lambda: zeros_everywhere(True), lambda: zeros_everywhere(False)),
    "large series": (
        "input-not-normalized", lambda: plain(Recurrent(), 300 * numbers(64, 10, 6) + 1000),
        lambda: plain(Recurrent(), numbers(64, 10, 6)),
    ),
    "normalised twice": ("input-degenerate", lambda: offset(-0.99), lambda: offset(0.0)),
    "large targets, rmse": (
        "target-not-normalized", lambda: number(targets=2e4 + 3e3 * numbers(64, 1)) | {"loss": rmse},
        lambda: number() | {"loss": rmse},
    ),
    "whole prices": (
        "target-not-normalized",
        lambda: number(targets=torch.randint(90_000, 400_000, (64, 1)))
        | {"loss": lambda o, y: F.l1_loss(o, y.float())},
        lambda: number() | {"loss": lambda o, y: F.l1_loss(o, y.float())},
    ),
    "nan in validation": (
        "invalid-values",
        lambda: plain(validation=(numbers(64, 20, seed=5) / (numbers(64, 20, seed=5) > -2).float(), labels(64, 5))),
        lambda: plain(validation=(numbers(64, 20, seed=5), labels(64, 5))),
    ),
    "columns in another order": (
        "preprocessing-mismatch", lambda: split(lambda x: x.flip(1)), lambda: split(lambda x: x)
    ),
    "targets scaled on one side": (
        "preprocessing-mismatch", lambda: prices(lambda y: 50 * y + 30), lambda: prices(lambda y: y)
    ),
    "coded label": (
        "leakage", lambda: given(lambda y: torch.tensor([3.0, 1.0, 4.0, 0.0, 2.0])[y]),
        lambda: given(lambda y: y + numbers(128)),
    ),
    "curved target": ("leakage", lambda: curve(0.0), lambda: curve(0.3)),
    "nearly repeated": ("leakage", lambda: repeated(1e-6), lambda: repeated(1.0)),
    "rare pixels": ("class-imbalance", lambda: mask(0.015), lambda: mask(0.3)),
    "nearly sorted": ("not-shuffled", lambda: ordered(True), lambda: ordered(False)),
    "sorted numbers": ("not-shuffled", lambda: sorted_numbers(True), lambda: sorted_numbers(False)),
    "few updates": ("batch-too-large", lambda: few_updates(5), lambda: few_updates(200)),
    "one huge matrix": ("dense-parameter-explosion", lambda: wide(1000), lambda: wide(16)),
    "a penalty in the loss": ("over-regularized", lambda: penalised(10.0), lambda: penalised(1e-5)),
    "eval in forward": ("wrong-mode", lambda: plain(Asleep(True)), lambda: plain(Asleep(False))),
    "batch norm on for good": ("wrong-mode", lambda: plain(OwnNorm(True)), lambda: plain(OwnNorm(False))),
    "norms held from the start": ("wrong-mode", lambda: held_norms(True), lambda: held_norms(False)),
    "all layers in a list": (
        "frozen-parameters", lambda: in_a(list), lambda: in_a(nn.ModuleList)
    ),
    "made in forward": (
        "frozen-parameters", lambda: plain(Weight(None)), lambda: plain(Weight(nn.Parameter(0.1 * numbers(20, 32))))
    ),
    "a plain tensor": (
        "frozen-parameters",
        lambda: plain(Weight((0.1 * numbers(20, 32)).requires_grad_())),
        lambda: plain(Weight(nn.Parameter(0.1 * numbers(20, 32)))),
    ),
    "through numpy": ("frozen-parameters", lambda: plain(ThroughNumPy()), lambda: plain(Body())),
    "softmax over the batch in the loss": (
        "batch-mixing",
        lambda: plain(loss=lambda out, y: F.nll_loss(F.log_softmax(out, 0), y)),
        lambda: plain(loss=lambda out, y: F.nll_loss(F.log_softmax(out, 1), y)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_fault_is_named_and_its_twin_is_not(name: str) -> None:
    fault, faulty, healthy = CASES[name]
    torch.manual_seed(0)
    found = [f for f in check(**faulty()) if f.fault == fault and f.severity != "note"]
    assert found and found[0].evidence and found[0].why and found[0].remedy and found[0].where
    twin = check(**healthy())
    assert not [str(f) for f in twin if f.fault in (fault, "internal") or f.severity == "error"]
