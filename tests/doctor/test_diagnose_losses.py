"""Losses and targets out of the ordinary: what they ask for is respected, and what is wrong with them is told."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netwright as nw
from netwright.doctor.diagnose import Diagnosis, _done
from netwright.doctor.findings import Finding, Severity


def told(loss: Callable[..., Any], x: Tensor, y: Tensor, out: int = 1) -> Diagnosis:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(x.shape[1], 32), nn.ReLU(), nn.Linear(32, out))
    return nw.diagnose(net, torch.optim.Adam(net.parameters(), 3e-3), loss, (x, y), budget_seconds=15)


def numbers() -> tuple[Tensor, Tensor]:
    x = torch.randn(1200, 6, generator=torch.Generator().manual_seed(1))
    return x, (torch.relu(x[:, :1]) + x[:, 1:2] * x[:, 2:3]).detach()


def in_order(scores: Tensor, targets: Tensor) -> Tensor:
    other = torch.arange(len(scores)).roll(1)
    return F.softplus(-(scores - scores[other]) * torch.sign(targets - targets[other])).mean()


def test_an_order_is_all_that_a_ranking_loss_asks_for() -> None:
    x, y = numbers()
    assert [f for f in told(in_order, x, y).findings if f.severity != "note"] == []


def test_a_rate_may_be_given_by_its_logarithm() -> None:
    x, _ = numbers()
    y = torch.poisson((0.7 * x[:, :1] + 0.5).exp(), generator=torch.Generator().manual_seed(2))
    loss = nn.PoissonNLLLoss()
    assert [f for f in told(loss, x, y).findings if f.severity != "note"] == []


def test_a_loss_with_its_sign_turned_round_is_no_loss_of_ones_own() -> None:
    x, y = numbers()
    found = told(lambda o, t: -torch.tanh(F.mse_loss(o, t)), x, y).findings[0]
    assert (found.fault, found.severity) == ("wrong-loss", "error")


def test_labels_of_one_class() -> None:
    x, _ = numbers()
    found = told(nn.CrossEntropyLoss(), x, torch.zeros(len(x), dtype=torch.long), out=2).findings[0]
    assert (found.fault, found.severity) == ("labels-corrupted", "error")


@pytest.mark.parametrize(("effect", "first"), [(0.14, "missing-normalization"), (0.6, "wrong-optimizer")])
def test_a_lost_signal_goes_before_the_little_that_an_optimizer_makes_of_it(effect: float, first: str) -> None:
    def finding(fault: str, severity: Severity, effect: float | None = None) -> Finding:
        return Finding("NW114", fault, severity, "net", "", "", "", effect=effect, proven=severity == "error")

    static, live = finding("missing-normalization", "warning"), finding("wrong-optimizer", "error", effect)
    assert _done([static], Diagnosis(), [live]).findings[0].fault == first
