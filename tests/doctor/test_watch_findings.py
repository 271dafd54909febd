"""What a watch alone says of plain loops: the fault of faulty ones, nothing of healthy ones."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netwright as nw
from netwright.doctor import Finding

Loss = Callable[[Any, Tensor], Tensor]


def blobs(noise: float = 1.0) -> tuple[Tensor, Tensor]:
    numbers = torch.Generator().manual_seed(0)
    means, y = 1.3 * torch.randn(6, 16, generator=numbers), torch.randint(0, 6, (900,), generator=numbers)
    return means[y] + noise * torch.randn(900, 16, generator=numbers), y


def mlp(act: type[nn.Module] = nn.ReLU, deep: int = 1, out: int = 6) -> nn.Sequential:
    torch.manual_seed(0)
    inner = [part for _ in range(deep - 1) for part in (nn.Linear(32, 32), act())]
    return nn.Sequential(nn.Linear(16, 32), act(), *inner, nn.Linear(32, out))


def fit(
    net: nn.Module, opt: torch.optim.Optimizer, x: Tensor, y: Tensor, steps: int = 120, loss: Loss = F.cross_entropy,
    schedule: Any = None, order: Tensor | None = None, every: int = 1, between: Callable[[int], None] | None = None,
    labels: bool = False,
) -> list[Finding]:  # fmt: skip
    with nw.watch(net, opt) as doctor:
        for step in range(steps):
            index = torch.randint(0, len(x), (32,))
            if order is not None:
                index = order[torch.arange(32 * step, 32 * step + 32) % len(x)]
            if step % every == 0:
                opt.zero_grad()
            value = loss(net(x[index]), y[index])
            (value / every).backward()
            if (step + 1) % every == 0:
                opt.step()
            if schedule is not None:
                schedule.step()
            doctor.step(value, y[index] if labels else None)
            if between is not None:
                between(step)
    return doctor.findings


def said(found: list[Finding]) -> list[str]:
    return [finding.fault for finding in found if finding.severity != "note"]


def adam(net: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(net.parameters(), lr)


def test_a_loss_that_is_thrown_and_comes_back_to_chance() -> None:
    x, y = blobs(40.0)  # hardly to be learnt
    net = mlp()
    assert said(fit(net, adam(net, 3.0), x / 40, y, 300)) == ["lr-too-high"]


def test_a_high_rate_that_kills_the_units_names_the_rate() -> None:
    x, y = blobs()
    net = mlp()
    nn.init.constant_(net[2].weight, 8.0)  # the first loss is far above chance

    def kill(step: int) -> None:
        if step == 1:
            with torch.no_grad():
                net[0].weight.mul_(50.0)
                net[0].bias.fill_(-1e6)

    assert "lr-too-high" in said(fit(net, adam(net, 0.5), x, y, between=kill))


@pytest.mark.parametrize(("kind", "lr"), [(torch.optim.SGD, 1e-6), (torch.optim.Adam, 3e-7)])
def test_a_rate_too_low(kind: Any, lr: float) -> None:
    x, y = blobs()
    net = mlp()
    assert said(fit(net, kind(net.parameters(), lr), x, y)) == ["lr-too-low"]


def test_a_warm_up_that_has_just_begun_is_no_rate_too_low() -> None:
    x, y = blobs()
    net = mlp()
    opt = adam(net, 1e-3)
    rise = torch.optim.lr_scheduler.LambdaLR(opt, lambda step: (step + 1) / 1e5)
    assert said(fit(net, opt, x, y, 60, schedule=rise)) == []


class Late(nn.Module):
    """Takes logarithms of what is positive, until its `turn`-th call."""

    def __init__(self, turn: int) -> None:
        super().__init__()
        self.turn, self.calls = turn, 0

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        self.calls += 1
        return torch.log(F.softplus(x) if self.calls < self.turn else x)


@pytest.mark.parametrize("turn", [1, 57])
def test_the_first_module_that_gave_a_nan_is_named(turn: int) -> None:
    x, y = blobs()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(16, 32), nn.Sequential(Late(turn)), nn.Linear(32, 6))
    found = fit(net, adam(net, 1e-3), x, y, 80)
    assert found[0].fault == "non-finite" and found[0].severity == "error" and found[0].where == "1.0"


def test_a_gradient_that_breaks_on_its_way_back_is_placed_too() -> None:
    x, y = blobs()

    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.low, self.high, self.calls = nn.Linear(16, 32), nn.Linear(32, 6), 0

        def forward(self, x: Tensor) -> Tensor:
            """Shapes: (B, 16) to (B, 6)."""
            self.calls += 1
            hidden = self.low(x)
            return self.high((hidden * (self.calls != 40)).abs().sqrt())

    net = Root()
    found = fit(net, adam(net, 1e-3), x, y, 60)
    assert (found[0].fault, found[0].where) == ("non-finite", "low")


def test_evaluation_mode_after_the_first_validation() -> None:
    x, y = blobs()
    net = nn.Sequential(mlp(), nn.Dropout(0.1))

    def validate(step: int) -> None:
        if step % 30 == 29:
            net.eval()
            with torch.no_grad():
                net(x[:50])

    found = fit(net, adam(net, 1e-3), x, y, between=validate)
    assert said(found) == ["wrong-mode"] and "30 before" in found[0].evidence


@pytest.mark.parametrize("labels", [False, True])
def test_batches_of_one_label_in_turn(labels: bool) -> None:
    x, y = blobs()
    net = mlp()
    assert "not-shuffled" in said(fit(net, adam(net, 1e-3), x, y, order=y.argsort(), labels=labels))


def test_a_rare_label_is_no_order() -> None:
    x, y = blobs()
    y = (torch.arange(len(y)) % 300 == 0).long()
    net = mlp(out=3)
    assert said(fit(net, adam(net, 1e-3), x, y, labels=True)) == []


def test_zero_grad_of_the_head_alone() -> None:
    x, y = blobs()
    net = mlp(deep=2)
    opt = adam(net, 1e-3)
    opt.zero_grad = net[-1].zero_grad  # type: ignore[method-assign]
    assert said(fit(net, opt, x, y)) == ["missing-zero-grad"]


@pytest.mark.parametrize("every", [2, 5, 10, 11])
def test_accumulation_is_no_piling_up(every: int) -> None:
    x, y = blobs()
    net = mlp()
    assert said(fit(net, adam(net, 3e-3), x, y, 240, every=every)) == []


def test_a_head_that_alone_is_trained_may_leave_the_rest() -> None:
    x, y = blobs()
    net = mlp(deep=2)
    net[:-1].requires_grad_(False)
    assert said(fit(net, adam(net[-1], 1e-2), x, y)) == []
    found = fit(other := mlp(deep=2), adam(other[-1], 1e-3), x, y)
    assert said(found) == ["frozen-parameters"] and found[0].where == "0.weight"


def test_a_bias_that_a_norm_removes_is_not_frozen() -> None:
    x, y = blobs()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 6))
    assert said(fit(net, torch.optim.SGD(net.parameters(), 1e-2), x, y)) == []


def test_layers_at_their_ends_stop_what_is_below() -> None:
    x, y = blobs()
    net = mlp(nn.Tanh, 2)
    with torch.no_grad():
        net[0].weight.mul_(1000.0)
        net[2].weight.mul_(1000.0)
    assert "saturation" in said(fit(net, torch.optim.SGD(net.parameters(), 1e-3), x, y))


def test_a_gradient_that_vanishes() -> None:
    x, y = blobs()
    net = mlp(nn.Sigmoid, 10)
    assert "vanishing-gradient" in said(fit(net, torch.optim.SGD(net.parameters(), 0.05), x, y))


def test_a_gradient_that_explodes() -> None:
    x, y = blobs()
    net = mlp(deep=12)
    for part in net:
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=1.5)
    found = said(fit(net, torch.optim.SGD(net.parameters(), 1e-3), x, y))
    assert "exploding-gradient" in found


@pytest.mark.parametrize("sampling", [False, True])
def test_a_gan_with_two_watches(sampling: bool) -> None:
    torch.manual_seed(0)
    data = torch.randn(600, 2) * 0.5 + 2
    maker = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 2))
    judge = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Dropout(0.2), nn.Linear(32, 1))
    makes, judges = (torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (maker, judge))
    with nw.watch(maker, makes) as one, nw.watch(judge, judges) as two:
        for _ in range(150):
            with torch.set_grad_enabled(not sampling):
                drawn = maker(torch.randn(64, 8)).detach()
            judges.zero_grad()
            real = judge(data[torch.randint(0, 600, (64,))])
            loss = F.softplus(-real).mean() + F.softplus(judge(drawn)).mean()
            loss.backward()
            judges.step()
            two.step(loss)
            makes.zero_grad()
            loss = F.softplus(-judge(maker(torch.randn(64, 8)))).mean()
            loss.backward()
            makes.step()
            one.step(loss)
    assert said([*one.findings, *two.findings]) == []


def test_lbfgs_and_sparse_embeddings_are_well() -> None:
    x, y = blobs()
    net = mlp()
    opt = torch.optim.LBFGS(net.parameters(), 0.5)

    def closure() -> Tensor:
        opt.zero_grad()
        loss = F.cross_entropy(net(x), y) + 1e-3 * sum(p.square().sum() for p in net.parameters())
        loss.backward()
        return loss

    with nw.watch(net, opt) as doctor:
        for _ in range(35):
            doctor.step(opt.step(closure))
    assert said(doctor.findings) == []
    table = nn.Sequential(nn.EmbeddingBag(300, 16, sparse=True), nn.Linear(16, 4))
    words = torch.randint(0, 300, (600, 8))
    assert said(fit(table, torch.optim.SGD(table.parameters(), 0.5), words, (words < 150).sum(1) // 3)) == []


def test_restarts_and_a_collapse() -> None:
    x, y = blobs(3.0)
    net = mlp()
    opt = torch.optim.SGD(net.parameters(), 0.1, 0.9)
    again = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, 20)
    assert said(fit(net, opt, x, y, schedule=again)) == []
    opt = torch.optim.SGD(net.parameters(), 0.02)
    gone = torch.optim.lr_scheduler.LambdaLR(opt, lambda step: 0.5 * (1 + math.cos(math.pi * min(step, 20) / 20)))
    assert said(fit(net, opt, x, y, schedule=gone)) == ["schedule-collapsed"]
