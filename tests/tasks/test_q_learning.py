import copy

import pytest
import torch
from task_helpers import Source, measured
from torch import nn

from netwright.core.errors import ConfigError
from netwright.core.schemas import build
from netwright.data.batching import Batch
from netwright.data.schema import Schema, Target
from netwright.tasks import TASKS, Phase
from netwright.tasks.q_learning import QLearning

SCHEMA = Schema("environment", (2,), "float32", Target("action", ("left", "right")))


class Table(nn.Module):
    """Values of two actions in states that are one-hot."""

    def __init__(self, values):
        super().__init__()
        self.values = nn.Parameter(torch.tensor(values))

    def forward(self, observation):
        return observation @ self.values


def moves(terminated=False):
    state, following = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    return Batch((state, torch.tensor([1]), torch.tensor([0.5]), following, torch.tensor([terminated])), None, None)


def squared(task_options, net, batch, target=None):
    task = QLearning(SCHEMA, nn.MSELoss(), gamma=0.5, **task_options)
    task.load_state({"target": target})
    return task.training_step(net, batch, Phase()).loss.item()


NET = [[0.0, 1.0], [3.0, 2.0]]  # in the next state action 0 looks best
TARGET = {"values": torch.tensor([[0.0, 0.0], [4.0, 8.0]])}  # the target network thinks action 1 is better


def test_the_target_is_reward_and_discounted_future():
    assert squared({"double": True}, Table(NET), moves(), TARGET) == pytest.approx((1 - (0.5 + 0.5 * 4)) ** 2)
    assert squared({"double": False}, Table(NET), moves(), TARGET) == pytest.approx((1 - (0.5 + 0.5 * 8)) ** 2)
    assert squared({}, Table(NET), moves(terminated=True), TARGET) == pytest.approx((1 - 0.5) ** 2)


def test_no_gradient_through_the_future():
    net = Table(NET)
    QLearning(SCHEMA).training_step(net, moves(), Phase()).loss.backward()
    assert net.values.grad[0, 1] != 0 and net.values.grad[1].abs().sum() == 0


def test_the_target_network_is_copied_when_it_is_due():
    net, task = Table(NET), QLearning(SCHEMA, target_update=3)
    task.after_update(net, 3)  # nothing yet
    task.training_step(net, moves(), Phase())
    with torch.no_grad():
        net.values += 1
    for updates, follows in ((1, False), (2, False), (3, True)):
        task.after_update(net, updates)
        assert torch.equal(task.state()["target"]["values"], net.values) is follows


def test_the_target_network_may_follow_softly():
    net, task = Table(NET), QLearning(SCHEMA, tau=0.25)
    task.training_step(net, moves(), Phase())
    old = net.values.detach().clone()
    with torch.no_grad():
        net.values += 1
    task.after_update(net, 1)
    assert torch.allclose(task.state()["target"]["values"], old + 0.25)


def test_state_brings_the_target_network_back():
    net, task = Table(NET), QLearning(SCHEMA)
    assert task.state() == {"target": None}
    task.training_step(net, moves(), Phase())
    saved = copy.deepcopy(task.state())
    with torch.no_grad():
        net.values += 5
    other = QLearning(SCHEMA)
    other.load_state(saved)
    assert torch.equal(other.state()["target"]["values"], saved["target"]["values"])  # before there is a network, too
    assert other.training_step(net, moves(), Phase()).loss == task.training_step(net, moves(), Phase()).loss


def test_returns_are_what_is_measured(tmp_path):
    source = Source(
        Batch(torch.tensor([3.0, 4.0]), torch.tensor([10.0, 20.0]), torch.arange(2)),
        Batch(torch.tensor([5.0]), torch.tensor([60.0]), torch.arange(1)),
    )
    task = QLearning(SCHEMA)
    figures = measured(task, Table(NET), source)
    assert figures["return_mean"] == pytest.approx(30) and figures["loss"] == pytest.approx(-30)
    assert figures["return_std"] == pytest.approx(21.602469, rel=1e-5) and figures["episode_length"] == pytest.approx(4)
    (shown,) = task.exhibits(Table(NET), source, tmp_path)
    assert shown["kind"] == "histogram" and shown["values"] == [10, 20, 60]


def test_it_acts_greedily_and_answers_in_words():
    task, net = QLearning(SCHEMA), Table(NET)
    chosen = task.act(net, torch.eye(2), 0, torch.Generator())
    assert chosen.tolist() == [1, 0]
    assert task.answers(net(torch.eye(2)))[1] == {"action": "left", "values": {"left": 3.0, "right": 2.0}}


def test_config_is_the_signature():
    assert isinstance(build(TASKS.load("q-learning"), {"tau": 0.01}, "task", {"schema": SCHEMA}), QLearning)
    with pytest.raises(ConfigError, match=r"task\.tau"):
        build(QLearning, {"tau": 0.0}, "task", {"schema": SCHEMA})
