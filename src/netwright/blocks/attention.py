"""Scaled dot-product attention over several heads (Vaswani et al., 2017), causal or not, and its cache.

``B`` batch, ``T`` queries' time, ``S`` keys' time, ``D`` width, ``H`` heads, ``E`` width of a head, mostly D / H.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.core.errors import ConfigError

__all__ = [
    "Attention",
    "KeyValueCache",
    "SelfAttention",
    "attend",
    "attend_by_products",
    "check_heads",
    "future_bias",
    "join_bias",
    "mask_bias",
]


def check_heads(num_heads: int, hidden_size: int) -> None:
    """Refuse a number of heads that does not divide the width.

    Raises:
        ConfigError: naming the numbers of heads that do.
    """
    if hidden_size % num_heads:
        fitting = [str(n) for n in range(1, hidden_size + 1) if hidden_size % n == 0][:12]
        raise ConfigError(
            "model.num_heads={num_heads} does not divide hidden_size={hidden_size}; use {some} or {last}",
            num_heads=num_heads, hidden_size=hidden_size, some=", ".join(fitting[:-1]) or "1", last=fitting[-1],
        )  # fmt: skip


def mask_bias(mask_BS: Tensor, dtype: torch.dtype) -> Tensor:
    """Turn a mask of keys (True where there is something to look at) into what is added to the scores: [B, 1, 1, S].

    Half of the most negative number rather than minus infinity: a row with nothing to look at then stays finite, and
    so does the sum with a score.
    """
    bias = torch.zeros(mask_BS.shape, dtype=dtype, device=mask_BS.device)
    return bias.masked_fill(~mask_BS, torch.finfo(dtype).min / 2)[:, None, None, :]


def join_bias(bias: Tensor | None, mask_BS: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """What is added to the scores for a bias of each place [1 or B, H, T, S] and a mask of keys together."""
    if bias is None:
        return None if mask_BS is None else mask_bias(mask_BS, dtype)
    bias = bias.to(dtype)
    return bias if mask_BS is None else bias.masked_fill(~mask_BS[:, None, None, :], torch.finfo(dtype).min / 2)


def attend(
    query_BHTE: Tensor, key_BHSE: Tensor, value_BHSE: Tensor, bias: Tensor | None = None, causal: bool = False,
    dropout: float = 0.0, scale: float | None = None,
) -> Tensor:  # fmt: skip
    """softmax(scale Q K' + bias) V, where a causal query sees the keys up to its own place, counted from the end.

    The scale is 1 / sqrt(E) unless one is given.

    Two ways to the same numbers: PyTorch's fused kernel, and, in bfloat16 on a CPU where that kernel is two to five
    times slower forward and backward than matrix products, the products themselves.

    Shapes:
        [B, H, T, E], [B, H, S, E], [B, H, S, E], bias broadcastable to [B, H, T, S] -> [B, H, T, E]
    """
    if query_BHTE.dtype == torch.bfloat16 and query_BHTE.device.type == "cpu":
        return attend_by_products(query_BHTE, key_BHSE, value_BHSE, bias, causal, dropout, scale)
    times = query_BHTE.shape[2], key_BHSE.shape[2]
    if causal and (bias is not None or times[0] != times[1]):
        future = future_bias(times[0], times[1], query_BHTE)
        bias = future if bias is None else bias.to(query_BHTE.dtype) + future
        causal = False
    return F.scaled_dot_product_attention(
        query_BHTE, key_BHSE, value_BHSE, attn_mask=bias, dropout_p=dropout, is_causal=causal, scale=scale
    )


def attend_by_products(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None, causal: bool = False, dropout: float = 0.0,
    scale: float | None = None,
) -> Tensor:  # fmt: skip
    """`attend` by matrix products, on any device and with any number of dimensions before H."""
    # Autocast would widen the softmax to float32 and narrow it again; its kernel already sums in float32.
    device = query.device.type
    with torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext():
        scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
        scores = torch.matmul(query if scale == 1.0 else query * scale, key.transpose(-2, -1))
        if bias is not None:
            scores = scores + bias.to(scores.dtype)
        if causal and query.shape[-2] > 1:
            scores = scores + future_bias(query.shape[-2], key.shape[-2], query)
        return torch.matmul(F.dropout(scores.softmax(-1), dropout), value)


def future_bias(queries: int, keys: int, like: Tensor) -> Tensor:
    """[T, S]: minus infinity where key s comes after query t, zero elsewhere; the last query stands at the last key."""
    hidden = torch.full((queries, keys), -math.inf, dtype=like.dtype, device=like.device)
    return hidden.triu(1 + keys - queries)


class KeyValueCache:
    """The keys and values of the tokens one attention layer has seen, in room laid out once for `context` of them."""

    def __init__(self, context: int) -> None:
        self.context = context
        self.length = 0
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def append(self, key_BHTE: Tensor, value_BHTE: Tensor) -> tuple[Tensor, Tensor]:
        """Add the newest tokens; give back the keys and the values of all tokens so far, [B, H, length, E] each."""
        if self._keys is None or self._values is None:
            batch, heads, _, width = key_BHTE.shape
            self._keys = key_BHTE.new_empty(batch, heads, self.context, width)
            self._values = torch.empty_like(self._keys)
        start, self.length = self.length, self.length + key_BHTE.shape[2]
        self._keys[:, :, start : self.length] = key_BHTE
        self._values[:, :, start : self.length] = value_BHTE
        return self.held()

    def held(self) -> tuple[Tensor, Tensor]:
        """The keys and the values of all tokens so far, [B, H, length, E] each."""
        assert self._keys is not None and self._values is not None, "nothing has been appended"
        return self._keys[:, :, : self.length], self._values[:, :, : self.length]

    def reorder(self, rows_N: Tensor) -> None:
        """Let row n be a copy of the row rows_N[n]; there may be more rows than before, or fewer."""
        if self._keys is not None and self._values is not None:
            self._keys, self._values = self._picked(self._keys, rows_N), self._picked(self._values, rows_N)

    def _picked(self, room: Tensor, rows_N: Tensor) -> Tensor:
        """The rows in a room of the same size; only what is filled is copied."""
        fresh = room.new_empty(len(rows_N), *room.shape[1:])
        fresh[:, :, : self.length] = room[:, :, : self.length].index_select(0, rows_N)
        return fresh


class SelfAttention(nn.Module):
    """Multi-head self-attention: one projection to queries, keys and values (GPT-2's layout), attention, one back.

    Shapes:
        [B, T, D] -> [B, T, D]; mask_BT is True where there is a token

    Raises:
        ConfigError: `num_heads` does not divide `hidden_size`.
    """

    def __init__(
        self, hidden_size: int, num_heads: int, causal: bool = False, dropout: float = 0.0, bias: bool = True
    ) -> None:
        super().__init__()
        check_heads(num_heads, hidden_size)
        self.num_heads = num_heads
        self.causal = causal
        self.attention_dropout = dropout
        self.query_key_value = nn.Linear(hidden_size, 3 * hidden_size, bias=bias)
        self.project = nn.Linear(hidden_size, hidden_size, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor | None = None, cache: KeyValueCache | None = None) -> Tensor:
        batch, time, width = x_BTD.shape
        heads = self.query_key_value(x_BTD).view(batch, time, 3, self.num_heads, width // self.num_heads)
        query_BHTE, key_BHTE, value_BHTE = heads.permute(2, 0, 3, 1, 4).unbind(0)
        if cache is not None:
            key_BHTE, value_BHTE = cache.append(key_BHTE, value_BHTE)
        bias = None if mask_BT is None else mask_bias(mask_BT, query_BHTE.dtype)
        dropout = self.attention_dropout if self.training else 0.0
        seen_BHTE = attend(query_BHTE, key_BHTE, value_BHTE, bias, self.causal, dropout)
        out: Tensor = self.dropout(self.project(seen_BHTE.transpose(1, 2).reshape(batch, time, width)))
        return out


class Attention(nn.Module):
    """Multi-head attention with a projection each for queries, keys, values and back: to itself, or to a memory.

    head_size: E, where H * E is not to be D. scale: on the products, 1 / sqrt(E) unless given.

    Shapes:
        x [B, T, D], memory [B, S, D] or None (attends to x: S = T) -> [B, T, D]
        mask_BS is True where there is something to look at; bias, added to the scores: [1 or B, H, T, S]

    Raises:
        ConfigError: `num_heads` does not divide `hidden_size`, and no `head_size` is given.
    """

    def __init__(
        self, hidden_size: int, num_heads: int, head_size: int | None = None, bias: bool = True, dropout: float = 0.0,
        scale: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if head_size is None:
            check_heads(num_heads, hidden_size)
        self.num_heads = num_heads
        self.head_size = head_size or hidden_size // num_heads
        self.attention_dropout = dropout
        self.scale = scale
        inner = num_heads * self.head_size
        self.query = nn.Linear(hidden_size, inner, bias=bias)
        self.key = nn.Linear(hidden_size, inner, bias=bias)
        self.value = nn.Linear(hidden_size, inner, bias=bias)
        self.project = nn.Linear(inner, hidden_size, bias=bias)

    def forward(
        self,
        x_BTD: Tensor,
        memory_BSD: Tensor | None = None,
        mask_BS: Tensor | None = None,
        bias: Tensor | None = None,
        causal: bool = False,
        cache: KeyValueCache | None = None,
        rotate: Callable[[Tensor, int], Tensor] | None = None,
    ) -> Tensor:
        """Attend from each place of `x` to the memory, or to `x` and what its cache holds.

        cache: without a memory, x follows what it holds and is added; with one, it is filled from the memory once, and
        from then on read in the memory's stead. rotate: (heads [B, H, T, E], first place) -> the heads turned by their
        places (`RotaryPositions`).
        """
        query_BHTE = self._heads(self.query(x_BTD))
        if rotate is not None:
            query_BHTE = rotate(query_BHTE, cache.length if cache is not None else 0)
        key_BHSE, value_BHSE = self._keys_and_values(x_BTD, memory_BSD, cache, rotate)
        dropout = self.attention_dropout if self.training else 0.0
        bias = join_bias(bias, mask_BS, query_BHTE.dtype)
        seen_BHTE = attend(query_BHTE, key_BHSE, value_BHSE, bias, causal, dropout, self.scale)
        out: Tensor = self.project(seen_BHTE.transpose(1, 2).flatten(2))
        return out

    def _keys_and_values(
        self,
        x_BTD: Tensor,
        memory_BSD: Tensor | None,
        cache: KeyValueCache | None,
        rotate: Callable[[Tensor, int], Tensor] | None,
    ) -> tuple[Tensor, Tensor]:
        if memory_BSD is not None and cache is not None and cache.length:
            return cache.held()
        source_BSD = x_BTD if memory_BSD is None else memory_BSD
        key_BHSE, value_BHSE = self._heads(self.key(source_BSD)), self._heads(self.value(source_BSD))
        if rotate is not None:
            key_BHSE = rotate(key_BHSE, cache.length if cache is not None else 0)
        return (key_BHSE, value_BHSE) if cache is None else cache.append(key_BHSE, value_BHSE)

    def _heads(self, x_BTD: Tensor) -> Tensor:
        x_BTHE: Tensor = x_BTD.unflatten(2, (self.num_heads, self.head_size))
        return x_BTHE.transpose(1, 2)
