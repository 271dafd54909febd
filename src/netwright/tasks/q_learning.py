"""Deep Q-learning: the value of an action is its reward plus the discounted value of the best action that follows.

Mnih et al., "Human-level control through deep reinforcement learning", 2015; double Q-learning after van Hasselt, Guez
& Silver, 2016. Memory and exploration belong to the batch source (`data.environments`); the target network lives here.
Letters: B batch, N environments, O observation, A actions.

Differs from the paper: the target network may follow softly (`tau`), and errors go through any loss, usually Huber's.
"""

import copy
from typing import Annotated, Any, final

import torch
from pydantic import Field
from torch import Tensor, nn

from netwright.core.schemas import Fraction, Size
from netwright.data.batching import Batch
from netwright.data.environments import greedy
from netwright.data.schema import Schema
from netwright.losses import LossFunction
from netwright.tasks.acting import Acting, require_actions
from netwright.tasks.base import Phase, StepOutput

__all__ = ["QLearning"]

Share = Annotated[float, Field(gt=0, le=1)]


@final
class QLearning(Acting):
    """Q-learning with a target network; the network gives q_BA for observations (B, O).

    Args:
        gamma: how much a reward of the next step is worth now.
        double: let the network choose the next action and the target network value it, against overestimation.
        target_update: updates between two copies into the target network (the default is one burst of `ReplaySource`).
        tau: instead move the target network by this share towards the network, after every update.

    Shapes: batches as `ReplaySource` (training) and `EpisodeSource` (evaluation) give them.
    """

    default_loss = "huber"
    target_kinds = ("action",)
    usual_model = "dqn"
    output_name = "values"

    def __init__(
        self,
        schema: Schema,
        loss: LossFunction | None = None,
        *,
        gamma: Fraction = 0.99,
        double: bool = True,
        target_update: Size = 128,
        tau: Share | None = None,
    ) -> None:
        self._schema = schema
        self._loss = self.chosen_loss(loss)
        self._gamma, self._double, self._target_update, self._tau = gamma, double, target_update, tau
        self._target: nn.Module | None = None
        self._waiting: dict[str, Tensor] | None = None  # weights loaded before there was a network for them

    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """The error of Q(s, a) against the reward and what the target network expects afterwards."""
        observation_BO, action_B, reward_B, next_BO, terminated_B = batch.inputs
        with torch.no_grad():
            wanted_B = reward_B + self._gamma * self._future(model, next_BO) * ~terminated_B
        q_BA = model(observation_BO)
        q_B = q_BA.gather(1, action_B[:, None])[:, 0]
        return StepOutput(self._loss(q_B, wanted_B), {"q_mean": q_B.detach().mean()}, q_BA)

    def act(self, model: nn.Module, observation_NO: Tensor, step: int, generator: torch.Generator) -> Tensor:
        """The best known action, for both sources; the random ones are `ReplaySource`'s. Shapes: -> (N,) int64."""
        return greedy(model, observation_NO, step, generator)

    def after_update(self, model: nn.Module, updates: int) -> None:
        """Let the target network follow."""
        if self._target is None:
            return
        if self._tau is not None:
            _approach(self._target, model, self._tau)
        elif updates % self._target_update == 0:
            self._target.load_state_dict(model.state_dict())

    def state(self) -> dict[str, Any]:
        """The target network's weights, once there is one."""
        return {"target": self._waiting if self._target is None else self._target.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo of `state`."""
        self._target, self._waiting = None, state["target"]

    def predict(self, model: nn.Module, inputs: Tensor) -> Tensor:
        """The value of each action.

        Raises:
            ConfigError: the network is for another number of actions.
        """
        q_BA: Tensor = model(inputs)
        require_actions(q_BA.shape[1], self._schema)
        return q_BA

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """The best action, and the value of each."""
        names = self._schema.target.classes or tuple(str(index) for index in range(outputs.shape[1]))
        rows = outputs.tolist()
        return [{"action": names[row.index(max(row))], "values": dict(zip(names, row, strict=True))} for row in rows]

    def _future(self, model: nn.Module, next_BO: Tensor) -> Tensor:
        """The value of the best action of each next state, as the target network sees it. Shapes: (B, O) -> (B,)."""
        later_BA: Tensor = self._follower(model)(next_BO)
        if not self._double:
            return later_BA.amax(1)
        return later_BA.gather(1, model(next_BO).argmax(1, keepdim=True))[:, 0]

    def _follower(self, model: nn.Module) -> nn.Module:
        """The target network; at first use a copy of the network."""
        if self._target is None:
            self._target = copy.deepcopy(model).eval().requires_grad_(False)
            if self._waiting is not None:
                self._target.load_state_dict(self._waiting)
                self._waiting = None
        return self._target


@torch.no_grad()
def _approach(target: nn.Module, model: nn.Module, share: float) -> None:
    """Move weights by a share; buffers (running statistics, counters) are copied."""
    torch._foreach_lerp_(list(target.parameters()), list(model.parameters()), share)
    for old, new in zip(target.buffers(), model.buffers(), strict=True):
        old.copy_(new)
