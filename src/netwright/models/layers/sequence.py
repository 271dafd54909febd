"""Kinds of layers for sequences: embedding, recurrent layers and self-attention.

Elman, 1990 (rnn); Hochreiter and Schmidhuber, 1997 (lstm); Cho et al., 2014 (gru); Vaswani et al., 2017 (attention).
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from netwright.blocks.attention import SelfAttention
from netwright.core.schemas import Probability, Size
from netwright.models.layers.signal import Layer, LayerMisfitError, Signal, as_sequence

__all__ = ["Recurrent", "attention", "embedding", "gru", "lstm", "rnn"]

Returns = Literal["last", "all"]


class Recurrent(nn.Module):
    """A recurrent layer that gives only its states: all of them, or the last of each direction side by side.

    Shapes:
        [B, T, D] -> [B, T, units * directions] or [B, units * directions]
    """

    def __init__(self, cell: nn.RNNBase, returns: Returns) -> None:
        super().__init__()
        self.cell = cell
        self.returns = returns

    def forward(self, x_BTD: Tensor) -> Tensor:
        states: Tensor = self.cell(x_BTD)[0]
        if self.returns == "all":
            return states
        if not self.cell.bidirectional:
            return states[:, -1]
        units = self.cell.hidden_size
        return torch.cat((states[:, -1, :units], states[:, 0, units:]), dim=1)  # each direction's own last step


def embedding(signal: Signal, embedding: Size, vocab_size: Size | None = None) -> Layer:
    """A vector of `embedding` numbers for each token; `vocab_size` comes from the data unless given.

    Shapes:
        [B, T] int64 -> [B, T, embedding]
    """
    after = Signal((signal.shape[0], embedding), "sequence")
    if signal.layout != "flat":
        raise LayerMisfitError("embedding needs tokens [time], got a {signal}; put it first", signal=signal)
    if vocab_size is None:
        raise LayerMisfitError("embedding needs the number of tokens; add vocab_size to it", after)
    return nn.Embedding(vocab_size, embedding), after


def rnn(
    signal: Signal, rnn: Size, layers: Size = 1, bidirectional: bool = False, dropout: Probability = 0.0,
    returns: Returns = "last",
) -> Layer:  # fmt: skip
    """Recurrent layers with tanh, `rnn` units each; `returns: all` gives the state at every time."""
    return _recurrent(nn.RNN, "rnn", signal, rnn, layers, bidirectional, dropout, returns)


def lstm(
    signal: Signal, lstm: Size, layers: Size = 1, bidirectional: bool = False, dropout: Probability = 0.0,
    returns: Returns = "last",
) -> Layer:  # fmt: skip
    """Long short-term memory, `lstm` units a layer; `returns: all` gives the state at every time."""
    return _recurrent(nn.LSTM, "lstm", signal, lstm, layers, bidirectional, dropout, returns)


def gru(
    signal: Signal, gru: Size, layers: Size = 1, bidirectional: bool = False, dropout: Probability = 0.0,
    returns: Returns = "last",
) -> Layer:  # fmt: skip
    """Gated recurrent units, `gru` of them a layer; `returns: all` gives the state at every time."""
    return _recurrent(nn.GRU, "gru", signal, gru, layers, bidirectional, dropout, returns)


def attention(signal: Signal, attention: Size, causal: bool = False, dropout: Probability = 0.0) -> Layer:
    """Self-attention with `attention` heads, usually inside a residual."""
    before, signal = as_sequence(signal, "attention")
    width = signal.shape[1]
    if width % attention:
        fitting = ", ".join(str(n) for n in range(1, width + 1) if width % n == 0)
        raise LayerMisfitError(
            "attention={heads} heads do not divide the width {width}; use {fitting}",
            signal, heads=attention, width=width, fitting=fitting,
        )  # fmt: skip
    layer = SelfAttention(width, attention, causal, dropout)
    return (before.append(layer) if len(before) else layer), signal


def _recurrent(
    cell: Callable[..., nn.RNNBase], name: str, signal: Signal, units: int, layers: int, bidirectional: bool,
    dropout: float, returns: Returns,
) -> Layer:  # fmt: skip
    before, signal = as_sequence(signal, name)
    time, width = signal.shape
    if dropout and layers == 1:
        raise LayerMisfitError(
            "dropout={dropout} works between layers and there is one; use layers: 2 or a dropout after it",
            signal, dropout=dropout,
        )  # fmt: skip
    core = cell(width, units, num_layers=layers, batch_first=True, dropout=dropout, bidirectional=bidirectional)
    layer = Recurrent(core, returns)
    out = units * (2 if bidirectional else 1)
    after = Signal((out,), "flat") if returns == "last" else Signal((time, out), "sequence")
    return (before.append(layer) if len(before) else layer), after
