"""Networks that act: distributions as torch has them, first weights, pictures, and `torch.export`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import distributions, nn

import netwright as nw
from netwright.blocks.distributions import Categorical, DiagonalGaussian, drawn
from netwright.core.errors import ConfigError
from netwright.data.environments import environment_schema
from netwright.data.environments.stepper import Seat

gym = pytest.importorskip("gymnasium")

LOGITS = torch.tensor([[0.0, 1.0, -2.0], [3.0, 0.0, 0.5]])
MEAN, LOG_STD = torch.tensor([[1.0, -2.0], [0.0, 0.5]]), torch.tensor([[0.5, -1.0], [0.5, -1.0]])


def test_distributions_are_torch_s() -> None:
    ours, theirs = Categorical(LOGITS), distributions.Categorical(logits=LOGITS)
    action = torch.tensor([2, 0])
    for name in ("mean", "mode", "probs"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), equal_nan=True)
    torch.testing.assert_close(ours.log_prob(action), theirs.log_prob(action))
    torch.testing.assert_close(ours.entropy(), theirs.entropy())
    gaussian = DiagonalGaussian(MEAN, LOG_STD)
    reference = distributions.MultivariateNormal(MEAN, torch.diag_embed((2 * LOG_STD).exp()))
    point = torch.tensor([[0.3, -1.0], [2.0, 0.0]])
    torch.testing.assert_close(gaussian.log_prob(point), reference.log_prob(point))
    torch.testing.assert_close(gaussian.entropy(), reference.entropy())
    assert gaussian.sample().shape == (2, 2) and torch.equal(gaussian.mode, MEAN)


def test_what_is_drawn_follows_the_distribution_and_the_key_alone() -> None:
    keys = torch.arange(20_000)
    shares = drawn(Categorical(LOGITS[:1].expand(20_000, 3)), keys).bincount(minlength=3) / 20_000
    torch.testing.assert_close(shares, LOGITS[0].softmax(0), atol=0.015, rtol=0)
    numbers = drawn(DiagonalGaussian(MEAN[:1].expand(20_000, 2), LOG_STD[:1].expand(20_000, 2)), keys)
    torch.testing.assert_close(numbers.mean(0), MEAN[0], atol=0.05, rtol=0)
    torch.testing.assert_close(numbers.std(0), LOG_STD[0].exp(), atol=0.04, rtol=0)
    assert torch.equal(
        drawn(Categorical(LOGITS), keys[5:7]), drawn(Categorical(LOGITS.flip(0)), keys[5:7].flip(0)).flip(0)
    )
    with pytest.raises(ConfigError, match="gives a Uniform"):
        drawn(distributions.Uniform(0.0, 1.0), keys)


def test_exported_networks_give_distributions() -> None:
    net = nw.build("actor_critic", actions="continuous").eval()
    x = torch.randn(3, 4)
    program = torch.export.export(net, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=9)},)).module()
    (policy, value), (wanted, judged) = program(x[:2]), net(x[:2])
    assert isinstance(policy, DiagonalGaussian)
    torch.testing.assert_close(policy.log_prob(policy.mean), wanted.log_prob(wanted.mean))
    torch.testing.assert_close(value, judged)


@pytest.mark.parametrize(("name", "gain"), [("policy", None), ("actor_critic", 1.0)])
def test_first_weights_are_orthogonal_with_the_gains_of_the_papers(name: str, gain: float | None) -> None:
    net = nw.build(name, image_shape=(1, 36, 36), hidden=[32])
    for layer in (*net.convolutions, *net.trunk):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            rows = layer.weight.flatten(1)
            gram = rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows
            torch.testing.assert_close(gram, 2 * torch.eye(len(gram)), atol=1e-4, rtol=0)
            assert not layer.bias.any()
    assert net.head.scores.weight.norm(dim=1).tolist() == pytest.approx([0.01, 0.01], rel=1e-4)
    assert gain is None or net.value.weight.norm().item() == pytest.approx(gain, rel=1e-4)
    assert net(torch.randn(1, 1, 36, 36)) is not None


def test_trunks_are_shared_or_separate() -> None:
    for trunks, moves in (("separate", False), ("shared", True)):
        net = nw.build("actor_critic", trunks=trunks)
        net(torch.randn(5, 4))[1].sum().backward()
        assert (net.trunk[0].weight.grad is not None) is moves


def test_bytes_are_scaled_and_numbers_are_not() -> None:
    net = nw.build("dqn", image_shape=(1, 5, 5), hidden=[8]).eval()
    pixels = torch.randint(0, 256, (2, 1, 5, 5), dtype=torch.uint8)
    assert torch.equal(net(pixels), net(pixels / 255)) and not torch.allclose(net(pixels), net(pixels.float()))
    assert net.half()(pixels).dtype == torch.float16


class Light(gym.Env):
    """A picture with one bright column; the action should name it. An episode is four pictures."""

    def __init__(self) -> None:
        self.observation_space = gym.spaces.Box(0, 255, (6, 5, 3), np.uint8)
        self.action_space = gym.spaces.Discrete(2)

    def _look(self) -> Any:
        picture = np.zeros((6, 5, 3), np.uint8)
        self.side = int(self.np_random.integers(2))
        picture[:, 4 * self.side, 1] = 255
        return picture

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self._look(), {}

    def step(self, action):
        reward, self.time = float(action == self.side), self.time + 1
        return self._look(), reward, False, self.time == 4, {}


@pytest.fixture
def light() -> Iterator[None]:
    gym.register("Light-v0", entry_point=Light, disable_env_checker=True, order_enforce=False)
    yield
    del gym.registry["Light-v0"]


def test_pictures_come_with_their_channels_first(light: None) -> None:
    schema = environment_schema("Light-v0")
    assert (schema.input_shape, schema.input_dtype) == ((3, 6, 5), "uint8")
    assert schema.sizes()["image_shape"] == (3, 6, 5)
    seat = Seat("Light-v0")
    seat.reset(0)
    assert seat.observation.shape == (3, 6, 5) and seat.observation.dtype == torch.uint8
    assert seat.observation[1].sum() == 6 * 255 and not seat.observation[0].any()


@pytest.mark.parametrize(("task", "data"), [
    ("actor-critic", {"rollout_steps": 16, "rollouts_per_epoch": 10}),
    ("q-learning", {"steps_per_epoch": 200, "learning_starts": 100, "collect": 32, "updates": 32}),
])  # fmt: skip
def test_pictures_are_learnt_from_and_predicted_on(
    light: None, task: str, data: dict[str, Any], tmp_path: Path
) -> None:
    config = {
        "data": {"environment": "Light-v0", **data}, "task": task, "optimizer": {"name": "adam", "lr": 3e-3},
        "train": {"epochs": 1, "batch_size": 32, "precision": "float32"},
    }  # fmt: skip
    done = nw.train(config, out=tmp_path / "run", quiet=True)
    assert done.metrics["test"]["return_mean"] > 3.5  # of 4; by chance 2
    picture = np.zeros((3, 6, 5), np.uint8)
    picture[1, :, 4] = 255
    assert nw.load(tmp_path / "run")(picture)[0]["action"] == "1"
