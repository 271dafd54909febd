"""`diagnose` names the cause, proves it, keeps still on healthy programs, and leaves what it was given as it was."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import netwright as nw
from netwright.core.errors import ConfigError


def digits() -> tuple[Tensor, Tensor]:
    x, y = load_digits(return_X_y=True)
    return torch.tensor((x - 4.9) / 6, dtype=torch.float32), torch.tensor(y)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def told(net: nn.Module, opt: torch.optim.Optimizer, **more: Any) -> Any:
    given = {"train": digits(), "epochs": 5, "budget_seconds": 12, **more}
    return nw.diagnose(net, opt, given.pop("loss_fn", nn.CrossEntropyLoss()), **given)


@pytest.mark.parametrize(("lr", "fault"), [(1.0, "lr-too-high"), (1e-6, "lr-too-low")])
def test_learning_rates(lr: float, fault: str) -> None:
    net = network()
    found = told(net, torch.optim.Adam(net.parameters(), lr)).findings[0]
    assert (found.fault, found.severity, found.proven) == (fault, "error", True)
    assert found.effect > 0.5 and "learning rate" in found.evidence and "unchanged" in found.evidence


def test_a_healthy_program_is_left_in_peace() -> None:
    net = network()
    diagnosis = told(net, torch.optim.Adam(net.parameters(), 3e-3))
    assert [f for f in diagnosis.findings if f.severity != "note"] == []
    assert "Nothing stands out" in diagnosis.verdict and diagnosis.progress > 0.8
    assert diagnosis.to_dict()["probes"] == {}  # a run that has come this far is not probed
    assert "Nothing stands out" in str(diagnosis)


def test_nothing_given_is_changed() -> None:
    net = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 10))
    opt = torch.optim.Adam(net.parameters(), 1e-2)
    x, y = digits()
    loader = DataLoader(TensorDataset(x[:320], y[:320]), 32, shuffle=True)
    schedule = torch.optim.lr_scheduler.ExponentialLR(opt, 0.9)

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        opt.zero_grad()
        loss = F.cross_entropy(net(batch[0]), batch[1])
        loss.backward()
        opt.step()
        schedule.step()
        return loss

    step(net, opt, (x[:8], y[:8]))
    before = {key: value.clone() for key, value in net.state_dict().items()}
    grads = [p.grad.clone() for p in net.parameters()]
    moments = {name: value.clone() for name, value in opt.state[net[0].weight].items()}
    rate, chance = opt.param_groups[0]["lr"], torch.get_rng_state()
    told(net, opt, train=loader, step=step, loss_fn=F.cross_entropy, budget_seconds=4)
    assert torch.equal(torch.get_rng_state(), chance) and opt.param_groups[0]["lr"] == rate
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert all(torch.equal(p.grad, grad) for p, grad in zip(net.parameters(), grads, strict=True))
    assert all(torch.equal(value, moments[name]) for name, value in opt.state[net[0].weight].items())
    assert net.training and schedule.last_epoch == 1 and not opt._optimizer_step_pre_hooks
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_a_step_of_ones_own_without_zero_grad() -> None:
    net = network()

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        loss = F.cross_entropy(net(batch[0]), batch[1])
        loss.backward()
        opt.step()
        return loss

    found = told(net, torch.optim.SGD(net.parameters(), 0.1), step=step, loss_fn=None).findings[0]
    assert (found.fault, found.severity, found.proven) == ("missing-zero-grad", "error", True)
    assert found.effect > 0.2


def test_a_nan_of_the_learning_rate_is_one_finding() -> None:
    x = torch.randn(256, 8, generator=torch.Generator().manual_seed(0))
    net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
    opt = torch.optim.SGD(net.parameters(), 5.0)
    found = told(net, opt, train=(x, x[:, :1] * 2 - x[:, 1:2]), loss_fn=nn.MSELoss()).findings
    assert found[0].fault == "lr-too-high" and found[0].proven
    assert [f.fault for f in found if f.severity == "error"] == ["lr-too-high"]


def test_a_nan_of_the_network_names_its_place() -> None:
    class Rooted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x - 0.05).sqrt()

    net = nn.Sequential(nn.Linear(64, 32), nn.Sigmoid(), Rooted(), nn.Linear(32, 10))
    nn.init.zeros_(net[0].weight)
    nn.init.constant_(net[0].bias, -2.9)
    found = told(net, torch.optim.Adam(net.parameters(), 1e-2)).findings
    bad = next(f for f in found[:3] if f.fault == "non-finite")
    assert bad.where == "2" and bad.evidence.count("The first module") == 1


def test_a_step_that_raises_is_told_as_such() -> None:
    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        raise TypeError("a batch is a dict here")

    net = network()
    diagnosis = told(net, torch.optim.SGD(net.parameters(), 0.1), step=step, loss_fn=None)
    assert diagnosis.steps == 0 and "TypeError: a batch is a dict here" in diagnosis.verdict


def test_shuffled_labels_are_found_out() -> None:
    x, y = digits()
    net = network()
    y = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(0))]
    found = told(net, torch.optim.Adam(net.parameters(), 3e-3), train=(x, y)).findings
    assert [f.fault for f in found if f.severity == "error"] == ["labels-corrupted"]


def test_what_cannot_run_is_told_by_the_static_rules() -> None:
    net = nn.Sequential(nn.Linear(60, 32), nn.ReLU(), nn.Linear(32, 10))
    assert told(net, torch.optim.Adam(net.parameters())).findings[0].fault == "shape-mismatch"


def test_the_budget_is_kept() -> None:
    net = network()
    assert told(net, torch.optim.Adam(net.parameters(), 1e-3), budget_seconds=1.5).seconds < 4


def test_data_and_a_loss_are_needed() -> None:
    net = network()
    with pytest.raises(ConfigError, match="train="):
        nw.diagnose(net, torch.optim.Adam(net.parameters()), nn.CrossEntropyLoss())
