"""What a policy says: a distribution over actions, as `torch.distributions` has them, and drawing from it by counters.

Ours check no values (that would wait for an accelerator and end an export), and `torch.export` and `torch.compile` know
which tensors they are made of, so that a network may return them. ``B`` observations, ``A`` actions to choose from, or
numbers of one action.
"""

import torch
from torch import Tensor, distributions
from torch.utils import _pytree as pytree

from netwright.core.errors import ConfigError
from netwright.core.seeds import normal, uniform

__all__ = ["Categorical", "DiagonalGaussian", "drawn"]

_DRAW = 0xD1CE


class Categorical(distributions.Categorical):
    """One of A actions: p(a) = softmax(logits)_a.

    Shapes:
        logits [B, A]; actions and their log-probabilities [B]
    """

    def __init__(self, logits_BA: Tensor) -> None:
        super().__init__(logits=logits_BA, validate_args=False)


class DiagonalGaussian(distributions.Independent):
    """A numbers an action, each normal by itself: p(a) = the product of N(a_i; mean_i, exp(log_std_i)^2).

    Shapes:
        mean and log_std [B, A]; actions [B, A], their log-probabilities [B]
    """

    def __init__(self, mean_BA: Tensor, log_std_BA: Tensor) -> None:
        self.loc, self.log_std = mean_BA, log_std_BA
        self.scale = log_std_BA.exp()
        super().__init__(distributions.Normal(mean_BA, self.scale, validate_args=False), 1, validate_args=False)


def drawn(policy: distributions.Distribution, key_B: Tensor) -> Tensor:
    """An action each, as a pure function of the distribution and of the keys: the same key meets the same chance.

    One of several by inverting its distribution function, numbers as mean + deviation * noise.

    Shapes:
        keys [B] int64 -> [B] int64, or [B, A] for numbers

    Raises:
        ConfigError: neither one of several actions nor independent normal numbers.
    """
    if isinstance(policy, distributions.Categorical):
        edges_BA = policy.probs.float().cumsum(1)
        below_BA: Tensor = uniform(_DRAW, 0, key_B, 0) >= edges_BA[:, :-1]
        return below_BA.sum(1)
    if isinstance(policy, distributions.Independent) and isinstance(policy.base_dist, distributions.Normal):
        mean_BA = policy.base_dist.loc
        noise_BA = normal(_DRAW, 1, key_B, 0, mean_BA.shape[1])
        return torch.addcmul(mean_BA, policy.base_dist.scale, noise_BA)
    template = "the network gives a {got}; expected a distribution over actions: Categorical, or Independent Normal"
    raise ConfigError(template, path="model", got=type(policy).__name__)


pytree.register_pytree_node(
    Categorical,
    lambda policy: ([policy.logits], None),
    lambda parts, _: Categorical(*parts),
    serialized_type_name="netwright.blocks.distributions.Categorical",
)
pytree.register_pytree_node(
    DiagonalGaussian,
    lambda policy: ([policy.loc, policy.log_std], None),
    lambda parts, _: DiagonalGaussian(*parts),
    serialized_type_name="netwright.blocks.distributions.DiagonalGaussian",
)
