"""Whole episodes, played with the network as it is: what reinforcement learning is validated and tested on.

Letters: N environments, B episodes of a batch.
"""

import math
from collections.abc import Iterator
from typing import Any, Literal

import torch

from netwright.core.errors import ConfigError
from netwright.core.seeds import generator
from netwright.data.batching.source import Batch
from netwright.data.environments.acting import Act, acting, greedy
from netwright.data.environments.stepper import PURPOSES, Seat, episode_seed

__all__ = ["EpisodeSource"]

_PLAY = 0xF1A7
_LONGEST = 100_000  # steps, for environments that have no end of their own


class EpisodeSource:
    """A `BatchSource` that plays the same `episodes` each time it is asked, several side by side.

    Their seeds are never those of training, and validation and test share none (see `episode_seed`).

    Args:
        environments: episodes played side by side, with one call of the network for all; also the batch size.

    Shapes: a batch has inputs (B,) float32, the lengths of the episodes; targets (B,) float32, their undiscounted
    returns;
        index (B,), their numbers.

    Raises:
        ConfigError: the environment is unknown, or (while iterating) no network was bound.
        MissingExtra: Gymnasium is not installed.
    """

    def __init__(
        self,
        environment: str,
        *,
        episodes: int,
        environments: int = 20,
        act: Act = greedy,
        purpose: Literal["validation", "test"] = "validation",
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        if episodes < 1 or environments < 1:
            template = "episodes={episodes} and environments={environments}; expected 1 or more of each"
            raise ConfigError(template, path="data.episodes", episodes=episodes, environments=environments)
        self._episodes, self._act, self._purpose, self._seed = episodes, act, purpose, seed
        self._seats = [Seat(environment) for _ in range(min(environments, episodes))]
        self._device = torch.device(device)
        self._model: Any = None

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an evaluation."""
        return math.ceil(self._episodes / len(self._seats))

    @property
    def examples(self) -> int:
        """Episodes of an evaluation."""
        return self._episodes

    def bind(self, model: Any) -> None:
        """Play with this network."""
        self._model = model

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Play the episodes; the same ones whatever the epoch."""
        if self._model is None:
            raise ConfigError("no network plays these episodes; bind one first: source.bind(network)")
        for first in range(start * len(self._seats), self._episodes, len(self._seats)):
            yield self._play(range(first, min(first + len(self._seats), self._episodes)))

    def logs(self) -> dict[str, float]:
        """Nothing: what these episodes bring is measured."""
        return {}

    def state(self) -> dict[str, Any]:
        """Nothing: the episodes begin anew each time."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""

    def close(self) -> None:
        """Let the environments go."""
        for seat in self._seats:
            seat.close()

    def _play(self, episodes: range) -> Batch:
        seats = self._seats[: len(episodes)]
        for seat, episode in zip(seats, episodes, strict=True):
            seat.reset(episode_seed(self._seed, self._purpose, 0, episode))
        running = list(seats)
        with acting(self._model):
            while running:
                running = self._step(seats, running, episodes[0])
        lengths = torch.tensor([float(seat.length) for seat in seats], device=self._device)
        returns = torch.tensor([seat.total for seat in seats], device=self._device)
        return Batch(lengths, returns, torch.tensor(list(episodes), device=self._device))

    def _step(self, seats: list[Seat], running: list[Seat], first: int) -> list[Seat]:
        """One step of all that still run; those that ended stay in the network's batch, whose shape never changes."""
        step = running[0].length
        dice = generator(self._seed, _PLAY, PURPOSES.index(self._purpose), first, step)
        observations = torch.stack([seat.observation for seat in seats]).to(self._device)
        actions = self._act(self._model, observations, step, dice).tolist()
        still = []
        for seat, action in zip(seats, actions, strict=True):
            if seat in running:
                _, terminated, truncated = seat.step(action)
                if not (terminated or truncated or seat.length >= _LONGEST):
                    still.append(seat)
        return still
