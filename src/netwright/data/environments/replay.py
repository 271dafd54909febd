"""Off-policy reinforcement learning as a source of batches: step the environments, remember, and draw from memory.

Deep Q-learning's experience replay (Mnih et al., "Human-level control through deep reinforcement learning", 2015).
Defaults suit CartPole. The rhythm is that of stable-baselines3: a burst of `collect` steps, then `updates` batches,
and so on.
Letters: N environments, O observation, B batch, S slots of the memory.
"""

import math
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from netwright.core.errors import CheckpointError, ConfigError
from netwright.core.messages import say
from netwright.core.schemas import Count, Fraction, Size
from netwright.core.seeds import generator
from netwright.data.batching.source import Batch
from netwright.data.environments.acting import Act, acting, greedy
from netwright.data.environments.source import ActingSource
from netwright.data.environments.stepper import EnvironmentStepper, Moves

__all__ = ["ReplayBuffer", "ReplayOptions", "ReplaySource"]

_ACT, _SAMPLE = 0xAC7, 0x5A3


@dataclass(frozen=True)
class ReplayOptions:
    """How experience is gathered and used.

    Args:
        buffer_size: moves that are remembered; the oldest are forgotten first.
        learning_starts: steps, with random actions, before the first batch.
        collect: environment steps (of all environments together) between two bursts of batches.
        updates: batches of a burst.
        environments: stepped side by side, one call of the network for all.
        epsilon_start, epsilon_end, epsilon_fraction: the chance of a random action falls linearly from start to end
            over that fraction of all steps of the run.
        steps_per_epoch: batches that count as an epoch.
    """

    buffer_size: Size = 100_000
    batch_size: Size = 64
    learning_starts: Count = 1_000
    collect: Size = 256
    updates: Size = 128
    environments: Size = 1
    epsilon_start: Fraction = 1.0
    epsilon_end: Fraction = 0.04
    epsilon_fraction: Fraction = 0.16
    steps_per_epoch: Size = 1_280

    def __post_init__(self) -> None:
        if self.batch_size > self.buffer_size:
            template = "batch_size={size} is larger than buffer_size={buffer}; remember more moves"
            raise ConfigError(template, path="data.batch_size", size=self.batch_size, buffer=self.buffer_size)
        if self.learning_starts > self.buffer_size:
            template = "learning_starts={starts} is larger than buffer_size={buffer}; start sooner"
            starts, buffer = self.learning_starts, self.buffer_size
            raise ConfigError(template, path="data.learning_starts", starts=starts, buffer=buffer)

    def total_steps(self, epochs: int) -> int:
        """Environment steps of a whole run."""
        bursts = math.ceil(epochs * self.steps_per_epoch / self.updates)
        return self.warmup + self.collect * (bursts - 1)

    @property
    def warmup(self) -> int:
        """Environment steps before the first batch."""
        return max(self.learning_starts, self.collect)


