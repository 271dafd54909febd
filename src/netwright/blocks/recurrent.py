"""Recurrent layers: stacked, in one direction or both, where padding changes nothing.

Elman, 1990, "Finding structure in time" (rnn); Hochreiter and Schmidhuber, 1997, "Long short-term memory", with the
forget gate of Gers et al., 2000 (lstm); Cho et al., 2014, "Learning phrase representations using RNN encoder-decoder"
(gru); both directions: Schuster and Paliwal, 1997. ``B`` batch, ``T`` time, ``D`` width, ``H`` units, ``N`` rows.

Padding: PyTorch's packed sequences leave its fused CPU kernels and take two to five times as long, so here tokens move
to the front of their row, the way back starts at each row's own end, and what is computed on padding is thrown away.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["CellName", "Recurrent", "RecurrentState", "cell_init"]

CellName = Literal["rnn", "lstm", "gru"]

_CELLS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
_GATES = {"rnn": 1, "lstm": 4, "gru": 3}
_FORGET = 1  # the place of the forget gate among the LSTM's


@dataclass
class RecurrentState:
    """Where a sequence goes on: the hidden state of each layer, and of an LSTM its cell; empty at the beginning.

    Shapes:
        each tensor: [1, B, H]
    """

    layers: list[tuple[Tensor, ...]] = field(default_factory=list)

    def reorder(self, rows_N: Tensor) -> None:
        """Let row n be a copy of the row `rows_N[n]`; there may be more rows than before, or fewer."""
        self.layers = [tuple(part[:, rows_N] for part in layer) for layer in self.layers]

    def keep(self, moved_B: Tensor, before: "RecurrentState") -> None:
        """Take back the step of the rows that are not `moved_B`; nothing before means zeros."""
        old = before.layers or [tuple(torch.zeros_like(part) for part in layer) for layer in self.layers]
        self.layers = [
            tuple(torch.where(moved_B[:, None], new, kept) for new, kept in zip(*pair, strict=True))
            for pair in zip(self.layers, old, strict=True)
        ]


class Recurrent(nn.Module):
    """Layers of one kind of cell, each reading the states of the one below; dropout between layers.

    Initial weights: recurrent ones orthogonal and input ones uniform (Glorot and Bengio, 2010), gate by gate; biases
    zero, but 1 for an LSTM's forget gate, so that it begins by remembering (Jozefowicz et al., 2015).

    Differs from the papers: Hochreiter and Schmidhuber's cell had no forget gate; the GRU resets its state after the
    recurrent product and not before, as PyTorch and cuDNN do.

    Shapes:
        x [B, T, D], mask [B, T] True where there is something to look at -> [B, T, H], both directions side by side
        [B, T, 2H]; zeros where the mask is False
    """

    def __init__(
        self,
        cell: CellName,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.output_size = 2 * hidden_size if bidirectional else hidden_size
        widths = [input_size] + [self.output_size] * (num_layers - 1)
        self.ahead = nn.ModuleList(_CELLS[cell](width, hidden_size, batch_first=True) for width in widths)
        behind = widths if bidirectional else ()
        self.behind = nn.ModuleList(_CELLS[cell](width, hidden_size, batch_first=True) for width in behind)
        self.dropout = nn.Dropout(dropout)
        for part in self.modules():
            if isinstance(part, nn.RNNBase):
                cell_init(part, cell)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor | None = None, state: RecurrentState | None = None) -> Tensor:
        """The states of the last layer. With `state`, one direction goes on from what it holds and brings it forward.

        A state goes with no mask: it would be that of the padding at the end.
        """
        assert state is None or (mask_BT is None and not self.behind), "see the docstring"
        if mask_BT is None:
            return self._run(x_BTD, None, state)
        moved_BT = _moved(mask_BT)
        place_BT = torch.arange(mask_BT.shape[1], device=mask_BT.device).expand_as(moved_BT)
        order_BT = torch.zeros_like(moved_BT).scatter(1, moved_BT, place_BT)
        hidden_BTD = self._run(_taken(x_BTD, order_BT), mask_BT.sum(dim=1), None)
        return _taken(hidden_BTD, moved_BT).masked_fill(~mask_BT[:, :, None], 0)

    def _run(self, x_BTD: Tensor, length_B: Tensor | None, state: RecurrentState | None) -> Tensor:
        reached: list[tuple[Tensor, ...]] = []
        back_BT = None if length_B is None else _way_back(length_B, x_BTD.shape[1])
        for depth, cell in enumerate(self.ahead):
            x_BTD = self.dropout(x_BTD) if depth else x_BTD
            out_BTD, end = _read(cell, x_BTD, state.layers[depth] if state is not None and state.layers else None)
            reached.append(end)
            if self.behind:
                behind_BTD = _reversed(_read(self.behind[depth], _reversed(x_BTD, back_BT))[0], back_BT)
                out_BTD = torch.cat((out_BTD, behind_BTD), dim=2)
            x_BTD = out_BTD
        if state is not None:
            state.layers = reached
        return x_BTD


@torch.no_grad()
def cell_init(cell: nn.RNNBase, kind: CellName) -> None:
    """Draw the weights of one layer in place, as `Recurrent` describes it."""
    for name, weight in cell.named_parameters():
        gates = weight.chunk(_GATES[kind])
        if weight.dim() == 1:
            nn.init.zeros_(weight)
            if kind == "lstm" and name.startswith("bias_ih"):  # a gate has two biases, which add up
                gates[_FORGET].fill_(1.0)
        for gate in gates if weight.dim() == 2 else ():
            (nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_)(gate)


def _read(cell: nn.Module, x_BTD: Tensor, held: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The states of one layer in one direction, and where it ends."""
    if isinstance(cell, nn.LSTM):
        out_BTD, ends = cell(x_BTD, held)
        return out_BTD, ends
    out_BTD, end = cell(x_BTD, None if held is None else held[0])
    return out_BTD, (end,)


def _taken(x_BTD: Tensor, places_BT: Tensor) -> Tensor:
    """Row b's place t holds what stood at places[b, t]."""
    return x_BTD.gather(1, places_BT[:, :, None].expand(-1, -1, x_BTD.shape[2]))


def _moved(mask_BT: Tensor) -> Tensor:
    """Where each place goes when tokens move to the front of their row, all in their order: [B, T].

    A stable sort would say it too, but ONNX has none.
    """
    ahead_BT, behind_BT = mask_BT.long().cumsum(dim=1), (~mask_BT).long().cumsum(dim=1)
    return torch.where(mask_BT, ahead_BT, ahead_BT[:, -1:] + behind_BT) - 1


def _way_back(length_B: Tensor, time: int) -> Tensor:
    """Places from each row's end to its beginning, and then those of its padding: [B, T]."""
    place_1T = torch.arange(time, device=length_B.device)[None]
    return torch.where(place_1T < length_B[:, None], length_B[:, None] - 1 - place_1T, place_1T)


def _reversed(x_BTD: Tensor, back_BT: Tensor | None) -> Tensor:
    return x_BTD.flip(1) if back_BT is None else _taken(x_BTD, back_BT)
