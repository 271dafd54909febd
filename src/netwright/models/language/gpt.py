"""GPT: a causal Transformer that predicts the next token.

Radford et al., 2019, "Language models are unsupervised multitask learners" (GPT-2), whose mathematics this is: pre-norm
blocks, learned positions, GELU by its tanh approximation, a head tied to the embedding, and residual projections that
start smaller the deeper the network. ``B`` batch, ``T`` time, ``D`` width, ``V`` vocabulary.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.blocks.activations import ActivationName
from netwright.blocks.attention import KeyValueCache, SelfAttention, check_heads
from netwright.blocks.feedforward import FeedForward
from netwright.blocks.positions import LearnedPositions, SinusoidalPositions
from netwright.blocks.sampling import check_sampling, sample_tokens
from netwright.core.errors import ConfigError
from netwright.core.schemas import Probability, Size

__all__ = ["GPT", "GPTBlock", "TiedHead"]

_INIT_STD = 0.02  # GPT-2's, for every weight but the residual projections


class GPTBlock(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)).

    Shapes:
        [B, T, D] -> [B, T, D]
    """

    def __init__(self, hidden_size: int, num_heads: int, activation: ActivationName, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(hidden_size)
        self.attention = SelfAttention(hidden_size, num_heads, causal=True, dropout=dropout)
        self.feed_forward_norm = nn.LayerNorm(hidden_size)
        self.feed_forward = FeedForward(hidden_size, 4 * hidden_size, activation, dropout)

    def forward(self, x_BTD: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), cache=cache)
        out: Tensor = x_BTD + self.feed_forward(self.feed_forward_norm(x_BTD))
        return out


class TiedHead(nn.Module):
    """Scores of all tokens by the embedding's own vectors; holds no weight, so that a file of weights has each once.

    Shapes:
        hidden [B, T, D], embedding [V, D] -> [B, T, V]
    """

    def forward(self, hidden_BTD: Tensor, embedding_VD: Tensor) -> Tensor:
        return F.linear(hidden_BTD, embedding_VD)


class GPT(nn.Module):
    """The causal language model; the defaults are GPT-2 small.

    context: the most tokens it looks back on. dropout: on embeddings, attention and both residual branches.

    Shapes:
        tokens [B, T] int64 with T <= context -> scores of each next token [B, T, V]; features: [B, T, D]

    Raises:
        ConfigError: `num_heads` does not divide `hidden_size`; in `forward`, more tokens than `context`.
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
    ) -> None:
        super().__init__()
        check_heads(num_heads, hidden_size)
        self.context = context
        self.tokens = nn.Embedding(vocab_size, hidden_size)
        position_kind = LearnedPositions if positions == "learned" else SinusoidalPositions
        self.positions = position_kind(context, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(GPTBlock(hidden_size, num_heads, activation, dropout) for _ in range(num_layers))
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

    def features(self, tokens_BT: Tensor, caches: Sequence[KeyValueCache] | None = None) -> Tensor:
        """Hidden states after the last norm, [B, T, D]; with `caches` (one a block) the tokens follow those cached."""
        start = caches[0].length if caches else 0
        time = tokens_BT.shape[1]
        if start + time > self.context:
            raise ConfigError(
                "{got} tokens are more than model.context={context}; use shorter windows, or a larger context",
                got=start + time, context=self.context,
            )  # fmt: skip
        x_BTD = self.dropout(self.tokens(tokens_BT) + self.positions(time, start))
        for index, block in enumerate(self.blocks):
            x_BTD = block(x_BTD, caches[index] if caches else None)
        out: Tensor = self.norm(x_BTD)
        return out

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Scores of the token that follows each place, [B, T, V]."""
        return self._scores(self.features(tokens_BT))

    def _scores(self, hidden_BTD: Tensor) -> Tensor:
        tied = isinstance(self.head, TiedHead)
        scores: Tensor = self.head(hidden_BTD, self.tokens.weight) if tied else self.head(hidden_BTD)
        return scores

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh head of `num_classes` scores a place, no longer tied to the embedding."""
        like = self.tokens.weight
        head = nn.Linear(like.shape[1], num_classes, bias=False, device=like.device, dtype=like.dtype)
        nn.init.normal_(head.weight, std=_INIT_STD)
        self.head = head

    @torch.no_grad()
    def generate(
        self,
        tokens_BT: Tensor,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        eos: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Continue each row by up to `max_new_tokens` tokens; gives prompt and continuation together.

        Rows that have drawn `eos` are filled up with it; it ends when all have. Each step costs one token's work: keys
        and values are cached. When `context` is full, the later half of the window is read again, the rest forgotten.

        Raises:
            ConfigError: no prompt, or sampling settings that mean nothing.
        """
        check_sampling(temperature, top_k, top_p)
        if tokens_BT.dim() != 2 or tokens_BT.shape[1] == 0:
            got = list(tokens_BT.shape)
            raise ConfigError("generate needs a prompt of shape [B, T] with one token or more, got {got}", got=got)
        mode, done_B = self.training, torch.zeros(len(tokens_BT), dtype=torch.bool, device=tokens_BT.device)
        self.eval()
        try:
            caches: list[KeyValueCache] = []
            for _ in range(max_new_tokens):
                next_B = sample_tokens(self._next_scores(tokens_BT, caches), temperature, top_k, top_p, generator)
                if eos is not None:
                    next_B = torch.where(done_B, eos, next_B)
                    done_B |= next_B == eos
                tokens_BT = torch.cat((tokens_BT, next_B[:, None]), dim=1)
                if eos is not None and bool(done_B.all()):
                    break
        finally:
            self.train(mode)
        return tokens_BT

    def _next_scores(self, tokens_BT: Tensor, caches: list[KeyValueCache]) -> Tensor:
        """[B, V]; reads only the newest token when `caches` hold the others, and refills them when they are full."""
        if caches and caches[0].length < self.context:
            fresh_BT = tokens_BT[:, -1:]
        else:
            kept = max(1, self.context // 2) if caches else self.context
            fresh_BT = tokens_BT[:, -kept:]
            caches[:] = [KeyValueCache(self.context) for _ in self.blocks]
        return self._scores(self.features(fresh_BT, caches)[:, -1:])[:, 0]
