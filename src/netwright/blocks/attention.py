"""Scaled dot-product attention over several heads (Vaswani et al., 2017), causal or not, and its cache.

``B`` batch, ``T`` queries' time, ``S`` keys' time, ``D`` width, ``H`` heads, ``E`` = D / H width of a head.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.core.errors import ConfigError

__all__ = ["KeyValueCache", "SelfAttention", "attend", "check_heads", "mask_bias"]


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

    The most negative number rather than minus infinity: a row with nothing to look at then stays finite.
    """
    bias = torch.zeros(mask_BS.shape, dtype=dtype, device=mask_BS.device)
    return bias.masked_fill(~mask_BS, torch.finfo(dtype).min)[:, None, None, :]


def attend(
    query_BHTE: Tensor, key_BHSE: Tensor, value_BHSE: Tensor, bias: Tensor | None = None, causal: bool = False,
    dropout: float = 0.0,
) -> Tensor:  # fmt: skip
    """softmax(Q K' / sqrt(E) + bias) V, where a causal query sees the keys up to its own place, counted from the end.

    Two ways to the same numbers: PyTorch's fused kernel, and, in bfloat16 on a CPU where that kernel is two to five
    times slower forward and backward than matrix products, the products themselves.

    Shapes:
        [B, H, T, E], [B, H, S, E], [B, H, S, E], bias broadcastable to [B, H, T, S] -> [B, H, T, E]
    """
    if query_BHTE.dtype == torch.bfloat16 and query_BHTE.device.type == "cpu":
        return _attend_by_products(query_BHTE, key_BHSE, value_BHSE, bias, causal, dropout)
    times = query_BHTE.shape[2], key_BHSE.shape[2]
    if causal and (bias is not None or times[0] != times[1]):
        future = _future(times[0], times[1], query_BHTE)
        bias = future if bias is None else bias.to(query_BHTE.dtype) + future
        causal = False
    return F.scaled_dot_product_attention(
        query_BHTE, key_BHSE, value_BHSE, attn_mask=bias, dropout_p=dropout, is_causal=causal
    )


def _attend_by_products(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, causal: bool, dropout: float
) -> Tensor:
    # Autocast would widen the softmax to float32 and narrow it again; its kernel already sums in float32.
    with torch.autocast(query.device.type, enabled=False):
        scores = torch.matmul(query * (1.0 / math.sqrt(query.shape[-1])), key.transpose(-2, -1))
        if bias is not None:
            scores = scores + bias.to(scores.dtype)
        if causal and query.shape[2] > 1:
            scores = scores + _future(query.shape[2], key.shape[2], query)
        return torch.matmul(F.dropout(scores.softmax(-1), dropout), value)


def _future(queries: int, keys: int, like: Tensor) -> Tensor:
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
        return self._keys[:, :, : self.length], self._values[:, :, : self.length]


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
