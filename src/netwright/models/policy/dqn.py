"""The Q-network of deep Q-learning: from an observation to the value of every action.

Mnih et al., 2015, "Human-level control through deep reinforcement learning"; the dueling head is Wang et al., 2016,
"Dueling network architectures for deep reinforcement learning". Replay, the target network and the double target belong
to the task. ``B`` batch, ``O`` observation, ``D`` width, ``A`` actions.
"""

from collections.abc import Sequence
from typing import Literal, final

from torch import Tensor, nn

from netwright.blocks.activations import ActivationName
from netwright.blocks.heads import output_layer
from netwright.core.schemas import Size, preset
from netwright.models.policy.observations import ObservationNet

__all__ = ["DQN", "DuelingHead", "dqn_atari", "dqn_dueling"]


class DuelingHead(nn.Module):
    """Q(s, a) = V(s) + A(s, a) - mean over a of A(s, a) (Wang et al., 2016, equation 9).

    Differs from the paper: the streams part after the last hidden layer, and not before it.

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


@final
class DQN(ObservationNet):
    """Values of all actions at once. Observations that are pictures go through convolutions, others are flattened.

    Args:
        image_shape: of pictures; the data decide it. Set null to read them as plain numbers.
        head: "plain" is one linear layer; "dueling" adds a state's value to its actions' centred advantages.

    Shapes:
        observation [B, in_features] or [B, C, H, W] -> q [B, num_actions]; features: [B, hidden[-1]]

    Raises:
        ConfigError: see `ObservationNet`.
    """

    def __init__(
        self,
        in_features: Size = 4,
        num_actions: Size = 2,
        hidden: Sequence[Size] = (120, 84),
        activation: ActivationName = "relu",
        head: Literal["plain", "dueling"] = "plain",
        image_shape: tuple[Size, Size, Size] | None = None,
    ) -> None:
        super().__init__(in_features, image_shape, hidden, activation)
        self.dueling = head == "dueling"
        self.head = self._new_head(num_actions)

    def _new_head(self, num_actions: int) -> nn.Module:
        return DuelingHead(self.width, num_actions) if self.dueling else output_layer(self.width, num_actions)

    def forward(self, observation_BO: Tensor) -> Tensor:
        """The expected return of each action, [B, num_actions]."""
        q_BA: Tensor = self.head(self.features(observation_BO))
        return q_BA

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh head for `num_classes` actions; the trunk stays as it is."""
        like = next(self.parameters())
        self.head = self._new_head(num_classes).to(like.device, like.dtype)


dqn_dueling = preset(DQN, "dqn_dueling", head="dueling")
dqn_atari = preset(DQN, "dqn_atari", image_shape=(4, 84, 84), hidden=(512,), num_actions=4)
