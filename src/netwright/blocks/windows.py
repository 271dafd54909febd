"""Attention inside windows of a feature map, with relative positions and shifted windows.

Liu et al., 2021, "Swin Transformer: hierarchical vision transformer using shifted windows", section 3.2. ``B`` batch,
``H``, ``W`` sides of the map, ``D`` width, ``N`` windows of a map, ``T`` places of a window (its side squared), ``h``
heads, ``E`` = D / h width of a head.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.blocks.attention import attend_by_products, check_heads

__all__ = ["WindowAttention", "join_windows", "relative_index", "shift_bias", "split_windows"]

_APART = -100.0  # added to the score of two places that the shift made neighbours; the value of the paper's code


def split_windows(x_BHWD: Tensor, window: int) -> Tensor:
    """Cut a map, whose sides are multiples of `window`, into squares: [B, N, T, D], windows row by row."""
    batch, height, width, depth = x_BHWD.shape
    squares = x_BHWD.reshape(batch, height // window, window, width // window, window, depth).transpose(2, 3)
    return squares.reshape(batch, height * width // window**2, window**2, depth)


def join_windows(x_BNTD: Tensor, window: int, height: int, width: int) -> Tensor:
    """Undo of `split_windows`: [B, height, width, D]."""
    batch, depth = x_BNTD.shape[0], x_BNTD.shape[3]
    squares = x_BNTD.reshape(batch, height // window, width // window, window, window, depth).transpose(2, 3)
    return squares.reshape(batch, height, width, depth)


def relative_index(window: int) -> Tensor:
    """[T, T] int64: for each pair of places the row, of (2 window - 1)^2, that stands for the offset between them."""
    place = torch.arange(window)
    row_T, column_T = place.repeat_interleave(window), place.repeat(window)
    down_TT = row_T[:, None] - row_T + window - 1
    right_TT = column_T[:, None] - column_T + window - 1
    return down_TT * (2 * window - 1) + right_TT


def shift_bias(height: int, width: int, window: int, shifts: tuple[int, int], like: Tensor) -> Tensor:
    """[N, T, T]: zero, but -100 between places that lie in one window only because the map was rolled by `shifts`."""
    row_H, column_W = _strip(height, window, shifts[0], like), _strip(width, window, shifts[1], like)
    region_HW = 3 * row_H[:, None] + column_W
    region_NT = split_windows(region_HW[None, :, :, None], window)[0, :, :, 0]
    apart_NTT = region_NT[:, :, None] != region_NT[:, None, :]
    return apart_NTT.to(like.dtype) * _APART


def _strip(size: int, window: int, shift: int, like: Tensor) -> Tensor:
    """Which of three strips a row belongs to: before the last window, in it, or in its part that came round."""
    place = torch.arange(size, device=like.device)
    if not shift:
        return torch.zeros_like(place)
    return (place >= size - window).long() + (place >= size - shift).long()


class WindowAttention(nn.Module):
    """Self-attention within windows of `window` x `window` places; a learned bias for each head and relative offset.

    softmax(Q K' / sqrt(E) + bias) V, equation 4. With a `shift` the map is rolled by it first, so that the windows
    straddle those of the layer before; what the roll brings together does not see each other. A map that is no multiple
    of the window is padded with zeros at the right and the bottom, and along a side of one window nothing is shifted.

    Shapes:
        [B, H, W, D] -> [B, H, W, D]

    Raises:
        ConfigError: `num_heads` does not divide `hidden_size`.
    """

    relative_index: Tensor

    def __init__(self, hidden_size: int, num_heads: int, window: int, shift: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        check_heads(num_heads, hidden_size)
        self.num_heads = num_heads
        self.window = window
        self.shift = shift
        self.attention_dropout = dropout
        self.query_key_value = nn.Linear(hidden_size, 3 * hidden_size)
        self.relative_bias = nn.Parameter(torch.empty((2 * window - 1) ** 2, num_heads))
        self.project = nn.Linear(hidden_size, hidden_size)
        self.dropout = nn.Dropout(dropout)
        # Computed, so not saved: a checkpoint holds only what was learned.
        self.register_buffer("relative_index", relative_index(window), persistent=False)
        nn.init.trunc_normal_(self.relative_bias, std=0.02)

    def forward(self, x_BHWD: Tensor) -> Tensor:
        height, width = x_BHWD.shape[1], x_BHWD.shape[2]
        below, beside = -height % self.window, -width % self.window
        if below or beside:
            x_BHWD = F.pad(x_BHWD, (0, 0, 0, beside, 0, below))
        padded = height + below, width + beside
        shifts = self._shift(padded[0]), self._shift(padded[1])
        if any(shifts):
            x_BHWD = x_BHWD.roll((-shifts[0], -shifts[1]), dims=(1, 2))
        seen_BNTD = self._attend(split_windows(x_BHWD, self.window), padded, shifts)
        out_BHWD = join_windows(self.dropout(self.project(seen_BNTD)), self.window, *padded)
        if any(shifts):
            out_BHWD = out_BHWD.roll(shifts, dims=(1, 2))
        return out_BHWD[:, :height, :width]

    def _shift(self, size: int) -> int:
        """A side of one window has no neighbour to shift towards."""
        return self.shift if size > self.window else 0

    def _attend(self, x_BNTD: Tensor, padded: tuple[int, int], shifts: tuple[int, int]) -> Tensor:
        heads = self.query_key_value(x_BNTD).unflatten(-1, (3, self.num_heads, -1))
        query_BNhTE, key_BNhTE, value_BNhTE = heads.permute(3, 0, 1, 4, 2, 5).unbind(0)
        bias = F.embedding(self.relative_index, self.relative_bias).permute(2, 0, 1).contiguous().to(query_BNhTE.dtype)
        if any(shifts):
            bias = bias + shift_bias(*padded, self.window, shifts, like=bias)[:, None]
        dropout = self.attention_dropout if self.training else 0.0
        # A window is so small that products beat the fused kernel, forward and backward.
        seen_BNhTE = attend_by_products(query_BNhTE, key_BNhTE, value_BNhTE, bias, dropout=dropout)
        return seen_BNhTE.transpose(2, 3).flatten(3)
