"""Activations that are calls in `forward` are exchanged like modules, hidden ones only; the loss is left alone."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netwright as nw
from netwright.doctor.probe import Program
from netwright.doctor.probe.activations import RELUS, SQUASHES, exchange_activations


class Called(nn.Module):
    def __init__(self, kind: Any, last: Any = None, depth: int = 1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(nn.Linear(8 if at == 0 else 24, 24) for at in range(depth))
        self.head, self.kind, self.last = nn.Linear(24, 3), kind, last

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.kind(layer(x))
        x = self.head(x)
        return x if self.last is None else self.last(x)


def forked(net: nn.Module) -> Any:
    return Program(net, torch.optim.SGD(net.parameters(), 0.1), F.cross_entropy).fork()


@pytest.mark.parametrize("kind", [torch.sigmoid, Tensor.sigmoid, torch.tanh, F.tanh, nn.Sigmoid(), nn.Tanh()])
def test_calls_and_modules_are_exchanged(kind: Any) -> None:
    net, x = Called(kind), torch.randn(6, 8)
    fork = forked(net)
    assert exchange_activations(fork, x, SQUASHES, F.relu)
    assert torch.equal(fork.net(x), Called(F.relu)(x)) and torch.equal(net(x), Called(kind)(x))


@pytest.mark.parametrize("kind", [F.relu, torch.relu, nn.ReLU(), Tensor.relu])
def test_relus_too(kind: Any) -> None:
    x = torch.randn(6, 8)
    fork = forked(Called(kind))
    assert exchange_activations(fork, x, RELUS, F.softplus)
    assert torch.allclose(fork.net(x), Called(F.softplus)(x))


def test_the_last_activation_is_kept() -> None:
    x = torch.randn(6, 8)
    fork = forked(Called(F.relu, torch.sigmoid))
    assert not exchange_activations(fork, x, SQUASHES, F.relu)
    assert torch.equal(fork.net(x), Called(F.relu, torch.sigmoid)(x))


def test_a_functional_sigmoid_stack_that_does_not_learn() -> None:
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(600, 8, generator=chance)
    net = Called(torch.sigmoid, depth=7)
    opt = torch.optim.Adam(net.parameters(), 3e-3)
    train = x, (x @ torch.randn(8, 3, generator=chance)).argmax(1)
    found = nw.diagnose(net, opt, F.cross_entropy, train, epochs=15, budget_seconds=20).findings[0]
    assert found.fault in {"vanishing-gradient", "missing-normalization"} and found.severity == "error"
    assert found.probe is not None and found.probe.change in {"relu", "normalised"}
