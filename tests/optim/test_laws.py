"""One table of laws over all optimizers."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from netwright.optim import build_optimizer
from netwright.optim.catalog import OPTIMIZERS
from netwright.optim.lamb import Lamb

RATES = {"sgd": 0.05, "adam": 0.05, "adamw": 0.05, "rmsprop": 0.02, "adagrad": 0.5, "nadam": 0.05, "lamb": 0.02}
TORCH = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "adagrad": "Adagrad", "nadam": "NAdam"}
every = pytest.mark.parametrize("name", sorted(OPTIMIZERS))


def problem(seed: int = 0) -> tuple[nn.Linear, Callable[[], Tensor]]:
    """A least-squares problem with a solution."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(32, 5, generator=draw)
    y = x @ torch.randn(5, 3, generator=draw) + 0.5
    net = nn.Linear(5, 3)
    with torch.no_grad():
        net.weight.copy_(torch.randn(3, 5, generator=draw))
        net.bias.copy_(torch.randn(3, generator=draw))
    return net, lambda: (net(x) - y).square().mean()


def run(net: nn.Module, loss: Callable[[], Tensor], optimizer: torch.optim.Optimizer, steps: int) -> float:
    value = loss()
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
    return value.item()


@every
def test_it_decreases_a_quadratic(name: str) -> None:
    net, loss = problem()
    before = loss().item()
    after = run(net, loss, build_optimizer({"name": name, "lr": RATES[name]}, net), 200)
    assert after < 0.1 * before


@every
def test_a_loaded_state_takes_the_same_next_step(name: str) -> None:
    net, loss = problem()
    optimizer = build_optimizer({"name": name, "lr": RATES[name], "weight_decay": 0.01}, net)
    run(net, loss, optimizer, 3)
    twin, twin_loss = problem()
    twin.load_state_dict(net.state_dict())
    other = build_optimizer({"name": name, "lr": 1.0, "weight_decay": 0.5}, twin)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    run(net, loss, optimizer, 2)
    run(twin, twin_loss, other, 2)
    assert torch.equal(net.weight, twin.weight) and torch.equal(net.bias, twin.bias)


@every
def test_a_zero_rate_changes_nothing(name: str) -> None:
    net, loss = problem()
    optimizer = build_optimizer({"name": name, "weight_decay": 0.1}, net)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = net.weight.clone()
    run(net, loss, optimizer, 3)
    assert torch.equal(net.weight, before)


@every
def test_decay_reaches_weights_only(name: str) -> None:
    net, _ = problem()
    optimizer = build_optimizer({"name": name, "lr": RATES[name], "weight_decay": 0.1}, net)
    weight, bias = net.weight.clone(), net.bias.clone()
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.equal(net.bias, bias)
    assert ((net.weight - weight) * weight < 0).all()  # towards zero; adaptive ones may step past it


@every
def test_a_parameter_without_a_gradient_stays(name: str) -> None:
    net, loss = problem()
    optimizer = build_optimizer({"name": name, "weight_decay": 0.1}, net)
    loss().backward()
    net.bias.grad, bias = None, net.bias.clone()
    optimizer.step()
    assert torch.equal(net.bias, bias)


@pytest.mark.parametrize("name", sorted(TORCH))
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_parity_with_torch(name: str, decay: float) -> None:
    net, loss = problem()
    twin, twin_loss = problem()
    ours = build_optimizer({"name": name, "lr": RATES[name], "weight_decay": decay, "no_decay": []}, net)
    extra = {"momentum": 0.9} if name == "sgd" else {}
    theirs = getattr(torch.optim, TORCH[name])(twin.parameters(), lr=RATES[name], weight_decay=decay, **extra)
    run(net, loss, ours, 20)
    run(twin, twin_loss, theirs, 20)
    torch.testing.assert_close(net.weight, twin.weight, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("spec", "kind", "extra"),
    [
        ({"name": "sgd", "nesterov": True}, "SGD", {"momentum": 0.9, "nesterov": True}),
        ({"name": "sgd", "dampening": 0.5}, "SGD", {"momentum": 0.9, "dampening": 0.5}),
        ({"name": "adam", "amsgrad": True, "betas": [0.8, 0.9]}, "Adam", {"amsgrad": True, "betas": (0.8, 0.9)}),
        ({"name": "rmsprop", "momentum": 0.5, "centered": True}, "RMSprop", {"momentum": 0.5, "centered": True}),
    ],
)
def test_settings_reach_torch(spec: dict, kind: str, extra: dict) -> None:
    net, loss = problem()
    twin, twin_loss = problem()
    run(net, loss, build_optimizer({**spec, "lr": 0.01}, net), 10)
    run(twin, twin_loss, getattr(torch.optim, kind)(twin.parameters(), lr=0.01, **extra), 10)
    torch.testing.assert_close(net.weight, twin.weight, rtol=1e-4, atol=1e-5)


def test_lamb_takes_the_step_of_the_paper() -> None:
    """Two steps of algorithm 2, by hand, in plain arithmetic."""
    start, lr, decay, eps = torch.tensor([3.0, 4.0]), 0.1, 0.01, 1e-6
    grads = [torch.tensor([1.0, -2.0]), torch.tensor([0.5, 1.0])]
    x, m, v = start.double(), torch.zeros(2).double(), torch.zeros(2).double()
    for t, g in enumerate(grads, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        r = (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + eps)
        u = r + decay * x
        x = x - lr * x.norm() / u.norm() * u
    weight = nn.Parameter(start.clone())
    optimizer = Lamb([weight], lr=lr, weight_decay=decay, eps=eps)
    for g in grads:
        weight.grad = g
        optimizer.step()
    torch.testing.assert_close(weight.detach(), x.float(), rtol=1e-5, atol=1e-6)


def test_lamb_moves_a_zero_tensor_and_leaves_biases_to_adam() -> None:
    weight = nn.Parameter(torch.zeros(2, 2))
    weight.grad = torch.ones(2, 2)
    Lamb([weight], lr=0.1, weight_decay=0.0).step()
    torch.testing.assert_close(weight.detach(), torch.full((2, 2), -0.1), rtol=1e-4, atol=1e-6)
    net, loss = problem()
    twin, twin_loss = problem()
    run(net, loss, build_optimizer({"name": "lamb", "lr": 0.01}, net), 1)
    run(twin, twin_loss, torch.optim.Adam(twin.parameters(), lr=0.01, eps=1e-6), 1)
    torch.testing.assert_close(net.bias, twin.bias, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "adagrad"])
def test_fused_where_torch_has_it(name: str) -> None:
    assert build_optimizer(name, nn.Linear(2, 2)).defaults["fused"] is True


def test_meta_parameters_get_an_optimizer_too() -> None:
    assert build_optimizer("adamw", nn.Linear(2, 2, device="meta")).param_groups
