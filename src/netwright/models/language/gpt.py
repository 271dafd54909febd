"""GPT: a causal Transformer that predicts the next token.

Radford et al., 2019, "Language models are unsupervised multitask learners" (GPT-2), whose mathematics this is: pre-norm
blocks, learned positions, GELU by its tanh approximation, a head tied to the embedding, and residual projections that
start smaller the deeper the network. ``B`` batch, ``T`` time, ``D`` width, ``V`` vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.blocks.activations import ActivationName
from netwright.blocks.attention import KeyValueCache, SelfAttention, check_heads
from netwright.blocks.feedforward import FeedForward
from netwright.blocks.generation import Writing, generate_tokens, writing
from netwright.blocks.heads import TiedHead, token_scores
from netwright.blocks.positions import LearnedPositions, SinusoidalPositions
from netwright.blocks.tokens import Embedding, as_mask
from netwright.core.errors import ConfigError
from netwright.core.schemas import Probability, Size, preset

__all__ = ["GPT", "GPTBlock", "gpt2_large", "gpt2_medium", "gpt2_xl"]

_INIT_STD = 0.02  # GPT-2's, for every weight but the residual projections


class GPTBlock(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)).

    Shapes:
        [B, T, D] -> [B, T, D]
    """

    def __init__(
        self, hidden_size: int, num_heads: int, activation: ActivationName, dropout: float,
        inner_size: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.attention_norm = nn.LayerNorm(hidden_size)
        self.attention = SelfAttention(hidden_size, num_heads, causal=True, dropout=dropout)
        self.feed_forward_norm = nn.LayerNorm(hidden_size)
        self.feed_forward = FeedForward(hidden_size, inner_size or 4 * hidden_size, activation, dropout)

    def forward(self, x_BTD: Tensor, cache: KeyValueCache | None = None, mask_BS: Tensor | None = None) -> Tensor:
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), mask_BS, cache)
        out: Tensor = x_BTD + self.feed_forward(self.feed_forward_norm(x_BTD))
        return out


