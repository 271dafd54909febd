"""The Q-network of deep Q-learning: from an observation to the value of every action.

Mnih et al., 2015, "Human-level control through deep reinforcement learning"; the dueling head is Wang et al., 2016.
Replay, the target network and the double target belong to the task. ``B`` batch, ``O`` observation, ``A`` actions.
"""

import math
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from netwright.blocks.activations import ActivationName
from netwright.blocks.feedforward import dense_stack
from netwright.blocks.heads import output_layer
from netwright.core.errors import ConfigError
from netwright.core.schemas import Size

__all__ = ["DQN", "DuelingHead"]


class DuelingHead(nn.Module):
    """Q(s, a) = V(s) + A(s, a) - mean over a of A(s, a).

    Shapes:
        [B, D] -> [B, A]
    """

    def __init__(self, in_features: int, num_actions: int) -> None:
        super().__init__()
        self.value = output_layer(in_features, 1)
        self.advantage = output_layer(in_features, num_actions)

    def forward(self, hidden_BD: Tensor) -> Tensor:
        advantage_BA = self.advantage(hidden_BD)
        q_BA: Tensor = self.value(hidden_BD) + advantage_BA - advantage_BA.mean(dim=1, keepdim=True)
        return q_BA


class DQN(nn.Module):
    """Values of all actions at once, for observations that are vectors; larger ones are flattened.

    head: "plain" is one linear layer; "dueling" adds a state's value to its actions' centred advantages.

    Shapes:
        observation [B, in_features] -> q [B, num_actions]; features: [B, hidden[-1]]

    Raises:
        ConfigError: in `forward`, an observation of another size.
    """

    def __init__(
        self,
        in_features: Size = 4,
        num_actions: Size = 2,
        hidden: Sequence[Size] = (120, 84),
        activation: ActivationName = "relu",
        head: Literal["plain", "dueling"] = "plain",
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.dueling = head == "dueling"
        self.trunk = dense_stack(in_features, hidden, activation)
        self.width = hidden[-1] if hidden else in_features
        self.head = self._new_head(num_actions)

    def _new_head(self, num_actions: int) -> nn.Module:
        return DuelingHead(self.width, num_actions) if self.dueling else output_layer(self.width, num_actions)

    def features(self, observation_BO: Tensor) -> Tensor:
        """The last hidden layer's output, [B, hidden[-1]]."""
        flat_BO = observation_BO.flatten(1)
        if flat_BO.shape[1] != self.in_features:
            raise ConfigError(
                "this Q-network takes {wanted} numbers an observation, got {got}; build it with in_features={got}",
                wanted=self.in_features, got=math.prod(observation_BO.shape[1:]),
            )  # fmt: skip
        hidden: Tensor = self.trunk(flat_BO)
        return hidden

    def forward(self, observation_BO: Tensor) -> Tensor:
        """The expected return of each action, [B, num_actions]."""
        q_BA: Tensor = self.head(self.features(observation_BO))
        return q_BA

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh head for `num_classes` actions; the trunk stays as it is."""
        like = next(self.parameters())
        self.head = self._new_head(num_classes).to(like.device, like.dtype)
