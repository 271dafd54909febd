"""On-policy reinforcement learning as a source of batches: play with the network as it is, learn from that, forget it.

N environments side by side give either some steps each (Mnih et al., 2016; Schulman et al., 2017) or an episode each,
from its beginning to its end (Williams, 1992). Chance is a pure function of the seed that an episode began with and of
its step, so that an episode does not depend on those beside it.
Letters: T steps, N environments, O observation, M moves of a rollout, B batch.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from netwright.blocks.distributions import drawn
from netwright.core.errors import ConfigError, DataError
from netwright.core.schemas import Fraction, Size
from netwright.core.seeds import generator
from netwright.data.batching.source import Batch
from netwright.data.environments.acting import acting, consult
from netwright.data.environments.advantages import advantages
from netwright.data.environments.source import ActingSource
from netwright.data.environments.stepper import EnvironmentStepper

__all__ = ["RolloutOptions", "RolloutSettings", "RolloutSource"]

_ORDER = 0x0DE7
_LONGEST = 100_000  # steps of an episode that is to be played to its end


@dataclass(frozen=True)
class RolloutSettings:
    """What a task wants of a rollout.

    `gamma` and `lam`: see `advantages`. `whole`: an episode of each environment, and not so many steps. `passes`: how
    often each move is given, in batches that are drawn anew for every pass; with 0 the whole rollout is one batch.
    """

    gamma: Fraction = 0.99
    lam: Fraction = 0.95
    whole: bool = False
    passes: int = 0


@dataclass(frozen=True)
class RolloutOptions:
    """How experience is gathered for tasks that learn from what the network does now.

    Args:
        environments: played side by side, one call of the network for all.
        rollout_steps: steps of each environment between two rounds of learning (5 to 20 are usual for A2C). Tasks that
            learn from whole episodes play one in each environment instead.
        batch_size: most moves of a batch, where a task goes over a rollout several times; else a rollout is a batch.
        rollouts_per_epoch: rollouts that count as an epoch.
    """

    environments: Size = 8
    rollout_steps: Size = 128
    batch_size: Size = 64
    rollouts_per_epoch: Size = 10

    @property
    def moves(self) -> int:
        """Moves of a rollout that is counted in steps."""
        return self.environments * self.rollout_steps


@final
class RolloutSource(ActingSource):
    """What the network does now, and how that turned out; actions are drawn from its own distribution.

    Where an episode was only cut short (and where a rollout ends within one), the network's value of the state that it
    led to stands for what would have followed; where the task was over, nothing does. Networks without a value count
    0.

    Shapes: a batch's inputs are (observation (B, O), action (B,) int64 or (B, A), its log-probability (B,), advantage
    (B,), return (B,), value (B,)); targets and index are None.

    Raises:
        ConfigError: the environment is unknown; (while iterating) no network was bound, or it gives no distribution.
        DataError: (while iterating) an episode that is to be played to its end has none.
        MissingExtra: Gymnasium is not installed.
        CheckpointError: (while iterating) asked for batches of another place than where it stands.
    """

    def __init__(
        self,
        environment: str,
        *,
        settings: RolloutSettings | None = None,
        options: RolloutOptions | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self._settings, self._options = settings or RolloutSettings(), options or RolloutOptions()
        self._name, self._seed, self._device = environment, seed, torch.device(device)
        super().__init__(EnvironmentStepper(environment, self._options.environments, seed))
        self._parts = math.ceil(self._options.moves / self._options.batch_size) if self._settings.passes else 1
        self._rollout: tuple[Tensor, ...] = ()

    @property
    def steps_per_epoch(self) -> int:
        """Batches that count as an epoch."""
        return self._options.rollouts_per_epoch * self._batches

    @property
    def examples(self) -> int:
        """Moves that an epoch gives, those of several passes as often; of whole episodes, how many of them."""
        played = self._options.environments if self._settings.whole else self._options.moves
        return self._options.rollouts_per_epoch * played * max(1, self._settings.passes)

    def state(self) -> dict[str, Any]:
        """Also the rollout, where batches of it are still to come."""
        rest = self._rollout if self._given % self._batches else ()
        return {**super().state(), "rollout": {str(place): part for place, part in enumerate(rest)}}

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo of `state`; see `EnvironmentStepper.load_state` for errors."""
        self._rollout = tuple(part.to(self._device) for part in state["rollout"].values())
        super().load_state(state)

    @property
    def _batches(self) -> int:
        """Batches that a rollout gives."""
        return self._parts * max(1, self._settings.passes)

    def _forget(self) -> None:
        self._rollout = ()

    def _next(self) -> Batch:
        rollout, batch = divmod(self._given, self._batches)
        if batch == 0:
            self._rollout = self._play()
        if not self._settings.passes:
            return Batch(self._rollout, None, None)
        again, part = divmod(batch, self._parts)
        order = torch.randperm(len(self._rollout[0]), generator=generator(self._seed, _ORDER, rollout, again))
        rows = order.tensor_split(self._parts)[part].to(self._device)
        return Batch(tuple(one[rows] for one in self._rollout), None, None)

    def _play(self) -> tuple[Tensor, ...]:
        if self._model is None:
            raise ConfigError("no network plays these episodes; bind one first: source.bind(network)")
        with acting(self._model):
            rows = list(self._episodes() if self._settings.whole else self._steps())
            return self._learnable([torch.stack(column) for column in zip(*rows, strict=True)])

    def _steps(self) -> Iterator[tuple[Tensor, ...]]:
        everyone = [True] * self._options.environments
        for _ in range(self._options.rollout_steps):
            yield self._step(everyone)

    def _episodes(self) -> Iterator[tuple[Tensor, ...]]:
        """An episode of each environment. To stop at so many that ended first would prefer the short ones."""
        playing = [True] * self._options.environments
        for _ in range(_LONGEST):
            row = self._step(playing)
            yield row
            ended = (row[4] | row[5]).tolist()
            playing = [still and not over for still, over in zip(playing, ended, strict=True)]
            if not any(playing):
                return
        template = "no end of an episode of {name} in {steps} steps; use task: actor-critic, which needs none"
        raise DataError(template, name=self._name, steps=_LONGEST)

    def _step(self, playing: list[bool]) -> tuple[Tensor, ...]:
        """One step of those that play: `Moves`, then log-probabilities, values, and who played; all (N, ...)."""
        observation_NO = self._stepper.observations.to(self._device)
        policy, value_N = consult(self._model, observation_NO)
        action_N = drawn(policy, self._stepper.keys.to(self._device))
        log_prob_N = policy.log_prob(action_N).float().cpu()
        value_N = torch.zeros(len(playing)) if value_N is None else value_N.float().cpu()
        return (*self._stepper.step(action_N.cpu(), playing), log_prob_N, value_N, torch.tensor(playing))

    def _learnable(self, columns: list[Tensor]) -> tuple[Tensor, ...]:
        """The parts of a batch, M moves each, from what was seen in T steps of N environments."""
        observation, action, reward, _, terminated, truncated, log_prob, value, playing = columns
        following = self._following(columns)
        ended = terminated | truncated
        advantage = advantages(reward, value, following, ended, self._settings.gamma, self._settings.lam)
        parts = (observation, action, log_prob, advantage, advantage + value, value)
        return tuple(part[playing].to(self._device) for part in parts)

    def _following(self, columns: list[Tensor]) -> Tensor:
        """The value of the state after each step: none where the task is over. Shapes: -> (T, N)."""
        _, _, _, after, terminated, truncated, _, value, playing = columns
        cut = truncated.clone()
        cut[-1] = True
        cut &= playing & ~terminated
        following = torch.cat([value[1:], torch.zeros_like(value[:1])]).masked_fill(terminated, 0)
        if cut.any():
            _, judged = consult(self._model, after[cut].to(self._device))
            following[cut] = 0 if judged is None else judged.float().cpu()
        return following