class GPT(nn.Module):
    """The causal language model; the defaults are GPT-2 small.

    context: the most tokens it looks back on. dropout: on embeddings, attention and both residual branches.
    inner_size: of the feed-forward, 4 * D unless given.

    Shapes:
        tokens [B, T] int64 with T <= context -> scores of each next token [B, T, V]; features: [B, T, D]

    Raises:
        ConfigError: `num_heads` does not divide `hidden_size`; in `forward`, more tokens than `context`, or a code
            without a vector.
    """

    def __init__(
        self,
        vocab_size: Size = 50257,
        context: Size = 1024,
        num_layers: Size = 12,
        num_heads: Size = 12,
        hidden_size: Size = 768,
        dropout: Probability = 0.1,
        activation: ActivationName = "gelu-tanh",
        positions: Literal["learned", "sinusoidal"] = "learned",
        inner_size: Size | None = None,
    ) -> None:
        super().__init__()
        check_heads(num_heads, hidden_size)
        self.context = context
        self.tokens = Embedding(vocab_size, hidden_size)
        position_kind = LearnedPositions if positions == "learned" else SinusoidalPositions
        self.positions = position_kind(context, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            GPTBlock(hidden_size, num_heads, activation, dropout, inner_size) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(hidden_size)
        self.head: nn.Module = TiedHead()
        self._init_weights()

    def _init_weights(self) -> None:
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                # Each of the 2 * num_layers residual branches adds variance; this keeps their sum at unit scale.
                depth_scale = (2 * len(self.blocks)) ** -0.5 if name.endswith("project.weight") else 1.0
                nn.init.normal_(weight, std=_INIT_STD * depth_scale)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

    def features(
        self, tokens_BT: Tensor, caches: Sequence[KeyValueCache] | None = None, mask_BS: Tensor | None = None
    ) -> Tensor:
        """Hidden states after the last norm, [B, T, D]; with `caches` (one a block) the tokens follow those cached.

        mask_BS: True where there is a token, for those cached too: padding is not looked at and takes no position.
        """
        start = caches[0].length if caches else 0
        mask_BS = mask_BS if start else as_mask(mask_BS, tokens_BT)
        time = tokens_BT.shape[1]
        if start + time > self.context:
            raise ConfigError(
                "{got} tokens are more than model.context={context}; use shorter windows, or a larger context",
                got=start + time, context=self.context,
            )  # fmt: skip
        x_BTD = self.dropout(self.tokens(tokens_BT) + self._places(time, start, mask_BS))
        for index, block in enumerate(self.blocks):
            x_BTD = block(x_BTD, caches[index] if caches else None, mask_BS)
        out: Tensor = self.norm(x_BTD)
        return out

    def _places(self, time: int, start: int, mask_BS: Tensor | None) -> Tensor:
        """The positions' vectors, [T, D], or [B, T, D] where rows begin at different places."""
        if mask_BS is None:
            vectors: Tensor = self.positions(time, start)
            return vectors
        place_BS = (mask_BS.long().cumsum(dim=1) - 1).clamp(min=0)
        return F.embedding(place_BS[:, -time:], self.positions.weight)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Scores of the token that follows each place, [B, T, V]."""
        return self._scores(self.features(tokens_BT))

    def _scores(self, hidden_BTD: Tensor) -> Tensor:
        return token_scores(self.head, hidden_BTD, self.tokens.weight)

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh head of `num_classes` scores a place, no longer tied to the embedding."""
        like = self.tokens.weight
        head = nn.Linear(like.shape[1], num_classes, bias=False, device=like.device, dtype=like.dtype)
        nn.init.normal_(head.weight, std=_INIT_STD)
        self.head = head

    def generate(
        self, tokens_BT: Tensor, max_new_tokens: int, *, mask_BT: Tensor | None = None, **how: Unpack[Writing]
    ) -> Tensor:
        """Continue each row by up to `max_new_tokens` tokens; gives prompt and continuation together.

        Each step costs one token's work: keys and values are cached. When `context` is full, the later half of the
        window is read again, the rest forgotten. Settings: those of `blocks.generation.generate_tokens`.

        Args:
            mask_BT: prompts of several lengths are padded on the left; True where there is a token.

        Raises:
            ConfigError: no prompt, a prompt padded on the right, or settings that mean nothing.
        """
        mask_BT = as_mask(mask_BT, tokens_BT)

        def step(new_BT: Tensor, window: _Window | None) -> tuple[Tensor, _Window]:
            if window is None:
                window = _Window(min(self.context, new_BT.shape[1] + max_new_tokens), new_BT, mask_BT)
            else:
                window.add(new_BT)
            return self._next_scores(window), window

        with writing(self):
            return generate_tokens(step, tokens_BT, max_new_tokens, mask_BT=mask_BT, **how)

    def _next_scores(self, window: "_Window") -> Tensor:
        """[B, V]; reads only the newest token when the caches hold the others, and refills them when they are full."""
        fresh = 1
        if not window.caches or window.caches[0].length == self.context:
            fresh = max(1, self.context // 2) if window.caches else self.context
            window.keep(fresh)
            window.caches = [KeyValueCache(window.room) for _ in self.blocks]
        hidden_BTD = self.features(window.tokens_BT[:, -fresh:], window.caches, window.mask_BT)
        return self._scores(hidden_BTD[:, -1:])[:, 0]


@dataclass
class _Window:
    """The tokens that the network looks back on while it writes, and the blocks' caches, each with room for `room`."""

    room: int
    tokens_BT: Tensor
    mask_BT: Tensor | None
    caches: list[KeyValueCache] = field(default_factory=list)

    def add(self, new_BT: Tensor) -> None:
        self.tokens_BT = torch.cat((self.tokens_BT, new_BT), dim=1)
        if self.mask_BT is not None:
            self.mask_BT = torch.cat((self.mask_BT, torch.ones_like(new_BT, dtype=torch.bool)), dim=1)

    def keep(self, newest: int) -> None:
        self.tokens_BT = self.tokens_BT[:, -newest:]
        self.mask_BT = None if self.mask_BT is None else self.mask_BT[:, -newest:]

    def reorder(self, rows_N: Tensor) -> None:
        self.tokens_BT = self.tokens_BT[rows_N]
        self.mask_BT = None if self.mask_BT is None else self.mask_BT[rows_N]
        for cache in self.caches:
            cache.reorder(rows_N)


gpt2_medium = preset(GPT, "gpt2_medium", num_layers=24, num_heads=16, hidden_size=1024)
gpt2_large = preset(GPT, "gpt2_large", num_layers=36, num_heads=20, hidden_size=1280)
gpt2_xl = preset(GPT, "gpt2_xl", num_layers=48, num_heads=25, hidden_size=1600)
