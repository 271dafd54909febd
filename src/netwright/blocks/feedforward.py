"""Fully connected parts: the stack of hidden layers (MLP, GAN, Q-network) and the Transformer's feed-forward block.

Rosenblatt, 1958; Rumelhart et al., 1986; the Transformer's block: Vaswani et al., 2017. ``B`` batch, ``D`` width.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from netwright.blocks.activations import ActivationName, activation
from netwright.blocks.init import scaled_init
from netwright.blocks.norms import NormName, cancels_bias, norm

__all__ = ["FeedForward", "dense_stack"]


def dense_stack(
    in_features: int,
    hidden: Sequence[int],
    activation_name: ActivationName = "relu",
    norm_name: NormName = "none",
    dropout: float = 0.0,
) -> nn.Sequential:
    """Hidden layers in a row, each linear -> norm -> activation -> dropout; an empty row gives its input back.

    A linear layer before a norm that removes its bias has none. With batch norm, dropout stands only after the last
    layer: before a batch norm it makes the variance of training differ from that of inference (Li et al., 2019).

    Shapes:
        [B, in_features] -> [B, hidden[-1]]
    """
    stack = nn.Sequential()
    width = in_features
    for depth, units in enumerate(hidden, start=1):
        linear = nn.Linear(width, units, bias=not cancels_bias(norm_name))
        scaled_init(linear, activation_name)
        stack.append(linear)
        if norm_name != "none":
            stack.append(norm(norm_name, units))
        stack.append(activation(activation_name))
        if dropout and (norm_name != "batch" or depth == len(hidden)):
            stack.append(nn.Dropout(dropout))
        width = units
    return stack


class FeedForward(nn.Module):
    """The Transformer's block of two linear layers: W2 act(W1 x + b1) + b2, then dropout.

    Shapes:
        [..., D] -> [..., D]
    """

    def __init__(
        self, hidden_size: int, inner_size: int, activation_name: ActivationName = "gelu", dropout: float = 0.0,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.expand = nn.Linear(hidden_size, inner_size, bias=bias)
        self.activation = activation(activation_name)
        self.project = nn.Linear(inner_size, hidden_size, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.dropout(self.project(self.activation(self.expand(x))))
        return out
