"""Rollouts: advantages against their definition, truncation, order, episodes that stand alone, and resume."""

import json
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from netwright import build
from netwright.core.errors import CheckpointError, ConfigError, DataError
from netwright.data.batching import BatchSource
from netwright.data.environments import RolloutOptions, RolloutSettings, RolloutSource, advantages
from netwright.data.environments import rollout as rollout_module
from netwright.data.environments.stepper import EnvironmentStepper

gym = pytest.importorskip("gymnasium")

CARTPOLE = "CartPole-v1"


class Walk(gym.Env):
    """Numbers move a point; the reward is where it is. The task is over beyond 3, the time after 6 steps."""

    def __init__(self, ends: bool = True) -> None:
        self.observation_space = gym.spaces.Box(-100, 100, (1,))
        self.action_space = gym.spaces.Box(-1, 1, (2,))
        self.ends = ends

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at, self.time = self.np_random.uniform(0, 1), 0
        return [self.at], {}

    def step(self, action):
        assert action.shape == (2,) and abs(action).max() <= 1
        self.at, self.time = self.at + float(action.sum()), self.time + 1
        return [self.at], self.at, self.ends and self.at > 3, self.ends and self.time == 6, {}


@pytest.fixture(autouse=True, scope="module")
def walks() -> Iterator[None]:
    gym.register("Walk-v0", entry_point=Walk, disable_env_checker=True, order_enforce=False)
    gym.register("Endless-v0", entry_point=lambda: Walk(ends=False), disable_env_checker=True, order_enforce=False)
    yield
    del gym.registry["Walk-v0"], gym.registry["Endless-v0"]


def network(environment: str = CARTPOLE, name: str = "actor_critic") -> nn.Module:
    torch.manual_seed(1)
    if environment == CARTPOLE:
        return build(name, hidden=[8])
    return build(name, hidden=[8], in_features=1, num_actions=2, actions="continuous")


def source(model: nn.Module | None, environment: str = CARTPOLE, **changes: object) -> RolloutSource:
    wanted = {name: changes.pop(name) for name in ("gamma", "lam", "whole", "passes") if name in changes}
    options = RolloutOptions(
        **{"environments": 3, "rollout_steps": 7, "batch_size": 6, "rollouts_per_epoch": 2} | changes
    )
    made = RolloutSource(environment, settings=RolloutSettings(**wanted), options=options, seed=4)
    made.bind(model)
    return made


