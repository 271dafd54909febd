"""REINFORCE, A2C and PPO: their losses against their formulas, what they refuse, and that they learn."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from netwright import build
from netwright.blocks.distributions import Categorical
from netwright.core.errors import ConfigError
from netwright.core.schemas import build as checked
from netwright.data.batching import Batch
from netwright.data.environments import RolloutOptions, RolloutSettings, RolloutSource
from netwright.data.schema import Schema, Target
from netwright.tasks import TASKS, Phase, StepOutput
from netwright.tasks.actor_critic import ActorCritic
from netwright.tasks.policy_gradient import PolicyGradient

gym = pytest.importorskip("gymnasium")

CHOICE = Schema("environment", (2,), "float32", Target("action", ("left", "right")))
NUMBERS = Schema("environment", (2,), "float32", Target("control", names=("push",), low=(-1.0,), high=(1.0,)))


class Fixed(nn.Module):
    """The same logits and value whatever is seen."""

    def __init__(self, logits: tuple[float, float] = (0.0, 0.0), value: float | None = 0.0) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))
        self.value = None if value is None else nn.Parameter(torch.tensor(value))

    def forward(self, observation: Tensor) -> Any:
        policy = Categorical(self.logits.expand(len(observation), 2))
        return policy if self.value is None else (policy, self.value.expand(len(observation)))


def batch(actions: list[int], before: list[float], advantages: list[float], returns: list[float]) -> Batch:
    parts = (torch.tensor(values) for values in (before, advantages, returns))
    value = torch.tensor(returns) - torch.tensor(advantages)
    return Batch((torch.zeros(len(actions), 2), torch.tensor(actions), *parts, value), None, None)


def step(task: Any, net: nn.Module, given: Batch) -> StepOutput:
    out: StepOutput = task.training_step(net, given, Phase())
    return out


# PPO


@pytest.mark.parametrize(
    ("ratio", "advantage", "wanted", "moves"),
    [
        (1.1, 2.0, -2.2, True), (1.5, 2.0, -2.4, False), (0.5, 2.0, -1.0, True),  # gains are clipped above only
        (1.1, -2.0, 2.2, True), (1.5, -2.0, 3.0, True), (0.5, -2.0, 1.6, False),  # losses below only
    ],
)  # fmt: skip
def test_ppo_is_clipped_where_its_paper_says(ratio: float, advantage: float, wanted: float, moves: bool) -> None:
    net = Fixed()
    task = ActorCritic(CHOICE, normalize=False, value_coef=0.0, clip=0.2)
    out = step(task, net, batch([0], [math.log(0.5 / ratio)], [advantage], [0.0]))
    out.loss.backward()
    assert out.loss.item() == pytest.approx(wanted, rel=1e-5)
    assert bool(net.logits.grad.abs().sum() > 0) is moves
    assert out.logs["clip_fraction"].item() == float(abs(ratio - 1) > 0.2)
    assert out.logs["approx_kl"].item() == pytest.approx(ratio - 1 - math.log(ratio), abs=1e-6)


def test_the_parts_of_the_loss_and_what_is_logged() -> None:
    given = batch([0, 1], [math.log(0.5)] * 2, [1.0, 3.0], [4.0, 6.0])  # the values were 3 and 3
    task = ActorCritic(CHOICE, normalize=False, value_coef=0.25, entropy_coef=0.1)
    out = step(task, Fixed(value=5.0), given)
    assert out.loss.item() == pytest.approx(-2.0 + 0.25 * 1.0 - 0.1 * math.log(2), rel=1e-5)
    told = {name: figure.item() for name, figure in out.logs.items()}
    assert told == pytest.approx({
        "policy_loss": -2.0, "value_loss": 1.0, "entropy": math.log(2), "approx_kl": 0.0, "clip_fraction": 0.0,
        "explained_variance": 0.0,
    }, abs=1e-6)  # fmt: skip


def test_advantages_are_normalised_in_the_batch() -> None:
    given = batch([0, 1], [math.log(0.5)] * 2, [10.0, 30.0], [0.0, 0.0])
    net = Fixed()
    step(ActorCritic(CHOICE, value_coef=0.0), net, given).loss.backward()
    # d(-mean(ratio * A)) / d logit_0, with A = -1 and 1, and d ratio_0 / d logit_0 = 0.5 and -0.5 for the other
    assert net.logits.grad.tolist() == pytest.approx([0.5, -0.5], rel=1e-4)


def test_a2c_is_the_gradient_of_the_log_probability() -> None:
    given = batch([0, 1], [-9.0, -9.0], [1.0, 3.0], [0.0, 0.0])  # old probabilities do not matter
    net = Fixed((1.0, 0.0))
    out = step(ActorCritic(CHOICE, kind="a2c", normalize=False, value_coef=0.0), net, given)
    chances = torch.tensor([1.0, 0.0]).log_softmax(0)
    assert out.loss.item() == pytest.approx(-(chances[0] + 3 * chances[1]).item() / 2, rel=1e-5)
    assert "approx_kl" not in out.logs


# REINFORCE


@pytest.mark.parametrize(
    ("baseline", "value", "weights"),
    [
        (None, 5.0, [1.0, 3.0]), ("value", 5.0, [1.0, 3.0]), ("mean", 5.0, [-2.0, 2.0]), (None, None, [-2.0, 2.0]),
        ("none", None, [4.0, 8.0]),
    ],
)  # fmt: skip
def test_what_exceeds_the_baseline(baseline: Any, value: float | None, weights: list[float]) -> None:
    given = batch([0, 1], [0.0, 0.0], [1.0, 3.0], [4.0, 8.0])
    task = PolicyGradient(CHOICE, baseline=baseline, normalize=False, value_coef=0.5, entropy_coef=0.1)
    out = step(task, Fixed(value=value), given)
    wanted = -math.log(0.5) * sum(weights) / 2 - 0.1 * math.log(2) + (0.0 if value is None else 0.5 * (1 + 9) / 2)
    assert out.loss.item() == pytest.approx(wanted, rel=1e-5)
    assert ("value_loss" in out.logs) == (value is not None)


def test_scaling_leaves_the_sign() -> None:
    given = batch([0, 1], [0.0, 0.0], [10.0, 30.0], [0.0, 0.0])
    out = step(PolicyGradient(CHOICE, value_coef=0.0), Fixed(), given)
    assert out.loss.item() == pytest.approx(-math.log(0.5) * (1 + 3) / 2, rel=1e-5)  # the deviation is 10


# What they ask of a rollout, of networks and of configs


def test_what_is_asked_of_a_rollout() -> None:
    assert PolicyGradient.rollouts({"gamma": 0.5}) == RolloutSettings(0.5, 1.0, whole=True)
    assert ActorCritic.rollouts({}) == RolloutSettings(passes=10)
    assert ActorCritic.rollouts({"passes": 3, "gae_lambda": 0.5}) == RolloutSettings(lam=0.5, passes=3)
    assert ActorCritic.rollouts({"kind": "a2c", "passes": 3}) == RolloutSettings()
    assert TASKS.load("q-learning").rollouts({}) is None


@pytest.mark.parametrize(
    ("task", "net", "words"),
    [
        (ActorCritic(CHOICE), build("policy", in_features=2), "value of a state"),
        (ActorCritic(CHOICE), build("dqn", in_features=2), "a fixed set of actions, and this one gives Tensor"),
        (ActorCritic(NUMBERS), build("actor_critic", in_features=2), "numbers, and this one gives Categorical"),
        (PolicyGradient(NUMBERS, baseline="value"), build("policy", in_features=2, num_actions=1, actions="continuous"),
         "value of a state"),
        (PolicyGradient(CHOICE), build("policy", in_features=2, num_actions=3), "num_actions=3 is not the 2"),
    ],
)  # fmt: skip
def test_networks_that_do_not_fit_are_one_clear_line(task: Any, net: nn.Module, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        task.predict(net, torch.zeros(1, 2))


def test_config_is_the_signature() -> None:
    assert isinstance(checked(TASKS.load("actor-critic"), {"kind": "a2c"}, "task", {"schema": CHOICE}), ActorCritic)
    with pytest.raises(ConfigError) as caught:
        checked(ActorCritic, {"clip": 0, "gamma": 2, "entropy_coef": -1}, "task", {"schema": CHOICE})
    assert len(caught.value.problems) == 3


def test_answers_in_words() -> None:
    task, net = ActorCritic(CHOICE), Fixed((0.0, math.log(3)), value=7.0)
    (said,) = task.answers(task.predict(net, torch.zeros(1, 2)))
    assert said["action"] == "right" and said["value"] == 7
    assert said["probabilities"] == pytest.approx({"left": 0.25, "right": 0.75})
    numbers = PolicyGradient(NUMBERS)
    outputs = torch.tensor([[0.5], [3.0]])
    assert numbers.answers(outputs) == [{"action": [0.5]}, {"action": [1.0]}]  # the nearest that is allowed


# Learning


class Bandit(gym.Env):
    """A step an episode: what is seen is a sign, and the action should be like it."""

    def __init__(self, numbers: bool) -> None:
        self.observation_space = gym.spaces.Box(-1, 1, (2,))
        self.numbers = numbers
        self.action_space = gym.spaces.Box(-9, 9, (1,)) if numbers else gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.sign = 2 * int(self.np_random.integers(2)) - 1
        return [self.sign, 1], {}

    def step(self, action):
        gain = -((float(action[0]) - 0.5 * self.sign) ** 2) if self.numbers else float(2 * action - 1 == self.sign)
        return [0, 0], gain, True, False, {}


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize(("name", "options"), [
    ("policy-gradient", {}), ("policy-gradient", {"baseline": "mean"}), ("actor-critic", {"kind": "a2c"}),
    ("actor-critic", {"passes": 4}),
])  # fmt: skip
def test_a_bandit_is_learnt(name: str, options: dict[str, Any], numbers: bool) -> None:
    gym.register("Bandit-v0", entry_point=lambda: Bandit(numbers), disable_env_checker=True, order_enforce=False)
    schema = NUMBERS if numbers else CHOICE
    task = TASKS.load(name)(schema, **options)
    torch.manual_seed(0)
    kind = {"num_actions": 1, "actions": "continuous"} if numbers else {}
    net = build("policy" if options.get("baseline") else "actor_critic", in_features=2, hidden=[16], **kind)
    sizes = RolloutOptions(environments=32, rollout_steps=2, batch_size=32, rollouts_per_epoch=60)
    source = RolloutSource("Bandit-v0", settings=task.rollouts(options), options=sizes)
    source.bind(net)
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for given in source.epoch(0):
        optimizer.zero_grad()
        task.training_step(net, given, Phase()).loss.backward()
        optimizer.step()
    source.close()
    del gym.registry["Bandit-v0"]
    right = [said["action"] for said in task.answers(task.predict(net, torch.tensor([[-1.0, 1.0], [1.0, 1.0]])))]
    if numbers:
        assert right[0][0] == pytest.approx(-0.5, abs=0.2) and right[1][0] == pytest.approx(0.5, abs=0.2)
    else:
        assert right == ["left", "right"]
