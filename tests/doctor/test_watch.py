"""The watch sees what it should, and the watched run does not notice it."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netwright as nw
from netwright.doctor.watch import Watch


def program(*extra: nn.Module) -> tuple[nn.Module, torch.optim.Optimizer, Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(256, 12)
    y = (x[:, :3].sum(1) > 0).long()
    net = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), *extra, nn.Linear(24, 2))
    return net, torch.optim.Adam(net.parameters(), 1e-2), x, y


def loop(
    net: nn.Module, opt: torch.optim.Optimizer, x: Tensor, y: Tensor, steps: int = 60, told: Watch | None = None,
    clear: bool = True, every: int = 1,
) -> list[Tensor]:  # fmt: skip
    losses = []
    for count in range(steps):
        index = torch.randint(0, len(x), (32,))
        if clear and count % every == 0:
            opt.zero_grad()
        loss = F.cross_entropy(net(x[index]), y[index])
        loss.backward()
        if (count + 1) % every == 0:
            opt.step()
        losses.append(loss.detach())
        if told is not None:
            told.step(loss, y[index])
    return losses


def faults(told: Watch) -> dict[str, str]:
    return {finding.fault: finding.severity for finding in told.findings}


def test_a_watched_run_is_bit_identical() -> None:
    net, opt, x, y = program(nn.BatchNorm1d(24), nn.Dropout(0.2))
    other, other_opt, _, _ = program(nn.BatchNorm1d(24), nn.Dropout(0.2))
    torch.manual_seed(1)
    plain = loop(net, opt, x, y)
    end = torch.get_rng_state()
    torch.manual_seed(1)
    with nw.watch(other, other_opt, every=3) as told:
        watched = loop(other, other_opt, x, y, told=told)
        assert told.findings == []
    assert torch.equal(torch.stack(plain), torch.stack(watched)) and torch.equal(end, torch.get_rng_state())
    for key, value in net.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key
    for one, two in zip(net.parameters(), other.parameters(), strict=True):
        assert torch.equal(one.grad, two.grad)


def test_all_hooks_are_taken_off() -> None:
    net, opt, x, y = program()
    with nw.watch(net, opt) as told:
        loop(net, opt, x, y, 5, told)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert not opt._optimizer_step_pre_hooks and not opt._optimizer_step_post_hooks
    assert not any(p._backward_hooks or p._post_accumulate_grad_hooks for p in net.parameters())


def test_hooks_are_on_for_few_steps_only() -> None:
    net, opt, x, y = program()
    with nw.watch(net, opt, every=10) as told:
        loop(net, opt, x, y, 101, told)
        seen = told.signals()
    assert len(seen.losses) == 101 and 8 <= seen.stepped <= 16
    assert seen.trend < 0.8 and 1e-4 < seen.update() < 0.3


@pytest.mark.parametrize(
    ("clear", "every", "named"), [(False, 1, True), (True, 1, False), (True, 4, False), (True, 2, False)]
)
def test_gradients_that_pile_up(clear: bool, every: int, named: bool) -> None:
    net, opt, x, y = program()
    with nw.watch(net, opt) as told:
        loop(net, opt, x, y, told=told, clear=clear, every=every)
    assert ("missing-zero-grad" in faults(told)) is named
    assert not named or faults(told)["missing-zero-grad"] == "error"


def _eval(net: nn.Module, opt: torch.optim.Optimizer) -> None:
    net.eval()


def _nan(net: nn.Module, opt: torch.optim.Optimizer) -> None:
    net[0].register_forward_hook(lambda *a: a[2] * float("nan"))


def _stuck(net: nn.Module, opt: torch.optim.Optimizer) -> None:
    opt.step = lambda *a, **k: None  # type: ignore[method-assign]


def _dead(net: nn.Module, opt: torch.optim.Optimizer) -> None:
    nn.init.constant_(net[0].bias, -50.0)


def _fast(net: nn.Module, opt: torch.optim.Optimizer) -> None:
    opt.param_groups[0]["lr"] = 30.0


@pytest.mark.parametrize(
    ("change", "fault"),
    [(_eval, "wrong-mode"), (_nan, "non-finite"), (_stuck, "frozen-parameters"), (_dead, "dead-relu"),
     (_fast, "lr-too-high")],
)  # fmt: skip
def test_signals_name_the_fault(change: Callable[..., None], fault: str) -> None:
    net, opt, x, y = program(nn.Dropout(0.1))
    change(net, opt)
    with nw.watch(net, opt) as told:
        loop(net, opt, x, y, told=told)
    assert fault in faults(told)


def test_batches_of_one_label_are_seen() -> None:
    net, opt, x, y = program()
    order = y.argsort()
    with nw.watch(net, opt) as told:
        for count in range(60):
            index = order[count % 8 * 32 :][:32]
            opt.zero_grad()
            loss = F.cross_entropy(net(x[index]), y[index])
            loss.backward()
            opt.step()
            told.step(loss, y[index])
    assert "not-shuffled" in faults(told)


def test_a_schedule_that_collapses() -> None:
    net, opt, x, y = program()
    with nw.watch(net, opt) as told:
        for _ in range(60):
            told.step(loop(net, opt, x, y, 1)[0])
            opt.param_groups[0]["lr"] *= 0.6
    assert "schedule-collapsed" in faults(told)


def test_a_number_and_no_optimizer_will_do() -> None:
    net, opt, x, y = program()
    with nw.watch(net) as told:
        for loss in loop(net, opt, x, y, 20):
            told.step(float(loss))
    assert told.findings == [] and copy.copy(told.signals()).stepped == 0


@pytest.mark.parametrize(("asleep", "named"), [(False, True), (True, False)])
def test_validation_in_training_mode(asleep: bool, named: bool) -> None:
    net, opt, x, y = program(nn.Dropout(0.5))
    with nw.watch(net, opt) as told:
        for _ in range(6):
            loop(net, opt, x, y, 5, told)
            net.train(not asleep)
            with torch.no_grad():
                net(x)
            net.train()
    assert ("wrong-mode" in faults(told)) is named
    assert not named or "without gradients" in told.findings[0].evidence
