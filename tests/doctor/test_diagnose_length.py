"""What a run's length says: too short a run, overfitting, schedules with an end; and how much a diagnosis runs."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import netwright as nw
from netwright.doctor.planning import planned_work
from netwright.doctor.probe import CHANGES, Program, collect, set_scene


def data(n: int = 640) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(n, 12, generator=chance)
    return x, (x @ torch.randn(12, 5, generator=chance)).argmax(1)


def network(width: int = 48) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, width), nn.ReLU(), nn.Linear(width, 5))


def told(rate: float, epochs: int | None, **more: Any) -> Any:
    net = network()
    x, y = data()
    given = {"train": (x[:512], y[:512]), "validation": (x[512:], y[512:]), "budget_seconds": 15, **more}
    return nw.diagnose(net, torch.optim.Adam(net.parameters(), rate), F.cross_entropy, epochs=epochs, **given)


def test_a_run_that_ends_too_soon_is_continued() -> None:
    finding = told(1e-3, 1).findings[0]
    assert (finding.fault, finding.code, finding.severity, finding.proven) == ("undertrained", "NW213", "error", True)
    assert finding.probe is not None and finding.probe.change in CHANGES and finding.probe.steps > 16
    assert "After its 16 steps" in finding.evidence and finding.effect is not None and finding.effect > 0.4


@pytest.mark.parametrize(("rate", "epochs"), [(3e-3, 20), (1e-3, 30), (1e-3, None)])
def test_a_run_that_is_long_enough_or_of_unknown_length_is_not(rate: float, epochs: int | None) -> None:
    assert [f.fault for f in told(rate, epochs).findings if f.severity != "note"] == []


def test_a_schedule_with_an_end_is_not_run_beyond_it() -> None:
    net = network()
    opt = torch.optim.Adam(net.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, 1e-2, total_steps=320)

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        opt.zero_grad()
        loss = F.cross_entropy(net(batch[0]), batch[1])
        loss.backward()
        opt.step()
        schedule.step()
        return loss

    x, y = data()
    diagnosis = nw.diagnose(net, opt, F.cross_entropy, (x[:512], y[:512]), step=step, epochs=20, budget_seconds=15)
    assert diagnosis.steps == 320
    assert [f for f in diagnosis.findings if f.severity != "note"] == []


def test_overfitting_is_seen_by_the_validation() -> None:
    x, y = data()
    chance = torch.Generator().manual_seed(1)
    y = torch.where(torch.rand(len(y), generator=chance) < 0.4, torch.randint(0, 5, y.shape, generator=chance), y)
    net = network(256)
    opt = torch.optim.Adam(net.parameters(), 3e-3)
    loader = DataLoader(TensorDataset(x[:96], y[:96]), 16, shuffle=True, generator=torch.Generator().manual_seed(0))
    diagnosis = nw.diagnose(net, opt, F.cross_entropy, loader, (x[96:], y[96:]), epochs=60, budget_seconds=15)
    assert diagnosis.findings[0].fault == "overfitting" and "validation loss" in diagnosis.findings[0].evidence


def test_the_work_is_planned_in_steps() -> None:
    net = network()
    program = Program(net, torch.optim.Adam(net.parameters()), F.cross_entropy)
    scene = set_scene(program, collect(data(), net, 100, 32), None, 0, 400)
    plenty, scarce = planned_work(scene, 60), planned_work(scene, 0.05)
    assert plenty is not None and scarce is not None
    assert (plenty.length, plenty.steps, plenty.end) == (600, 150, 400)
    assert scarce.steps < plenty.steps and scarce.length < plenty.length and scarce.end <= scarce.length


def test_a_loss_that_measures_nothing_raises_no_error() -> None:
    torch.manual_seed(0)
    maker, judge = (nn.Sequential(nn.Linear(i, 16), nn.ReLU(), nn.Linear(16, o)) for i, o in ((4, 12), (12, 1)))
    both = nn.ModuleDict({"maker": maker, "judge": judge})
    one, two = torch.optim.Adam(maker.parameters(), 1e-3), torch.optim.Adam(judge.parameters(), 1e-3)
    fit = F.binary_cross_entropy_with_logits

    def step(net: Any, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        real, noise = batch[0], torch.randn(len(batch[0]), 4)
        two.zero_grad()
        yes, no = judge(real), judge(maker(noise).detach())
        (fit(yes, torch.ones_like(yes)) + fit(no, torch.zeros_like(no))).backward()
        two.step()
        opt.zero_grad()
        fooled = judge(maker(noise))
        loss = fit(fooled, torch.ones_like(fooled))
        loss.backward()
        opt.step()
        return loss

    found = nw.diagnose(both, one, None, data(), step=step, epochs=10, budget_seconds=12).findings
    assert [f.fault for f in found if f.severity == "error"] == []


def test_what_might_come_after_the_run_is_no_fault_of_it() -> None:
    """A rate that grows forever ends in NaN, long after this run has ended well."""
    net = network()
    opt = torch.optim.Adam(net.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(opt, lambda n: 1.0 if n < 150 else 1e12)

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        opt.zero_grad()
        loss = F.mse_loss(net(batch[0]), F.one_hot(batch[1], 5).float())
        loss.backward()
        opt.step()
        schedule.step()
        return loss

    x, y = data()
    found = nw.diagnose(net, opt, None, (x[:512], y[:512]), step=step, epochs=8, budget_seconds=30).findings
    assert [f.fault for f in found if f.severity == "error"] == []
