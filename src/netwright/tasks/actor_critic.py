"""Actor-critic: the critic says what return to expect, and the actor does more of what turned out better than that.

A2C is Mnih et al., "Asynchronous methods for deep reinforcement learning", 2016, without the asynchrony; PPO is
Schulman et al., "Proximal policy optimization algorithms", 2017. Both take their advantages A from generalised
advantage estimation (`data.environments.advantages`); returns, which the critic learns, are advantage plus value.
Letters: B moves of a batch, O observation, A actions, or numbers of one.

Differs from the papers: advantages are scaled to mean 0 and deviation 1 in each batch (Andrychowicz et al., 2021,
section 3.3); PPO's clip range stays as it is, and values are not clipped.
"""

from collections.abc import Mapping
from typing import Any, Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.core.schemas import Fraction, NonNegative, Positive, Size
from netwright.data.batching import Batch
from netwright.data.environments import RolloutSettings
from netwright.data.schema import Schema
from netwright.tasks.acting import Acting, judged, policy_outputs, policy_words, stated
from netwright.tasks.base import Phase, StepOutput

__all__ = ["ActorCritic"]

_PASSES = 10
_TINY = 1e-8  # beside a deviation that may be 0


@final
class ActorCritic(Acting):
    """A policy and its critic, learnt from rollouts of a few steps; the network gives (distribution, value).

    Args:
        kind: "ppo" goes over each rollout several times in batches, where moving far from the policy that acted
            gains nothing; "a2c" takes one step on all of it.
        gamma: how much a reward of the next step is worth now.
        gae_lambda: 1 trusts what came, 0 the critic.
        clip: how far PPO lets the ratio of new to old probability go from 1 for gain.
        passes: how often PPO goes over a rollout.
        normalize: scale advantages to mean 0 and deviation 1 in each batch.
        value_coef: weight of the value's loss.
        entropy_coef: reward for a policy that stays undecided.

    Shapes: batches as `RolloutSource` (training) and `EpisodeSource` (evaluation) give them.

    Raises:
        ConfigError: (in a step) the network gives no distribution, or no value.
    """

    target_kinds = ("action", "control")
    usual_model = "actor_critic"

    def __init__(
        self,
        schema: Schema,
        *,
        kind: Literal["ppo", "a2c"] = "ppo",
        gamma: Fraction = RolloutSettings.gamma,
        gae_lambda: Fraction = RolloutSettings.lam,
        clip: Positive = 0.2,
        passes: Size = _PASSES,
        normalize: bool = True,
        value_coef: NonNegative = 0.5,
        entropy_coef: NonNegative = 0.0,
    ) -> None:
        self._schema, self._kind, self._clip, self._normalize = schema, kind, clip, normalize
        self._value_coef, self._entropy_coef = value_coef, entropy_coef

    @staticmethod
    def rollouts(values: Mapping[str, Any]) -> RolloutSettings:
        """Parts of episodes; several passes for PPO."""
        passes = values.get("passes", _PASSES) if values.get("kind", "ppo") == "ppo" else 0
        gamma, lam = values.get("gamma", RolloutSettings.gamma), values.get("gae_lambda", RolloutSettings.lam)
        return RolloutSettings(gamma, lam, passes=passes)

    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """L = policy loss + value_coef * mean((G - V(s))^2) - entropy_coef * mean entropy (PPO, equation 9)."""
        observation_BO, action_B, before_B, advantage_B, return_B, expected_B = batch.inputs
        policy, value_B = stated(model, observation_BO, self._schema, valued=True)
        assert value_B is not None
        if self._normalize:
            advantage_B = (advantage_B - advantage_B.mean()) / (advantage_B.std(correction=0) + _TINY)
        policy_loss, logs = self._policy_loss(policy.log_prob(action_B), before_B, advantage_B)
        value_loss, entropy = F.mse_loss(value_B, return_B), policy.entropy().mean()
        loss = policy_loss + self._value_coef * value_loss - self._entropy_coef * entropy
        told = {"policy_loss": policy_loss, "value_loss": value_loss, "entropy": entropy, **logs}
        told["explained_variance"] = judged(return_B, expected_B)
        return StepOutput(loss, {name: figure.detach() for name, figure in told.items()})

    def predict(self, model: nn.Module, inputs: Tensor) -> Tensor:
        """See `policy_outputs`."""
        return policy_outputs(model, inputs, self._schema, valued=True)

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """The likeliest action, how likely each is, and the value of the state."""
        return policy_words(outputs, self._schema)

    def _policy_loss(self, now_B: Tensor, before_B: Tensor, advantage_B: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """A2C: -mean(log pi(a | s) A). PPO, with r = pi_new / pi_old: -mean(min(r A, clip(r, 1 - c, 1 + c) A)), its
        equation 7.

        The divergence of the old policy from the new is estimated by mean(r - 1 - log r), which is never negative.

        Shapes: log-probabilities and advantages (B,)
        """
        if self._kind == "a2c":
            return -(now_B * advantage_B).mean(), {}
        log_ratio_B = now_B - before_B
        ratio_B = log_ratio_B.exp()
        clipped_B = ratio_B.clamp(1 - self._clip, 1 + self._clip)
        loss = -torch.minimum(ratio_B * advantage_B, clipped_B * advantage_B).mean()
        logs = {"approx_kl": (ratio_B - 1 - log_ratio_B).mean(), "clip_fraction": (ratio_B != clipped_B).float().mean()}
        return loss, logs
