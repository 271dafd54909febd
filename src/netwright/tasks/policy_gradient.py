"""REINFORCE: what was done becomes more likely in proportion to how much more came of it than a baseline.

Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement learning", 1992, section 5:
the gradient of the expected return is that of E[sum over t of log pi(a_t | s_t) (G - b)], whatever the baseline b that
does not depend on the action. Episodes come from `RolloutSource`, whole.
Letters: B moves of a batch, O observation, A actions, or numbers of one.

Differs from the paper: G is the reward to go, sum over k of gamma^k r_(t+k), which leaves out what came before the
action; the mean is over moves, and advantages are scaled to a deviation of 1.
"""

from collections.abc import Mapping
from typing import Any, Literal, final

from torch import Tensor, nn
from torch.nn import functional as F

from netwright.core.schemas import Fraction, NonNegative
from netwright.data.batching import Batch
from netwright.data.environments import RolloutSettings
from netwright.data.schema import Schema
from netwright.tasks.acting import Acting, judged, policy_outputs, policy_words, stated
from netwright.tasks.base import Phase, StepOutput

__all__ = ["PolicyGradient"]

_TINY = 1e-8  # beside a deviation that may be 0


@final
class PolicyGradient(Acting):
    """Policy gradient over whole episodes, one of each environment for an update.

    Args:
        gamma: how much a reward of the next step is worth now.
        baseline: "value" takes the network's value of the state, which learns beside it; "mean" the mean return of the
            batch. Null takes the value where the network gives one.
        normalize: scale what exceeds the baseline to a deviation of 1, so that the learning rate fits any reward.
        value_coef: weight of the value's loss.
        entropy_coef: reward for a policy that stays undecided.

    Shapes: batches as `RolloutSource` (training) and `EpisodeSource` (evaluation) give them.

    Raises:
        ConfigError: (in a step) the network gives no distribution, or no value where one is the baseline.
    """

    target_kinds = ("action", "control")
    usual_model = "actor_critic"

    def __init__(
        self,
        schema: Schema,
        *,
        gamma: Fraction = RolloutSettings.gamma,
        baseline: Literal["value", "mean", "none"] | None = None,
        normalize: bool = True,
        value_coef: NonNegative = 0.5,
        entropy_coef: NonNegative = 0.0,
    ) -> None:
        self._schema, self._baseline, self._normalize = schema, baseline, normalize
        self._value_coef, self._entropy_coef = value_coef, entropy_coef

    @staticmethod
    def rollouts(values: Mapping[str, Any]) -> RolloutSettings:
        """Whole episodes, and the reward to go: advantages with lambda 1."""
        return RolloutSettings(values.get("gamma", RolloutSettings.gamma), lam=1.0, whole=True)

    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """-mean(log pi(a | s) (G - b)) + value_coef * mean((G - V(s))^2) - entropy_coef * mean entropy."""
        observation_BO, action_B, _, advantage_B, return_B, _ = batch.inputs
        policy, value_B = stated(model, observation_BO, self._schema, self._baseline == "value")
        weight_B = self._weights(advantage_B, return_B, value_B)
        policy_loss = -(policy.log_prob(action_B) * weight_B).mean()
        entropy = policy.entropy().mean()
        loss = policy_loss - self._entropy_coef * entropy
        logs = {"policy_loss": policy_loss.detach(), "entropy": entropy.detach()}
        if value_B is not None:
            value_loss = F.mse_loss(value_B, return_B)
            loss = loss + self._value_coef * value_loss
            logs |= {"value_loss": value_loss.detach(), "explained_variance": judged(return_B, value_B.detach())}
        return StepOutput(loss, logs)

    def predict(self, model: nn.Module, inputs: Tensor) -> Tensor:
        """See `policy_outputs`."""
        return policy_outputs(model, inputs, self._schema, self._baseline == "value")

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """The likeliest action, how likely each is, and the value where the network gives one."""
        return policy_words(outputs, self._schema)

    def _weights(self, advantage_B: Tensor, return_B: Tensor, value_B: Tensor | None) -> Tensor:
        """What exceeds the baseline; advantages are those of the value that the network gave while it acted."""
        kind = self._baseline or ("mean" if value_B is None else "value")
        weight_B = {"value": advantage_B, "mean": return_B - return_B.mean(), "none": return_B}[kind]
        return weight_B / (weight_B.std(correction=0) + _TINY) if self._normalize else weight_B
