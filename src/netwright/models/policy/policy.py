"""A policy: from an observation to a distribution over actions, be they a fixed set or numbers.

Williams, 1992, "Simple statistical gradient-following algorithms for connectionist reinforcement learning". First
weights are orthogonal with gains sqrt(2), and 0.01 at the head, so that at first all actions are about as likely
(Andrychowicz et al., 2021, "What matters for on-policy deep actor-critic methods?", section 3.2). ``B`` batch, ``O``
observation, ``D`` width, ``A`` actions to choose from, or numbers of one.
"""

from collections.abc import Sequence
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from netwright.blocks.activations import ActivationName
from netwright.blocks.distributions import Categorical, DiagonalGaussian
from netwright.blocks.init import orthogonal_init
from netwright.core.schemas import Size
from netwright.models.policy.observations import ObservationNet

__all__ = ["ActionKind", "Policy", "PolicyHead", "orthogonal"]

ActionKind = Literal["discrete", "continuous"]
_HIDDEN_GAIN, _HEAD_GAIN = 2**0.5, 0.01


def orthogonal(net: nn.Module) -> None:
    """Orthogonal first weights for all linear and convolution layers inside that lie below a head."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            orthogonal_init(layer, _HIDDEN_GAIN)


class PolicyHead(nn.Module):
    """Scores of the actions of a fixed set; or the means of numbers, whose deviations do not depend on the observation.

    Numbers are not squashed: the environment takes the nearest that it allows.

    Args:
        log_std: what the logarithms of the deviations begin with.

    Shapes:
        [B, D] -> `Categorical` over A actions, or `DiagonalGaussian` over A numbers
    """

    def __init__(self, in_features: int, num_actions: int, actions: ActionKind, log_std: float) -> None:
        super().__init__()
        self.scores = nn.Linear(in_features, num_actions)
        orthogonal_init(self.scores, _HEAD_GAIN)
        self.register_parameter("log_std", None)
        if actions == "continuous":
            self.log_std = nn.Parameter(torch.full((num_actions,), log_std))

    def forward(self, hidden_BD: Tensor) -> Distribution:
        scores_BA = self.scores(hidden_BD)
        if self.log_std is None:
            return Categorical(scores_BA)
        return DiagonalGaussian(scores_BA, self.log_std.to(scores_BA.dtype).expand_as(scores_BA))


@final
class Policy(ObservationNet):
    """A distribution over actions. Observations that are pictures go through convolutions, others are flattened.

    Args:
        actions: a fixed set to choose from, or numbers; the data decide it.
        image_shape: of pictures; the data decide it. Set null to read them as plain numbers.
        log_std: what the logarithms of the deviations of continuous actions begin with.

    Shapes:
        observation [B, in_features] or [B, C, H, W] -> `Categorical` (actions [B]) or `DiagonalGaussian` (actions
        [B, num_actions]); features: [B, hidden[-1]]

    Raises:
        ConfigError: see `ObservationNet`.
    """

    def __init__(
        self,
        in_features: Size = 4,
        num_actions: Size = 2,
        actions: ActionKind = "discrete",
        hidden: Sequence[Size] = (64, 64),
        activation: ActivationName = "tanh",
        image_shape: tuple[Size, Size, Size] | None = None,
        log_std: float = 0.0,
    ) -> None:
        super().__init__(in_features, image_shape, hidden, activation)
        orthogonal(self)
        self._actions, self._log_std = actions, log_std
        self.head = self._new_head(num_actions)

    def _new_head(self, num_actions: int) -> PolicyHead:
        return PolicyHead(self.width, num_actions, self._actions, self._log_std)

    def forward(self, observation_BO: Tensor) -> Distribution:
        """What it would do, [B] or [B, num_actions]."""
        policy: Distribution = self.head(self.features(observation_BO))
        return policy

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh head for `num_classes` actions (or numbers of one); the trunk stays as it is."""
        like = next(self.parameters())
        self.head = self._new_head(num_classes).to(like.device, like.dtype)
