"""Averages of weights, and gradients in bounds."""

import pytest
import torch
from torch import nn

from netwright.core.errors import CheckpointError
from netwright.optim import add_l1, clip_norm, clip_value, gradient_norm
from netwright.optim.averaging import Average, ema, swa


def walk(average: Average, net: nn.Linear, steps: int, start: int = 1) -> None:
    for step in range(start, start + steps):
        with torch.no_grad():
            net.weight.fill_(float(step))
        average.update()


def test_swa_is_the_mean_from_its_start() -> None:
    net = nn.Linear(2, 2)
    average = swa(start=0.5, every=2).bind(net, 10)
    walk(average, net, 10)
    torch.testing.assert_close(average.tensors()["weight"], torch.full((2, 2), (6.0 + 8 + 10) / 3))


def test_ema_follows_its_recurrence() -> None:
    net = nn.Linear(2, 2)
    average = ema(decay=0.5).bind(net, 10)
    walk(average, net, 20)
    expected = 1.0
    for seen in range(1, 20):
        decay = min(0.5, (1 + seen) / (10 + seen))
        expected = decay * expected + (1 - decay) * (seen + 1)
    torch.testing.assert_close(average.tensors()["weight"], torch.full((2, 2), expected))


def test_swap_lends_the_average_and_gives_the_weights_back_whatever_happens() -> None:
    net = nn.Linear(2, 2)
    average = swa(start=1e-9).bind(net, 4)
    with average.swap():  # nothing averaged yet
        pass
    walk(average, net, 3)
    with pytest.raises(ZeroDivisionError), average.swap():
        assert torch.equal(net.weight, torch.full((2, 2), 2.0))
        with pytest.raises(RuntimeError):
            average.update()
        raise ZeroDivisionError
    assert torch.equal(net.weight, torch.full((2, 2), 3.0))


def test_a_bf16_network_is_averaged_in_float32() -> None:
    net = nn.Linear(2, 2).bfloat16()
    average = ema().bind(net, 4)
    walk(average, net, 3)
    assert average.tensors()["weight"].dtype == torch.float32
    with average.swap():
        assert net.weight.dtype == torch.bfloat16


def test_a_resumed_average_goes_on() -> None:
    net, twin = nn.Linear(2, 2), nn.Linear(2, 2)
    twin.load_state_dict(net.state_dict())
    average, other = ema().bind(net, 9), ema().bind(twin, 9)
    walk(average, net, 3)
    other.load_state(average.state())
    walk(average, net, 2, 4)
    walk(other, twin, 2, 4)
    assert torch.equal(average.tensors()["weight"], other.tensors()["weight"])
    with pytest.raises(CheckpointError, match="do not fit this network: weight"):
        ema().bind(nn.Linear(3, 2), 9).load_state(average.state())


def test_running_statistics_are_averaged_with_the_weights() -> None:
    """Those of the last network alone would not fit: SWA of a network with batch norm would be worse than none."""
    net = nn.BatchNorm1d(3)
    average = swa(start=1e-9).bind(net, 9)
    for mean in (1.0, 4.0):
        net.running_mean.fill_(mean)
        net.num_batches_tracked.add_(1)
        average.update()
    net.double().float()  # a module that moves gets new buffers
    net.running_mean.fill_(7.0)
    average.update()
    with average.swap():
        assert torch.equal(net.running_mean, torch.full((3,), 4.0))
    assert torch.equal(net.running_mean, torch.full((3,), 7.0)) and "num_batches_tracked" not in average.tensors()


def test_what_is_never_saved_is_not_averaged() -> None:
    net = nn.Linear(2, 2)
    net.register_buffer("table", torch.ones(3), persistent=False)
    average = ema().bind(net, 9)
    average.update()
    net.load_state_dict({**net.state_dict(), **average.tensors()})
    assert "table" not in average.tensors()


def graded(scale: float) -> list[nn.Parameter]:
    parameters = [nn.Parameter(torch.randn(3, 2)), nn.Parameter(torch.randn(4)), nn.Parameter(torch.randn(1))]
    for parameter in parameters[:2]:
        parameter.grad = scale * torch.randn_like(parameter)
    return parameters


@pytest.mark.parametrize("scale", [10.0, 0.01])
def test_clip_norm_is_torch_s(scale: float) -> None:
    ours = graded(scale)
    theirs = [nn.Parameter(parameter.detach().clone()) for parameter in ours]
    for mine, other in zip(ours, theirs, strict=True):
        other.grad = None if mine.grad is None else mine.grad.clone()
    expected = nn.utils.clip_grad_norm_(theirs, 1.0)
    torch.testing.assert_close(clip_norm(ours, 1.0), expected)
    for mine, other in zip(ours[:2], theirs[:2], strict=True):
        torch.testing.assert_close(mine.grad, other.grad)
    assert gradient_norm(ours) <= 1.0 + 1e-5


def test_clip_value_bounds_every_entry_and_no_gradients_are_no_trouble() -> None:
    parameters = graded(10.0)
    before = gradient_norm(parameters)
    torch.testing.assert_close(clip_value(parameters, 0.5), before)
    assert max(parameter.grad.abs().max() for parameter in parameters[:2]) <= 0.5
    assert clip_norm([parameters[2]], 1.0) == 0 and clip_value([parameters[2]], 1.0) == 0
    assert not torch.isfinite(clip_norm([_bad()], 1.0))


def _bad() -> nn.Parameter:
    parameter = nn.Parameter(torch.ones(2))
    parameter.grad = torch.tensor([1.0, float("nan")])
    return parameter


def test_l1_adds_its_gradient_to_weights_only() -> None:
    weight, bias = nn.Parameter(torch.tensor([[2.0, -3.0]])), nn.Parameter(torch.tensor([2.0]))
    weight.grad, bias.grad = torch.zeros(1, 2), torch.zeros(1)
    add_l1([weight, bias], 0.1)
    torch.testing.assert_close(weight.grad, torch.tensor([[0.1, -0.1]]))
    assert bias.grad == 0


@pytest.mark.parametrize(("start", "said"), [(0.5, False), (1.0, True), (500.0, True)])
def test_an_average_that_never_begins_is_said(start: float, said: bool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "netwright"):
        swa(start=start).bind(nn.Linear(2, 2), 100)
    assert ("nothing is averaged" in caplog.text) == said
