"""What the loss that a step returns is made of, read off and proved; each fault against its healthy twin."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netwright as nw
from netwright.doctor.probe import Program, collect, set_scene
from netwright.doctor.probe.returned import Returned, returned


def data(numbers: bool = False) -> tuple[Tensor, Tensor]:
    """A smooth number for each row, or three ranges of it. Shapes: (640, 12), (640, 1) or (640,)."""
    x = torch.randn(640, 12, generator=torch.Generator().manual_seed(3))
    y = torch.tanh(x[:, :1]) + x[:, 1:2]
    return x, y if numbers else torch.bucketize(y[:, 0], torch.tensor([-0.7, 0.7]))


def network(outputs: int) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, outputs))


def stepping(loss: Any) -> Any:
    """A step whose loss is made of (network, inputs, targets)."""

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        opt.zero_grad()
        value = loss(net, *batch)
        value.backward()
        opt.step()
        return value

    return step


def penalised(strength: float) -> Any:
    """Squared error, and a penalty on what the hidden layer answers; the network is never called as a whole."""

    def loss(net: Any, x: Tensor, y: Tensor) -> Tensor:
        hidden = net[:2](x)
        return F.mse_loss(net[2:](hidden), y) + strength * hidden.square().mean()

    return loss


def moved(x: Tensor, y: Tensor, together: bool) -> tuple[Tensor, Tensor]:
    order = torch.randperm(len(x))
    return x[order], y[order] if together else y


def told(net: Any, x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(net(x), y)


STEPS: dict[str, tuple[Any, Any]] = {  # fault -> the loss of a step that has it, and of its healthy twin
    "broadcast-loss": (
        lambda net, x, y: (net(x).squeeze() - y).square().mean(),
        lambda net, x, y: (net(x).squeeze() - y.squeeze()).square().sum(),
    ),
    "double-softmax": (
        lambda net, x, y: F.cross_entropy(net(x).softmax(1), y),
        lambda net, x, y: F.cross_entropy(net(x).log_softmax(1), y, label_smoothing=0.1),
    ),
    "labels-corrupted": (
        lambda net, x, y: F.cross_entropy(net(moved(x, y, False)[0]), y),
        lambda net, x, y: told(net, *moved(x, y, True)),
    ),
    "over-regularized": (penalised(100.0), penalised(1e-3)),
}  # fmt: skip


@pytest.mark.parametrize("fault", STEPS)
def test_a_step_whose_loss_is_another_one(fault: str) -> None:
    scores = fault in {"double-softmax", "labels-corrupted"}
    for sick, loss in zip((True, False), STEPS[fault], strict=True):
        net = network(3 if scores else 1)
        opt = torch.optim.SGD(net.parameters(), 0.1) if scores else torch.optim.Adam(net.parameters(), 3e-3)
        given = F.cross_entropy if scores else F.mse_loss
        found = nw.diagnose(
            net, opt, given, data(not scores), step=stepping(loss), epochs=8, budget_seconds=60
        ).findings
        errors = [finding for finding in found if finding.severity == "error"]
        assert [finding.fault for finding in errors[:1]] == [fault] * sick, found
        assert not sick or errors[0].probe.change == "plain-loss"


def test_what_a_step_returns_is_read() -> None:
    def read(loss: Any, given: Any = F.cross_entropy) -> tuple[str, bool]:
        net = network(3)
        program = Program(net, torch.optim.SGD(net.parameters(), 0.1), given, stepping(loss))
        seen = returned(set_scene(program, collect(data(), net, 100, 32), None, 60, 60))
        return seen.fault, seen.form

    plainly, nothing = lambda net, x, y: 0.25 * F.cross_entropy(net(x), y), ("", True)
    assert read(plainly) == nothing and read(plainly, None) == nothing
    assert read(lambda net, x, y: F.cross_entropy(net(x), moved(y, y, False)[0])) == ("labels-corrupted", True)
    assert read(lambda net, x, y: F.cross_entropy(net(x).sigmoid(), y)) == ("double-softmax", True)
    for noise, seen in ((0.2, nothing), (3.0, ("over-regularized", False))):
        assert read(lambda net, x, y, n=noise: F.cross_entropy(net(x + n * torch.randn_like(x)), y)) == seen
    assert read(lambda net, x, y: net(x).softmax(1).square().sum(1).mean()) == ("wrong-loss", False)


def test_much_noise_in_the_step_is_suspected_and_restoring_is_not() -> None:
    def noisy(net: Any, x: Tensor, y: Tensor) -> Tensor:
        made, loss = net(x + 3 * torch.randn_like(x)), F.mse_loss if y.shape == x.shape else F.cross_entropy
        return loss(made, y)

    for outputs, given in ((3, F.cross_entropy), (12, F.mse_loss)):
        net, (x, y) = network(outputs), data()
        opt = torch.optim.Adam(net.parameters(), 3e-3)
        found = nw.diagnose(net, opt, given, (x, y if outputs == 3 else x), step=stepping(noisy), epochs=8)
        loud = [(one.fault, one.severity) for one in found.findings if one.severity != "note"]
        assert (("over-regularized", "warning") in loud[:1]) == (outputs == 3), loud


def weighted(net: Any, x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(net(x), y, weight=torch.tensor([1.0, 6.0, 1.0]))


def test_weights_of_classes_are_no_other_loss() -> None:
    net = network(3)
    program = Program(net, torch.optim.SGD(net.parameters(), 0.1), F.cross_entropy, stepping(weighted))
    assert returned(set_scene(program, collect(data(), net, 100, 32), None, 60, 60)) == Returned()


def test_what_holds_answers_by_lot_together_is_no_penalty() -> None:
    class Drawn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.body, self.head = nn.Linear(12, 12), nn.Linear(12, 12)

        def forward(self, x: Tensor) -> Tensor:
            mean = self.body(x)
            return self.head(mean + torch.randn_like(mean))

    net, (x, _) = Drawn(), data()
    step = stepping(lambda net, x, y: F.mse_loss(net(x), y) + net.body(x).square().mean())
    program = Program(net, torch.optim.SGD(net.parameters(), 0.1), F.mse_loss, step)
    assert returned(set_scene(program, collect((x, x), net, 100, 32), None, 60, 60)) == Returned(drawn=True)
