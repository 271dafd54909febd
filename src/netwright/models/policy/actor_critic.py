"""An actor and its critic: from an observation to a distribution over actions and the value of the state.

Mnih et al., 2016, "Asynchronous methods for deep reinforcement learning"; Schulman et al., 2017, "Proximal policy
optimization algorithms". First weights as a `Policy` has them, and gain 1 at the value (Andrychowicz et al., 2021,
section 3.2). ``B`` batch, ``O`` observation, ``A`` actions to choose from, or numbers of one.
"""

from collections.abc import Sequence
from typing import Literal, final

from torch import Tensor, nn
from torch.distributions import Distribution

from netwright.blocks.activations import ActivationName
from netwright.blocks.init import orthogonal_init
from netwright.core.schemas import Size
from netwright.models.policy.observations import ObservationNet
from netwright.models.policy.policy import ActionKind, PolicyHead, orthogonal

__all__ = ["ActorCritic"]


@final
class ActorCritic(ObservationNet):
    """A distribution over actions and a value; `features` are the actor's.

    Args:
        actions: a fixed set to choose from, or numbers; the data decide it.
        trunks: "separate" gives the critic layers of its own, "shared" only a head on the actor's.
        image_shape: of pictures; the data decide it. Set null to read them as plain numbers.
        log_std: what the logarithms of the deviations of continuous actions begin with.

    Shapes:
        observation [B, in_features] or [B, C, H, W] -> (`Categorical` or `DiagonalGaussian`, value [B]);
        features: [B, hidden[-1]]

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
        trunks: Literal["separate", "shared"] = "separate",
        image_shape: tuple[Size, Size, Size] | None = None,
        log_std: float = 0.0,
    ) -> None:
        super().__init__(in_features, image_shape, hidden, activation)
        self.critic: ObservationNet | None = None
        if trunks == "separate":
            self.critic = ObservationNet(in_features, image_shape, hidden, activation)
        orthogonal(self)
        self._actions, self._log_std = actions, log_std
        self.head = self._new_head(num_actions)
        self.value = self._new_value()

    def _new_head(self, num_actions: int) -> PolicyHead:
        return PolicyHead(self.width, num_actions, self._actions, self._log_std)

    def _new_value(self) -> nn.Linear:
        value = nn.Linear(self.width, 1)
        orthogonal_init(value, 1.0)
        return value

    def forward(self, observation_BO: Tensor) -> tuple[Distribution, Tensor]:
        """What it would do, and the return it expects, [B]."""
        hidden_BD = self.features(observation_BO)
        judged_BD = hidden_BD if self.critic is None else self.critic(observation_BO)
        return self.head(hidden_BD), self.value(judged_BD)[:, 0]

    def reset_head(self, num_classes: int) -> None:
        """Put fresh heads for `num_classes` actions (or numbers of one) and their value; the trunks stay."""
        like = next(self.parameters())
        self.head = self._new_head(num_classes).to(like.device, like.dtype)
        self.value = self._new_value().to(like.device, like.dtype)
