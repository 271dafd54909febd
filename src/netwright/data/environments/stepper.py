"""Stepping environments so that everything can be rebuilt: seeds are a pure function of counters, actions are
remembered.

An environment cannot be saved. What can be is the seed its episode began with and the actions taken since; replaying
those brings it back to the same state. Letters: N environments, O observation.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from netwright.core.errors import CheckpointError
from netwright.core.seeds import mix
from netwright.data.environments.spaces import actions_of, make, observer

__all__ = ["PURPOSES", "EnvironmentStepper", "Moves", "Seat", "episode_seed"]

PURPOSES = ("train", "validation", "test")
_EPISODE = 0xE915

Action = int | list[float]  # the place of one of several, or numbers


def episode_seed(seed: int, purpose: str, environment: int, episode: int) -> int:
    """The seed an episode begins with. Its last two bits tell the purpose: no test episode was ever trained on."""
    return mix(seed, _EPISODE, environment, episode) & ~3 | PURPOSES.index(purpose)


class Seat:
    """One environment, the episode it is in, and what it takes to rebuild that.

    Attributes: `actions` says what it takes, `observation` (O,) what it shows; `total` (undiscounted return so far) and
    `length` (steps) of the running episode.

    Raises:
        ConfigError: the environment is unknown, or its actions are, see `actions_of`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._environment = make(name)
        self.actions = actions_of(name, self._environment.action_space)
        self._tensor = observer(self._environment.observation_space)
        self._seed, self._taken = 0, list[Action]()
        self.observation, self.total, self.length = torch.empty(0), 0.0, 0

    def reset(self, seed: int) -> None:
        """Begin the episode of `seed`."""
        self._seed, self._taken, self.total, self.length = seed, [], 0.0, 0
        raw, _ = self._environment.reset(seed=seed)
        self.observation = self._tensor(raw)

    def step(self, action: Action) -> tuple[float, bool, bool]:
        """Take an action; gives reward, terminated (the task is over) and truncated (only the time is)."""
        raw, reward, terminated, truncated, _ = self._environment.step(self.actions.convert(action))
        self._taken.append(action)
        self.observation = self._tensor(raw)
        self.total, self.length = self.total + float(reward), self.length + 1
        return float(reward), bool(terminated), bool(truncated)

    @property
    def key(self) -> int:
        """A number of this moment of this episode."""
        return mix(self._seed, self.length)

    def close(self) -> None:
        """Let the environment go."""
        self._environment.close()

    def state(self) -> dict[str, Any]:
        """Seed, actions since, and where they led."""
        actions = torch.tensor(self._taken, dtype=torch.float32 if self.actions.continuous else torch.int64)
        return {"seed": self._seed, "actions": actions, "observation": self.observation.clone()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Begin the episode again and take the same actions.

        Raises:
            CheckpointError: that leads somewhere else, so the environment is not deterministic.
        """
        self.reset(int(state["seed"]))
        for action in state["actions"].tolist():
            self.step(action)
        wanted = state["observation"].to(self.observation.device)
        if not torch.equal(self.observation.nan_to_num(), wanted.nan_to_num()):
            template = "environment {name} does not repeat itself from a seed, so no run of it resumes; train again"
            raise CheckpointError(template, name=self.name)


class Moves(NamedTuple):
    """One step of N environments; where an episode ended, `next_observations` are still those the step led to.

    Shapes: observations, next_observations (N, O); actions (N,) int64 or (N, A) numbers; rewards (N,); both
    flags (N,) bool.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    next_observations: Tensor
    terminated: Tensor
    truncated: Tensor


class EnvironmentStepper:
    """N environments that run on and on; a new episode begins wherever one has ended.

    Attributes: `actions` says what each takes; `steps` counts steps of all environments together; `returns`
    holds those of the last 100 episodes.
    """

    def __init__(self, name: str, count: int = 1, seed: int = 0, purpose: str = "train") -> None:
        self._seats = [Seat(name) for _ in range(count)]
        self._seed, self._purpose = seed, purpose
        self.actions = self._seats[0].actions
        self.reset()

    def reset(self) -> None:
        """Go back to the very beginning."""
        self.steps, self.returns = 0, list[float]()
        self._episodes = [0] * len(self._seats)
        for i in range(len(self._seats)):
            self._begin(i)

    @property
    def observations(self) -> Tensor:
        """What the environments show now. Shapes: (N, O)."""
        return torch.stack([seat.observation for seat in self._seats])

    @property
    def keys(self) -> Tensor:
        """A number of its own for every moment of every episode, for what is drawn then; the same whatever stands
        beside it. Shapes: (N,) int64.
        """
        return torch.tensor([seat.key for seat in self._seats])

    def step(self, actions: Tensor, playing: Sequence[bool] | None = None) -> Moves:
        """Take one action in each environment, or in those that are `playing`: the others stay as they are.

        Shapes: actions (N,) int64, or (N, A) numbers.
        """
        before = self.observations
        moving = playing or [True] * len(self._seats)
        results = [
            seat.step(action) if moves else (0.0, False, False)
            for seat, action, moves in zip(self._seats, actions.tolist(), moving, strict=True)
        ]
        after = self.observations
        rewards, terminated, truncated = zip(*results, strict=True)
        for i, (ended, cut) in enumerate(zip(terminated, truncated, strict=True)):
            if ended or cut:
                self.returns = [*self.returns[-99:], self._seats[i].total]
                self._episodes[i] += 1
                self._begin(i)
        self.steps += sum(moving)
        return Moves(before, actions, torch.tensor(rewards), after, torch.tensor(terminated), torch.tensor(truncated))

    def close(self) -> None:
        """Let the environments go."""
        for seat in self._seats:
            seat.close()

    def state(self) -> dict[str, Any]:
        """Counters, and of each environment its seat's state."""
        return {
            "steps": self.steps,
            "returns": torch.tensor(self.returns, dtype=torch.float64),
            "episodes": torch.tensor(self._episodes, dtype=torch.int64),
            "seats": {str(i): seat.state() for i, seat in enumerate(self._seats)},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo of `state`.

        Raises:
            CheckpointError: of another number of environments, or see `Seat.load_state`.
        """
        if len(state["seats"]) != len(self._seats):
            template = "the checkpoint holds {got} environments, and this run has {wanted}; resume with the same config"
            raise CheckpointError(template, got=len(state["seats"]), wanted=len(self._seats))
        self.steps, self.returns = int(state["steps"]), state["returns"].tolist()
        self._episodes = state["episodes"].tolist()
        for i, seat in enumerate(self._seats):
            seat.load_state(state["seats"][str(i)])

    def _begin(self, i: int) -> None:
        self._seats[i].reset(episode_seed(self._seed, self._purpose, i, self._episodes[i]))
