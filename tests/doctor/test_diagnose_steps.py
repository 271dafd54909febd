"""What a step of the user's own does beside the loss, and what may not be said of it; each fault against its twin."""

import itertools
import time
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netwright as nw
from netwright.doctor.probe import CHANGES, Outcome, Program, Scene, collect, compare, passage, penalty, set_scene
from netwright.doctor.probe.reference import plain
from netwright.doctor.probe.yardstick import yardstick_for


def data(count: int = 640) -> tuple[Tensor, Tensor]:
    """Three classes by a rule that a small network learns in a hundred steps. Shapes: (N, 12), (N,)."""
    chance = torch.Generator().manual_seed(3)
    x, first, last = (torch.randn(*shape, generator=chance) for shape in ((count, 12), (12, 24), (24, 3)))
    return x, (torch.tanh(x @ first) @ last).argmax(1)


def network(*widths: int) -> nn.Sequential:
    torch.manual_seed(0)
    sizes = (12, *widths, 3)
    layers = [layer for i, o in itertools.pairwise(sizes) for layer in (nn.Linear(i, o), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def stepping(clear: str = "all", cut: float = 0.0, penalty: float = 0.0, every: int = 1) -> Any:
    """A step with one thing more or less than usual."""
    count = [0]

    def step(net: Any, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        if count[0] % every == 0:
            {"all": opt.zero_grad, "head": net[-1].zero_grad, "none": lambda: None}[clear]()
        loss = F.cross_entropy(net(batch[0]), batch[1])
        if penalty:
            loss = loss + penalty * sum(p.square().sum() for p in net.parameters())
        loss.backward()
        for parameter in net.parameters() if cut else ():
            parameter.grad.mul_(cut)
        count[0] += 1
        if count[0] % every == 0:
            opt.step()
        return loss

    return step


def scene(net: nn.Module, opt: torch.optim.Optimizer, step: Any = None, loss: Any = F.cross_entropy) -> Scene:
    return set_scene(Program(net, opt, loss, step), collect(data(), net, 100, 32), None, 60, 60)


def told(net: nn.Module, opt: torch.optim.Optimizer, loss: Any = F.cross_entropy, **more: Any) -> list[Any]:
    given = {"train": data(), "epochs": 8, "budget_seconds": 60, **more}
    return [f for f in nw.diagnose(net, opt, loss, **given).findings if f.severity != "note"]


@pytest.mark.parametrize("place", ["the step", "the loss"])
def test_a_penalty_is_named_wherever_it_hides(place: str) -> None:
    net = network(48)

    def loss(output: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(output, targets) + 0.5 * sum(p.square().sum() for p in net.parameters())

    more = {"step": stepping(penalty=0.5)} if place == "the step" else {}
    found = told(net, torch.optim.Adam(net.parameters(), 3e-3), None if more else loss, **more)[0]
    assert (found.fault, found.severity, found.probe.change) == ("over-regularized", "error", "plain-loss")


def test_a_penalty_is_measured() -> None:
    net = network(16)
    opt = torch.optim.Adam(net.parameters())
    assert penalty(scene(net, opt)) == 0 and penalty(scene(net, opt, stepping())) == pytest.approx(0, abs=1e-6)
    assert penalty(scene(net, opt, stepping(penalty=1e-4), None)) < 0.1  # a little of it is usual
    assert penalty(scene(net, opt, stepping(penalty=0.5), None)) > 1


def test_no_penalty_no_plain_loss() -> None:
    """It would mend whatever else a step does."""
    net = network(16)
    plainly = scene(net, torch.optim.Adam(net.parameters()), stepping())
    assert CHANGES["plain-loss"](plainly) is None
    plainly.penalised = True
    assert CHANGES["plain-loss"](plainly) is not None


@pytest.mark.parametrize(
    ("step", "piled", "left"),
    [
        (stepping(), 0, 1.0), (stepping("none"), 6, 1.0), (stepping("head"), 4, 1.0), (stepping(every=3), 0, 1.0),
        (stepping(cut=0.01), 0, 0.01), (None, 0, 1.0),
    ],
)  # fmt: skip
def test_what_becomes_of_a_gradient(step: Any, piled: int, left: float) -> None:
    net = network(16, 16)
    seen = passage(scene(net, torch.optim.SGD(net.parameters(), 0.01), step))
    assert (len(seen.piled), seen.left) == (piled, pytest.approx(left, rel=0.01))


@pytest.mark.parametrize("most", [0.02, 1e3])
def test_weights_that_the_loop_holds_down(most: float) -> None:
    plainly = stepping()

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        loss = plainly(net, opt, batch)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.clamp_(-most, most)
        return loss

    net = network(48)
    opt = torch.optim.Adam(net.parameters(), 3e-3)
    held = most < 1
    assert (passage(scene(net, opt, step)).pushed > 0.01) == held
    found = told(net, opt, step=step)
    assert [f.fault for f in found][:1] == ["over-regularized"] * held
    assert not held or found[0].probe.change == "unpushed"


def test_parameters_that_the_optimizer_lacks_do_not_pile_up() -> None:
    net = network(16)
    opt = torch.optim.SGD(net.parameters(), 0.1)
    net[-1] = nn.Linear(16, 3)
    assert passage(scene(net, opt, stepping())).piled == ()


def test_only_the_head_is_cleared() -> None:
    net = network(64, 64)
    found = told(net, torch.optim.SGD(net.parameters(), 0.1, 0.9), step=stepping("head"))[0]
    assert (found.fault, found.severity, found.proven) == ("missing-zero-grad", "error", True)


def test_a_cut_graph_is_frozen_and_not_over_regularized() -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.body, self.head = nn.Linear(12, 4), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.tanh(self.body(x)).detach())

    net = Cut()
    found = told(net, torch.optim.Adam(net.parameters(), 3e-3), step=stepping_of(F.cross_entropy))
    assert found[0].fault == "frozen-parameters" and "over-regularized" not in [f.fault for f in found]


def stepping_of(loss: Any) -> Any:
    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        opt.zero_grad()
        value = loss(net(batch[0]), batch[1])
        value.backward()
        opt.step()
        return value

    return step


def test_too_much_momentum_is_told_even_where_the_loss_blows_up() -> None:
    net, (x, _) = network(32), data()
    net[-1] = nn.Linear(32, 1)
    opt = torch.optim.SGD(net.parameters(), 0.05, 0.999)
    found = told(net, opt, F.mse_loss, train=(x, torch.sin(2 * x[:, :1]) + x[:, 1:2] * x[:, 2:3]))
    assert found[0].fault in {"oscillation", "lr-too-high"} and found[0].severity == "error"


def test_a_rate_is_held_against_a_step_that_sets_it() -> None:
    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        for group in opt.param_groups:
            group["lr"] = 0.0
        return stepping_of(F.cross_entropy)(net, opt, batch)

    net = network(16)
    made = CHANGES["constant-rate"](scene(net, torch.optim.SGD(net.parameters(), 0.1), step))
    assert made is not None
    made[0].advance(data(32))
    assert not torch.equal(made[0].net[0].weight, net[0].weight)


def test_optimizers_with_more_than_groups_are_copied_whole() -> None:
    net = network(8)
    opt = torch.optim.LBFGS(net.parameters(), 0.5, max_iter=4)

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Any:
        def again() -> Tensor:
            opt.zero_grad()
            loss = F.cross_entropy(net(batch[0]), batch[1])
            loss.backward()
            return loss

        return opt.step(again)

    before, fork = net[0].weight.clone(), Program(net, opt, F.cross_entropy, step).fork()
    losses = [float(fork.advance(data(64)).detach()) for _ in range(4)]
    assert losses[-1] < 0.9 * losses[0] and torch.equal(net[0].weight, before)


class Drawn(nn.Module):
    """A variational autoencoder: answers by lot, and more than one of them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Linear(12, 8)
        self.decoder = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 12))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, spread = self.encoder(x).chunk(2, 1)
        return self.decoder(mean + torch.randn_like(mean) * (spread / 2).exp()), mean, spread


def test_a_sampler_is_not_asked_for_its_capacity() -> None:
    net, (x, _) = Drawn(), data()

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        opt.zero_grad()
        made, mean, spread = net(batch[0])
        loss = (made - batch[0]).square().sum(1).mean() - 0.5 * (1 + spread - mean**2 - spread.exp()).sum(1).mean()
        loss.backward()
        opt.step()
        return loss

    assert told(net, torch.optim.Adam(net.parameters(), 3e-3), None, train=(x, x), step=step) == []


def test_masks_and_shares_are_measured_as_they_are_meant() -> None:
    chance = torch.Generator().manual_seed(0)
    mask = (torch.rand(20, 1, 6, 6, generator=chance) > 0.7).float()
    grey = torch.rand(200, 9, generator=chance)
    masks, shares = (yardstick_for(torch.zeros_like(t), t, nn.BCEWithLogitsLoss()) for t in (mask, grey))
    assert masks is not None and shares is not None and (masks.kind, shares.kind) == ("marks", "numbers")
    assert float(masks(8 * mask - 4, mask).mean()) < 0.05
    assert float(shares(torch.logit(grey, 1e-6), grey).mean()) < 0.01 and float(shares(grey, grey).mean()) == 0


def test_little_is_not_nothing() -> None:
    """A link that explains a hundredth of the targets is told from none."""
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(1600, 12, generator=chance)
    y = (x[:, :1] + 3.5 * torch.randn(1600, 1, generator=chance)) / 3.6
    links = []
    for targets in (y, y[torch.randperm(1600, generator=chance)]):
        net = nn.Linear(12, 1)
        program = Program(net, torch.optim.SGD(net.parameters(), 0.01), F.mse_loss)
        found = plain(set_scene(program, collect((x, targets), net, 100, 32), None, 60, 60))
        assert found is not None and found.left > 0.8
        links.append(found.linked)
    assert links[0] > 4.5 and links[1] < 3.5


def test_how_far_off_hopeless_examples_are_is_no_noise() -> None:
    chance = torch.Generator().manual_seed(0)
    wild = 1e5 * torch.rand(300, generator=chance).pow(8)
    before = Outcome(losses=[1.0, 1.0], each=wild * (3.0 / wild.mean()))
    effect = compare([before], [Outcome(losses=[1.0, 0.1], each=0.1 * torch.rand(300, generator=chance))])
    assert effect.certain


def test_what_no_probe_could_settle_stays_suspected() -> None:
    """Deep sigmoids under plain SGD: no change of one thing brings them to learn in so few steps."""
    torch.manual_seed(0)
    sizes = [12, *[32] * 6, 3]
    layers = [layer for i, o in itertools.pairwise(sizes) for layer in (nn.Linear(i, o), nn.Sigmoid())]
    net = nn.Sequential(*layers[:-1])
    found = told(net, torch.optim.SGD(net.parameters(), 0.1, 0.9))
    assert found[0].fault in {"vanishing-gradient", "missing-normalization"}


def test_a_slow_network_keeps_to_the_budget() -> None:
    class Slow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(12, 3)

        def forward(self, x: Tensor) -> Tensor:
            time.sleep(0.03)
            return self.body(x)

    net = Slow()
    opt = torch.optim.SGD(net.parameters(), 1e-6)
    diagnosis = nw.diagnose(net, opt, F.cross_entropy, data(), epochs=20, budget_seconds=10)
    assert diagnosis.seconds < 12