class ReplayBuffer:
    """A ring of S slots, one move each: observation, action, reward, next observation, terminated."""

    def __init__(self, slots: int, observation: Tensor, device: torch.device) -> None:
        shape, dtype = observation.shape, observation.dtype
        self._parts = {
            "observation": torch.zeros(slots, *shape, dtype=dtype, device=device),
            "action": torch.zeros(slots, dtype=torch.int64, device=device),
            "reward": torch.zeros(slots, device=device),
            "next_observation": torch.zeros(slots, *shape, dtype=dtype, device=device),
            "terminated": torch.zeros(slots, dtype=torch.bool, device=device),
        }
        self._slots, self._device = slots, device
        self.added = 0

    def __len__(self) -> int:
        return min(self.added, self._slots)

    def add(self, moves: list[Moves]) -> None:
        """Remember a burst of moves, in one copy to the device.

        Truncation is left out on purpose: an episode that was only cut short still has a future to bootstrap from.
        """
        names = ("observations", "actions", "rewards", "next_observations", "terminated")
        parts = [torch.stack([getattr(move, name) for move in moves]).flatten(0, 1) for name in names]
        count = len(parts[1])
        place = torch.arange(self.added, self.added + count)[-self._slots :] % self._slots
        for part, new in zip(self._parts.values(), parts, strict=True):
            part.index_copy_(0, place.to(self._device), new[-self._slots :].to(self._device))
        self.added += count

    def read(self, slots: Tensor) -> tuple[Tensor, ...]:
        """The moves in these slots. Shapes: slots (B,) -> (B, O), (B,) int64, (B,), (B, O), (B,) bool."""
        return tuple(part.index_select(0, slots) for part in self._parts.values())

    def state(self) -> dict[str, Any]:
        """The slots in use."""
        return {"added": self.added, **{name: part[: len(self)].clone() for name, part in self._parts.items()}}

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo of `state`.

        Raises:
            CheckpointError: of a buffer of another size.
        """
        used = min(int(state["added"]), self._slots)
        if len(state["action"]) != used or state["observation"].shape[1:] != self._parts["observation"].shape[1:]:
            template = "the checkpoint's replay memory holds {got} moves, and {wanted} fit; resume with the same config"
            raise CheckpointError(template, got=len(state["action"]), wanted=self._slots)
        self.added = int(state["added"])
        for name, part in self._parts.items():
            part[:used] = state[name].to(self._device)


@final
class ReplaySource(ActingSource):
    """Moves drawn from the memory of what the network did; without one it acts at random.

    Args:
        epochs: of the whole run; with the options it decides how epsilon falls.
        act: the best known action; the source adds the random ones.

    Shapes: a batch's inputs are (observation (B, O), action (B,) int64, reward (B,), next observation (B, O),
    terminated (B,)
        bool); targets and index are None.

    Raises:
        ConfigError: the environment is unknown or has continuous actions.
        MissingExtra: Gymnasium is not installed.
        CheckpointError: (while iterating) asked for batches of another place than where it stands.
    """

    def __init__(
        self,
        environment: str,
        *,
        epochs: int,
        act: Act = greedy,
        options: ReplayOptions | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self._options = options or ReplayOptions()
        self._act, self._seed, self._device = act, seed, torch.device(device)
        self._total = self._options.total_steps(epochs)
        super().__init__(EnvironmentStepper(environment, self._options.environments, seed))
        if self._stepper.actions.continuous:
            template = "environment {name} takes actions of {space}, and q-learning needs a fixed set of them; {do}"
            do = say("use task: actor-critic, or an environment such as CartPole-v1")
            space = self._stepper.actions.space
            raise ConfigError(template, path="data.environment", name=environment, space=space, do=do)
        self._observation = self._stepper.observations[0]
        self._forget()

    @property
    def steps_per_epoch(self) -> int:
        """Batches that count as an epoch."""
        return self._options.steps_per_epoch

    @property
    def examples(self) -> int:
        """Moves that an epoch gives, some of them more than once."""
        return self._options.steps_per_epoch * self._options.batch_size

    def logs(self) -> dict[str, float]:
        """Also epsilon."""
        told = super().logs()
        return {**told, "epsilon": self.epsilon(int(told["environment_steps"]))}

    def epsilon(self, step: int) -> float:
        """The chance of a random action after `step` environment steps."""
        options = self._options
        if step < options.learning_starts:
            return 1.0
        done = min(1.0, step / max(options.epsilon_fraction * self._total, 1.0))
        return options.epsilon_start + (options.epsilon_end - options.epsilon_start) * done

    def state(self) -> dict[str, Any]:
        """Also the memory."""
        return {**super().state(), "buffer": self._buffer.state()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo of `state`; see `EnvironmentStepper.load_state` and `ReplayBuffer.load_state` for errors."""
        self._buffer.load_state(state["buffer"])
        super().load_state(state)

    def _forget(self) -> None:
        self._buffer = ReplayBuffer(self._options.buffer_size, self._observation, self._device)

    def _next(self) -> Batch:
        options = self._options
        if self._given % options.updates == 0:
            self._collect(options.collect if self._given else options.warmup)
        dice = generator(self._seed, _SAMPLE, self._given)
        slots = torch.randint(len(self._buffer), (options.batch_size,), generator=dice)
        return Batch(self._buffer.read(slots.to(self._device)), None, None)

    def _collect(self, steps: int) -> None:
        with acting(self._model):
            rounds = math.ceil(steps / self._options.environments)
            self._buffer.add([self._stepper.step(self._actions()) for _ in range(rounds)])

    def _actions(self) -> Tensor:
        count, step = self._options.environments, self._stepper.steps
        dice = generator(self._seed, _ACT, step)
        explore = torch.rand(count, generator=dice) < (1.0 if self._model is None else self.epsilon(step))
        chosen = torch.randint(self._stepper.actions.count, (count,), generator=dice)
        if bool(explore.all()):
            return chosen
        best = self._act(self._model, self._stepper.observations.to(self._device), step, dice)
        return torch.where(explore, chosen, best.to("cpu", torch.int64))
