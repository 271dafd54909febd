"""Environments as batch sources: seeds, epsilon, memory, truncation, and a resume that gives the same bits."""

import json
import sys

import pytest
import torch
from torch import nn

from netwright.core.errors import CheckpointError, ConfigError, MissingExtra
from netwright.core.schemas import arguments
from netwright.data.batching import BatchSource
from netwright.data.environments import (
    EnvironmentStepper,
    EpisodeSource,
    ReplayOptions,
    ReplaySource,
    environment_schema,
    greedy,
)
from netwright.data.environments.replay import ReplayBuffer
from netwright.data.environments.stepper import PURPOSES, Moves, Seat, episode_seed
from netwright.data.schema import Schema

pytest.importorskip("gymnasium")
import gymnasium as gym

CARTPOLE = "CartPole-v1"
SMALL = ReplayOptions(
    buffer_size=300, batch_size=16, learning_starts=50, collect=40, updates=5, environments=2, epsilon_fraction=0.5,
    steps_per_epoch=12,
)  # fmt: skip


def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Dropout(0.5), nn.Linear(16, 2))


def source(model=None, epochs=5, **changes):
    made = ReplaySource(CARTPOLE, epochs=epochs, options=ReplayOptions(**{**vars(SMALL), **changes}), seed=4)
    made.bind(model)
    return made


def learn(model, batch):
    """A stand-in for a training step: what the network does next depends on every batch before."""
    observation, action, reward, _, _ = batch.inputs
    loss = (model(observation).gather(1, action[:, None])[:, 0] - reward).square().mean()
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.sub_(0.1 * parameter.grad)


def run(made, model, steps, first=0):
    given = []
    for step in range(first, first + steps):
        if step == first or step % made.steps_per_epoch == 0:
            read = made.epoch(*divmod(step, made.steps_per_epoch))
        batch = next(read)
        given.append(batch.inputs)
        torch.manual_seed(step)  # for the dropout of the network
        learn(model, batch)
    return given


def same(a, b):
    assert len(a) == len(b) > 0
    assert all(torch.equal(p, q) for x, y in zip(a, b, strict=True) for p, q in zip(x, y, strict=True))


def storable(state):
    """Only dicts of tensors and JSON scalars, as checkpoints want it; comes back as it would from disk."""
    if isinstance(state, torch.Tensor):
        return state.clone()
    if isinstance(state, dict):
        assert all(isinstance(key, str) for key in state)
        return {key: storable(value) for key, value in state.items()}
    assert isinstance(state, int | float | str | bool) or state is None
    return json.loads(json.dumps(state))


class Corridor(gym.Env):
    """Walk right from 0: at 3 the task is over, after 5 steps the time is; action 0 stays. Actions count from 10."""

    def __init__(self, noise=False):
        self.observation_space, self.action_space = gym.spaces.Discrete(4), gym.spaces.Discrete(2, start=10)
        self.noise = noise

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at, self.time = 0, 0
        return self.at, {}

    def step(self, action):
        assert action in (10, 11)
        self.at, self.time = self.at + int(action) - 10, self.time + 1
        return (self.at if not self.noise else int(torch.randint(4, ()))), 1.0, self.at == 3, self.time == 5, {}


@pytest.fixture(autouse=True, scope="module")
def corridor():
    gym.register("Corridor-v0", entry_point=Corridor, disable_env_checker=True, order_enforce=False)
    gym.register("Fog-v0", entry_point=lambda: Corridor(noise=True), disable_env_checker=True, order_enforce=False)
    yield
    del gym.registry["Corridor-v0"], gym.registry["Fog-v0"]


def test_schema():
    schema = environment_schema(CARTPOLE)
    assert (schema.kind, schema.input_shape, schema.input_dtype, schema.target.kind) == (
        "environment", (4,), "float32", "action",
    )  # fmt: skip
    sizes = schema.sizes()
    assert sizes["in_features"] == 4 and sizes["num_actions"] == 2 and schema.default_task() == "q-learning"
    assert environment_schema("Corridor-v0").sizes()["in_features"] == 4  # classes become one-hot


def test_schema_of_continuous_actions():
    target = environment_schema("Pendulum-v1").target
    assert (target.kind, target.names, target.low, target.high) == ("control", ("action[0]",), (-2.0,), (2.0,))
    schema = environment_schema("Pendulum-v1")
    assert schema.default_task() == "actor-critic"
    assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema
    assert schema.sizes() == {"in_features": 3, "actions": "continuous", "num_actions": 1}
    with pytest.raises(ConfigError, match=r"Pendulum-v1 takes actions of Box.*fixed set of them; use task: actor-"):
        ReplaySource("Pendulum-v1", epochs=1)


@pytest.mark.parametrize(("name", "near"), [("Cartpole-v1", "CartPole"), ("CartPole-v7", "CartPole"), ("zz", "lists")])
def test_unknown_environments(name, near):
    with pytest.raises(ConfigError, match=f"unknown environment '{name}'.*{near}"):
        environment_schema(name)


