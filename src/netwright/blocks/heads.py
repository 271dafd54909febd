"""Heads: the last layer that turns a representation into scores, and the layer that replaces it for a new task."""

from numbers import Integral
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from netwright.blocks.init import scaled_init
from netwright.core.errors import ConfigError

__all__ = ["AuxiliaryLogits", "TiedHead", "new_head", "output_layer", "require_outputs", "token_scores"]


class AuxiliaryLogits(NamedTuple):
    """What a network with heads on its middle layers gives in training, and only there.

    The loss is that of `logits` plus `weight` times that of each of `auxiliary`, all against the same targets, so that
    the lower layers get a gradient over a short way (Szegedy et al., 2014, section 5).

    Shapes:
        logits and each of auxiliary: [B, num_classes]
    """

    logits: Tensor
    auxiliary: tuple[Tensor, ...]
    weight: float


class TiedHead(nn.Module):
    """Scores of all tokens by the embedding's own vectors; holds no weight, so that a file of weights has each once.

    Shapes:
        hidden [B, T, D], embedding [V, D] -> [B, T, V]
    """

    def forward(self, hidden_BTD: Tensor, embedding_VD: Tensor) -> Tensor:
        return F.linear(hidden_BTD, embedding_VD)


def token_scores(head: nn.Module, hidden_BTD: Tensor, embedding_VD: Tensor) -> Tensor:
    """What a head says of every token, be it tied to the embedding or a layer of its own. Shapes: -> [B, T, V]."""
    scores: Tensor = head(hidden_BTD, embedding_VD) if isinstance(head, TiedHead) else head(hidden_BTD)
    return scores


def output_layer(in_features: int, out_features: int) -> nn.Linear:
    """A linear head whose first scores have about the scale of its (unit) input, and no bias towards any of them."""
    head = nn.Linear(in_features, out_features)
    scaled_init(head)
    return head


def require_outputs(count: int) -> None:
    """Refuse a head without outputs.

    Raises:
        ConfigError: `count` is no whole number from 1 on.
    """
    if not isinstance(count, Integral) or count < 1:
        template = "num_classes={got!r} does not fit a head; give a whole number from 1 on (features() needs no head)"
        raise ConfigError(template, got=count)


def new_head(old: nn.Linear, out_features: int) -> nn.Linear:
    """A fresh head for `out_features` scores in the place of `old`: same input width, bias, device and dtype.

    Raises:
        ConfigError: `out_features` is no whole number from 1 on.
    """
    require_outputs(out_features)
    weight = old.weight
    head = nn.Linear(old.in_features, out_features, old.bias is not None, device=weight.device, dtype=weight.dtype)
    scaled_init(head)
    return head
