"""Losses and targets out of the ordinary: what they ask for is respected, and what is wrong with them is told."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netwright as nw
from netwright.doctor.diagnose import Diagnosis
from netwright.doctor.findings import Finding, Severity
from netwright.doctor.probe.reference import _in_shares
from netwright.doctor.verdict import in_order


def told(loss: Callable[..., Any], x: Tensor, y: Tensor, out: int = 1) -> Diagnosis:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(x.shape[1], 32), nn.ReLU(), nn.Linear(32, out))
    return nw.diagnose(net, torch.optim.Adam(net.parameters(), 3e-3), loss, (x, y), budget_seconds=15)


def numbers() -> tuple[Tensor, Tensor]:
    x = torch.randn(1200, 6, generator=torch.Generator().manual_seed(1))
    return x, (torch.relu(x[:, :1]) + x[:, 1:2] * x[:, 2:3]).detach()


def by_rank(scores: Tensor, targets: Tensor) -> Tensor:
    other = torch.arange(len(scores)).roll(1)
    return F.softplus(-(scores - scores[other]) * torch.sign(targets - targets[other])).mean()


def test_an_order_is_all_that_a_ranking_loss_asks_for() -> None:
    x, y = numbers()
    assert [f for f in told(by_rank, x, y).findings if f.severity != "note"] == []


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
    assert in_order([static], [live])[0].fault == first


def test_a_lack_of_capacity_goes_behind_an_end_that_cannot_say_what_is_wanted() -> None:
    end = Finding("NW107", "output-range", "warning", "net", "", "", "")
    lack = Finding("NW218", "capacity-too-small", "error", "net", "", "", "", proven=True)
    assert [f.fault for f in in_order([end], [lack])] == ["output-range", "capacity-too-small"]
    assert in_order([], [lack]) == [lack]


def test_a_dozen_rare_examples_are_too_few_to_call_their_labels_corrupted() -> None:
    x, _ = numbers()
    rare = torch.zeros(len(x), dtype=torch.long)
    rare[torch.randperm(len(x), generator=torch.Generator().manual_seed(3))[:13]] = 1
    faults = {finding.fault for finding in told(nn.CrossEntropyLoss(), x, rare, out=2).findings}
    assert "class-imbalance" in faults and "labels-corrupted" not in faults


def test_planted_labels_are_as_frequent_as_the_given_ones() -> None:
    wanted = torch.tensor([0.6, 0.25, 0.1, 0.05])
    scores = torch.randn(2000, 4, generator=torch.Generator().manual_seed(4))
    found = torch.bincount(_in_shares(scores, wanted).argmax(1), minlength=4) / 2000
    assert torch.allclose(found, wanted, atol=0.02)


def test_a_narrow_chain_may_be_linear_on_purpose() -> None:
    x = torch.randn(64, 30)
    sizes = [30, 16, 6, 16, 30]
    narrow = nn.Sequential(*(nn.Linear(a, b) for a, b in itertools.pairwise(sizes)))
    wide = nn.Sequential(*(nn.Linear(30, 30) for _ in range(3)))
    for net, severity in ((narrow, "warning"), (wide, "error")):
        found = nw.check(net, x, x, loss=nn.MSELoss(), optimizer=torch.optim.Adam(net.parameters(), 1e-3))
        assert [f.severity for f in found if f.fault == "missing-nonlinearity"] == [severity]