def test_missing_libraries(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(MissingExtra, match=r"netwright\[rl\]"):
        environment_schema(CARTPOLE)


def test_seeds_of_training_validation_and_test_never_meet():
    for marker, purpose in enumerate(PURPOSES):
        seeds = {episode_seed(s, purpose, n, e) for s in range(3) for n in range(4) for e in range(50)}
        assert len(seeds) == 600 and {seed % 4 for seed in seeds} == {marker}


def test_a_seat_is_rebuilt_from_seed_and_actions():
    seat, again = Seat(CARTPOLE), Seat(CARTPOLE)
    seat.reset(7)
    for action in (0, 1, 1, 0):
        seat.step(action)
    again.load_state(storable(seat.state()))
    assert torch.equal(seat.observation, again.observation) and (again.total, again.length) == (4.0, 4)
    assert seat.step(1) == again.step(1) and torch.equal(seat.observation, again.observation)


def test_an_environment_that_does_not_repeat_itself_is_found_out():
    seat = Seat("Fog-v0")
    seat.reset(0)
    for _ in range(5):
        seat.step(0)
    seat._taken *= 20
    with pytest.raises(CheckpointError, match="does not repeat itself"):
        for _ in range(20):
            seat.load_state(seat.state() | {"observation": torch.full((4,), 0.5)})


def test_stepper_begins_anew_after_an_end_and_shows_where_it_led():
    stepper = EnvironmentStepper("Corridor-v0", count=2)
    moves = [stepper.step(torch.tensor([1, 0])) for _ in range(5)]
    at = torch.stack([move.next_observations.argmax(1) for move in moves])
    assert at.T.tolist() == [[1, 2, 3, 1, 2], [0, 0, 0, 0, 0]]
    assert torch.stack([m.terminated for m in moves]).T.int().tolist() == [[0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]
    assert torch.stack([m.truncated for m in moves]).T.int().tolist() == [[0, 0, 0, 0, 0], [0, 0, 0, 0, 1]]
    assert moves[3].observations.argmax(1).tolist() == [0, 0] and moves[0].rewards.dtype == torch.float32
    assert stepper.returns == [3.0, 5.0] and stepper.steps == 10


def test_memory_keeps_the_newest_and_calls_only_a_true_end_terminated():
    buffer = ReplayBuffer(5, torch.zeros(1), torch.device("cpu"))
    x = torch.arange(8.0)

    def move(i, terminated, truncated):
        at, ends = x[i].view(1, 1), (torch.tensor([terminated]), torch.tensor([truncated]))
        return Moves(at, torch.tensor([i]), at[0], at + 1, *ends)

    buffer.add([move(i, i == 6, i == 5) for i in range(7)])
    buffer.add([move(7, False, True)])
    observation, action, reward, after, terminated = buffer.read(torch.arange(5))
    assert len(buffer) == 5 and sorted(action.tolist()) == [3, 4, 5, 6, 7]
    assert torch.equal(observation[:, 0], reward) and torch.equal(after[:, 0], reward + 1)
    assert action[terminated].tolist() == [6]
    again = ReplayBuffer(5, torch.zeros(1), torch.device("cpu"))
    again.load_state(storable(buffer.state()))
    for one in (buffer, again):
        one.add([move(0, False, False)])
    same([buffer.read(torch.arange(5))], [again.read(torch.arange(5))])
    with pytest.raises(CheckpointError, match="same config"):
        ReplayBuffer(3, torch.zeros(1), torch.device("cpu")).load_state(buffer.state())


def test_replay_batches():
    made = source(network())
    assert isinstance(made, BatchSource) and (made.steps_per_epoch, made.examples) == (12, 192)
    given = list(made.epoch(0))
    assert len(given) == 12
    for batch in given:
        observation, action, reward, after, terminated = batch.inputs
        assert observation.shape == after.shape == (16, 4) and action.dtype == torch.int64 and reward.eq(1).all()
        assert terminated.dtype == torch.bool and set(action.tolist()) <= {0, 1}
        assert batch.targets is None and batch.index is None
        assert observation[:, 2].abs().max() < 0.2095 and (after[:, 2].abs()[terminated] > 0.2095).all()
    assert not torch.equal(given[0].inputs[0], given[1].inputs[0])  # drawn anew, from the same memory
    assert made.logs()["environment_steps"] == 50 + 2 * 40


@pytest.mark.parametrize("stop", [1, 5, 12, 17, 24, 31])
def test_a_resumed_source_gives_the_same_bits(stop):
    model = network()
    whole = run(source(model), model, 40)
    model = network()
    first = source(model)
    before = run(first, model, stop)
    state, weights = storable(first.state()), {k: v.clone() for k, v in model.state_dict().items()}
    model = network()
    model.load_state_dict(weights)
    second = source(model)
    second.load_state(state)
    same(whole, before + run(second, model, 40 - stop, first=stop))


def test_a_state_is_a_snapshot():
    model = network()
    made = source(model)
    run(made, model, 3)
    state = made.state()
    kept = storable(state)
    run(made, model, 20, first=3)
    assert torch.equal(kept["buffer"]["observation"], state["buffer"]["observation"])


def test_epoch_0_begins_anew_and_jumps_are_refused():
    made = source(network())
    first = [batch.inputs for batch in made.epoch(0)]
    same(first, [batch.inputs for batch in made.epoch(0)])
    with pytest.raises(CheckpointError, match="cannot jump to batch 24 from 12"):
        next(made.epoch(2))


def test_acting_leaves_the_network_and_the_global_generator_alone():
    model = network()
    model[1].eval()
    modes, before = [m.training for m in model.modules()], torch.get_rng_state()
    seen = []

    def act(net, observation_NO, step, generator):
        seen.append((net.training, torch.is_grad_enabled(), tuple(observation_NO.shape), step))
        return greedy(net, observation_NO, step, generator)

    made = ReplaySource(CARTPOLE, epochs=1, options=SMALL, act=act)
    made.bind(model)
    for _ in made.epoch(0):
        assert [m.training for m in model.modules()] == modes
    assert torch.equal(before, torch.get_rng_state())
    assert seen and all(entry[:3] == (False, False, (2, 4)) for entry in seen)
    assert all(50 <= entry[3] < 130 for entry in seen)


def test_epsilon_falls_from_start_to_end():
    made = source(network(), epochs=10, epsilon_start=0.9, epsilon_end=0.1, learning_starts=0)
    total = made._options.total_steps(10)
    assert total == 40 + 40 * (24 - 1)
    assert made.epsilon(0) == 0.9 and made.epsilon(total // 4) == pytest.approx(0.5, abs=0.01)
    assert made.epsilon(total // 2) == pytest.approx(0.1) == made.epsilon(total)
    assert source(network()).epsilon(49) == 1.0  # before learning starts


@pytest.mark.parametrize("epsilon", [0.0, 0.5])
def test_the_share_of_random_actions_is_epsilon(epsilon):
    def always_one(net, observation_NO, step, generator):
        return torch.ones(len(observation_NO), dtype=torch.int64)

    options = ReplayOptions(2000, 16, 0, 2000, 1, 4, epsilon, epsilon, 0.1, 1)
    made = ReplaySource(CARTPOLE, epochs=1, act=always_one, options=options)
    made.bind(network())
    next(made.epoch(0))
    actions = made.state()["buffer"]["action"]
    assert actions.eq(0).float().mean() == pytest.approx(epsilon / 2, abs=0.05 if epsilon else 0)


def test_replay_options_are_a_config():
    assert vars(ReplayOptions(**arguments(ReplayOptions, {"collect": 8}, "data")))["collect"] == 8
    with pytest.raises(ConfigError) as caught:
        arguments(ReplayOptions, {"epsilon_end": 2, "colect": 1, "updates": 0}, "data")
    assert len(caught.value.problems) == 3
    with pytest.raises(ConfigError, match="batch_size=64 is larger than buffer_size=10"):
        ReplayOptions(buffer_size=10)
    with pytest.raises(ConfigError, match="learning_starts=1000"):
        ReplayOptions(buffer_size=100)


def test_episodes_are_the_same_each_time_and_others_for_the_test():
    model = network()
    played = {}
    for purpose in ("validation", "test"):
        made = EpisodeSource(CARTPOLE, episodes=7, environments=3, purpose=purpose)
        made.bind(model)
        first, again = list(made.epoch(0)), list(made.epoch(5))
        assert made.steps_per_epoch == 3 and [len(batch.targets) for batch in first] == [3, 3, 1]
        for a, b in zip(first, again, strict=True):
            assert torch.equal(a.targets, b.targets) and torch.equal(a.index, b.index)
            assert a.targets.dtype == torch.float32 and torch.equal(a.targets, a.inputs)  # CartPole: a point a step
        same(list(made.epoch(0, 2)), [first[2]])
        played[purpose] = torch.cat([batch.targets for batch in first])
    assert not torch.equal(played["validation"], played["test"])
    assert model.training


def test_episodes_count_whole_returns():
    class Right(nn.Module):
        def forward(self, observation):
            return torch.tensor([0.0, 1.0]).expand(len(observation), 2)

    made = EpisodeSource("Corridor-v0", episodes=2)
    made.bind(Right())
    (batch,) = made.epoch(0)
    assert batch.targets.tolist() == [3.0, 3.0] and batch.index.tolist() == [0, 1]


def test_episodes_need_a_network_and_a_number():
    with pytest.raises(ConfigError, match="bind"):
        next(EpisodeSource(CARTPOLE, episodes=1).epoch(0))
    with pytest.raises(ConfigError, match="expected 1 or more"):
        EpisodeSource(CARTPOLE, episodes=0)