def learn(model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """A stand-in for a training step: what the network does next depends on every batch before."""
    policy, value = model(inputs[0])
    (value.square().mean() - policy.log_prob(inputs[1]).mean()).backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight.sub_(0.05 * weight.grad)
            weight.grad = None


def run(made: RolloutSource, model: nn.Module, steps: int, first: int = 0) -> list[tuple[Tensor, ...]]:
    given = []
    for step in range(first, first + steps):
        if step == first or step % made.steps_per_epoch == 0:
            read = made.epoch(*divmod(step, made.steps_per_epoch))
        given.append(next(read).inputs)
        learn(model, given[-1])
    return given


def same(a: list[tuple[Tensor, ...]], b: list[tuple[Tensor, ...]]) -> None:
    assert len(a) == len(b) > 0
    assert all(torch.equal(p, q) for x, y in zip(a, b, strict=True) for p, q in zip(x, y, strict=True))


# Advantages


def drawn_rollout(steps: int = 9, count: int = 4) -> tuple[Tensor, ...]:
    dice = torch.Generator().manual_seed(3)
    reward, value, following = (torch.randn(steps, count, generator=dice) for _ in range(3))
    return reward, value, following, torch.rand(steps, count, generator=dice) < 0.3


@pytest.mark.parametrize(("gamma", "lam"), [(0.9, 0.8), (1.0, 1.0), (0.5, 0.0), (0.0, 0.7)])
def test_advantages_are_the_sum_of_their_definition(gamma: float, lam: float) -> None:
    reward, value, following, ended = drawn_rollout()
    wanted = torch.zeros_like(reward)
    for n in range(reward.shape[1]):
        for t in range(len(reward)):
            for later in range(t, len(reward)):
                delta = reward[later, n] + gamma * following[later, n] - value[later, n]
                wanted[t, n] += (gamma * lam) ** (later - t) * delta
                if ended[later, n]:
                    break
    torch.testing.assert_close(advantages(reward, value, following, ended, gamma, lam), wanted)


def test_without_values_it_is_the_reward_to_go() -> None:
    reward, zero = torch.tensor([[1.0], [2.0], [4.0], [8.0]]), torch.zeros(4, 1)
    ended = torch.tensor([[False], [False], [True], [False]])
    made = advantages(reward, zero, zero, ended, 0.5, 1.0)
    assert made[:, 0].tolist() == [1 + 0.5 * 2 + 0.25 * 4, 2 + 0.5 * 4, 4, 8]


# Rollouts


class Watcher(nn.Module):
    """Goes up by 1 a step, never mind the chance; the value of a place is 10 times the place."""

    def forward(self, observation):
        mean = torch.tensor([1.0, 0.0]).expand(len(observation), 2)
        spread = torch.distributions.Normal(mean, torch.full_like(mean, 1e-7))
        return torch.distributions.Independent(spread, 1), 10 * observation[:, 0]


def test_a_cut_episode_is_worth_what_the_network_says_and_a_finished_one_nothing() -> None:
    made = source(Watcher(), "Walk-v0", environments=1, rollout_steps=5, lam=0.0, gamma=0.5)
    observation, _, _, advantage, returns, value = next(made.epoch(0)).inputs
    after = observation[:, 0] + 1
    over = after > 3  # beyond 3 the task is over
    assert over.any() and not over.all()
    wanted = after + 0.5 * 10 * after * ~over
    torch.testing.assert_close(returns, wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(value, 10 * observation[:, 0])
    torch.testing.assert_close(advantage, wanted - value, atol=1e-4, rtol=1e-4)


class Still(Watcher):
    def forward(self, observation):
        policy, value = super().forward(observation)
        policy.base_dist.loc = torch.zeros_like(policy.base_dist.loc)
        return policy, value


def test_at_the_end_of_the_time_the_value_of_the_last_state_stands_in_and_not_that_of_the_next_episode() -> None:
    made = source(Still(), "Walk-v0", environments=1, rollout_steps=8, lam=0.0, gamma=0.5)
    observation, _, _, _, returns, _ = next(made.epoch(0)).inputs
    at = observation[:, 0]
    assert abs(at[5] - at[6]) > 0.01  # a new episode began after 6 steps
    torch.testing.assert_close(returns, at + 0.5 * 10 * at, atol=1e-4, rtol=1e-4)


def test_whole_episodes_one_of_each_environment() -> None:
    made = source(network(), whole=True, lam=1.0, gamma=1.0)
    batches = [batch.inputs for batch in made.epoch(0)]
    assert len(batches) == 2 and made.examples == 6
    for inputs in batches:  # CartPole pays 1 a step: the returns of the first steps are the lengths
        rewards_to_go = inputs[4].round()
        lengths = [int(rewards_to_go[place]) for place in range(3)]
        assert len(inputs[0]) == sum(lengths)
    assert len(made._stepper.returns) == 6 and made.logs()["environment_steps"] == sum(len(b[0]) for b in batches)


def test_an_episode_does_not_depend_on_those_beside_it() -> None:
    def first_episodes(environments: int) -> list[list[Tensor]]:
        made = source(network("Walk-v0"), "Walk-v0", environments=environments, rollout_steps=12)
        observation, action = next(made.epoch(0)).inputs[:2]
        shaped = [part.view(12, environments, -1) for part in (observation, action)]
        return [[part[:, place] for part in shaped] for place in range(environments)]

    alone, among = first_episodes(1)[0], first_episodes(3)[0]
    for one, other in zip(alone, among, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_passes_give_every_move_once_each_in_another_order() -> None:
    made = source(network(), passes=3)
    assert isinstance(made, BatchSource) and made.steps_per_epoch == 2 * 3 * 4 and made.examples == 2 * 3 * 21
    given = [next(read).inputs for read in [made.epoch(0)] for _ in range(12)]
    assert [len(inputs[0]) for inputs in given[:4]] == [6, 5, 5, 5]
    passes = [torch.cat([inputs[0] for inputs in given[place : place + 4]]) for place in (0, 4, 8)]
    assert not torch.equal(passes[0], passes[1])
    for later in passes[1:]:
        assert sorted(map(tuple, later.tolist())) == sorted(map(tuple, passes[0].tolist()))
    assert made._stepper.steps == 21  # one rollout for all of them


def test_what_was_drawn_is_as_likely_as_the_network_says() -> None:
    for environment in (CARTPOLE, "Walk-v0"):
        model = network(environment)
        observation, action, log_prob, _, _, value = next(source(model, environment, rollout_steps=400).epoch(0)).inputs
        policy, judged = model(observation)
        torch.testing.assert_close(policy.log_prob(action), log_prob)
        torch.testing.assert_close(judged, value)
        if environment == CARTPOLE:
            assert action.float().mean() == pytest.approx(policy.probs[:, 1].mean().item(), abs=0.05)
        else:
            noise = ((action - policy.mean) / policy.base_dist.scale).detach()
            assert noise.mean().abs() < 0.08 and noise.std().item() == pytest.approx(1, abs=0.08)
            assert action.abs().max() > 1  # kept as drawn; the environment took the nearest that it allows


@pytest.mark.parametrize("settings", [{"passes": 3}, {}, {"whole": True}])
@pytest.mark.parametrize("stop", [1, 5, 12, 17])
@pytest.mark.parametrize("environment", [CARTPOLE, "Walk-v0"])
def test_a_resumed_source_gives_the_same_bits(environment: str, stop: int, settings: dict[str, object]) -> None:
    def storable(state: object) -> object:
        if isinstance(state, dict):
            return {key: storable(value) for key, value in state.items()}
        return state.clone() if isinstance(state, Tensor) else json.loads(json.dumps(state))

    model = network(environment)
    whole = run(source(model, environment, **settings), model, 20)
    model = network(environment)
    first = source(model, environment, **settings)
    before = run(first, model, stop)
    state, weights = storable(first.state()), {k: v.clone() for k, v in model.state_dict().items()}
    model = network(environment)
    model.load_state_dict(weights)
    second = source(model, environment, **settings)
    second.load_state(state)
    same(whole, before + run(second, model, 20 - stop, first=stop))


def test_between_rollouts_nothing_of_them_is_kept() -> None:
    made = source(network(), passes=2)
    read = made.epoch(0)
    for place in range(8):
        next(read)
        assert len(made.state()["rollout"]) == (6 if place < 7 else 0)


def test_epoch_0_begins_anew_and_jumps_are_refused() -> None:
    made = source(network())
    first = [batch.inputs for batch in made.epoch(0)]
    same(first, [batch.inputs for batch in made.epoch(0)])
    with pytest.raises(CheckpointError, match="cannot jump to batch 4 from 2"):
        next(made.epoch(2))


def test_the_network_is_left_as_it_was() -> None:
    model, before = network(), torch.get_rng_state()
    model.head.eval()
    modes = [module.training for module in model.modules()]
    for _ in source(model).epoch(0):
        assert [module.training for module in model.modules()] == modes
    assert torch.equal(before, torch.get_rng_state()) and all(weight.grad is None for weight in model.parameters())


def test_environments_that_do_not_play_stay_where_they_are() -> None:
    stepper = EnvironmentStepper("Walk-v0", 2)
    before = stepper.observations
    moves = stepper.step(torch.ones(2, 2), [True, False])
    assert torch.equal(stepper.observations[1], before[1]) and not torch.equal(stepper.observations[0], before[0])
    assert stepper.steps == 1 and moves.rewards[1] == 0


def test_what_cannot_be_played_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="bind one first"):
        next(source(None).epoch(0))
    with pytest.raises(ConfigError, match="gives a Tensor; expected a distribution over actions"):
        next(source(build("dqn")).epoch(0))
    with pytest.raises(ConfigError, match="unknown environment"):
        RolloutSource("CartPol-v1")
    monkeypatch.setattr(rollout_module, "_LONGEST", 20)
    with pytest.raises(DataError, match="no end of an episode of Endless-v0 in 20 steps; use task: actor-critic"):
        next(source(network("Endless-v0"), "Endless-v0", whole=True).epoch(0))
