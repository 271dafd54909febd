"""The Transformer: an encoder-decoder of attention alone.

Vaswani et al., 2017, "Attention is all you need"; the norm before each branch (pre) is Xiong et al., 2020, "On layer
normalization in the Transformer architecture". ``B`` batch, ``S`` source time, ``T`` target time, ``D`` width, ``V``
vocabulary.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from torch import Tensor, nn

from netwright.blocks.activations import ActivationName
from netwright.blocks.attention import Attention, check_heads
from netwright.blocks.encoder_decoder import EncoderDecoder, LayerCache
from netwright.blocks.feedforward import FeedForward
from netwright.blocks.heads import TiedHead, token_scores
from netwright.blocks.positions import LearnedPositions, RotaryPositions, SinusoidalPositions
from netwright.blocks.tokens import Embedding
from netwright.core.errors import ConfigError
from netwright.core.schemas import Count, Probability, Size

__all__ = ["AddAndNorm", "DecoderLayer", "EncoderLayer", "NormPlace", "Transformer"]

NormPlace = Literal["post", "pre"]
Rotate = Callable[[Tensor, int], Tensor]


class AddAndNorm(nn.Module):
    """A branch with its residual: norm(x + dropout(branch(x))) post, x + dropout(branch(norm(x))) pre.

    Shapes:
        [B, T, D] -> [B, T, D]
    """

    def __init__(self, hidden_size: int, place: NormPlace, dropout: float) -> None:
        super().__init__()
        self.place = place
        self.norm = nn.LayerNorm(hidden_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTD: Tensor, branch: Callable[[Tensor], Tensor]) -> Tensor:
        out: Tensor
        if self.place == "pre":
            out = x_BTD + self.dropout(branch(self.norm(x_BTD)))
        else:
            out = self.norm(x_BTD + self.dropout(branch(x_BTD)))
        return out


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward.

    Shapes:
        [B, S, D] -> [B, S, D]
    """

    def __init__(
        self, hidden_size: int, num_heads: int, inner_size: int, dropout: float, activation: ActivationName,
        norm: NormPlace,
    ) -> None:  # fmt: skip
        super().__init__()
        self.attention = Attention(hidden_size, num_heads, dropout=dropout)
        self.attention_join = AddAndNorm(hidden_size, norm, dropout)
        self.feed_forward = FeedForward(hidden_size, inner_size, activation)
        self.feed_forward_join = AddAndNorm(hidden_size, norm, dropout)

    def forward(self, x_BSD: Tensor, mask_BS: Tensor | None = None, rotate: Rotate | None = None) -> Tensor:
        x_BSD = self.attention_join(x_BSD, partial(self.attention, mask_BS=mask_BS, rotate=rotate))
        out: Tensor = self.feed_forward_join(x_BSD, self.feed_forward)
        return out


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the encoder's memory, then feed-forward.

    Shapes:
        x [B, T, D], memory [B, S, D] -> [B, T, D]
    """

    def __init__(
        self, hidden_size: int, num_heads: int, inner_size: int, dropout: float, activation: ActivationName,
        norm: NormPlace,
    ) -> None:  # fmt: skip
        super().__init__()
        self.attention = Attention(hidden_size, num_heads, dropout=dropout)
        self.attention_join = AddAndNorm(hidden_size, norm, dropout)
        self.memory_attention = Attention(hidden_size, num_heads, dropout=dropout)
        self.memory_join = AddAndNorm(hidden_size, norm, dropout)
        self.feed_forward = FeedForward(hidden_size, inner_size, activation)
        self.feed_forward_join = AddAndNorm(hidden_size, norm, dropout)

    def forward(
        self, x_BTD: Tensor, memory_BSD: Tensor, source_mask: Tensor | None = None, cache: LayerCache | None = None,
        rotate: Rotate | None = None,
    ) -> Tensor:  # fmt: skip
        own, kept = (None, None) if cache is None else (cache.own, cache.memory)
        x_BTD = self.attention_join(x_BTD, partial(self.attention, causal=True, cache=own, rotate=rotate))
        to_memory = partial(self.memory_attention, memory_BSD=memory_BSD, mask_BS=source_mask, cache=kept)
        x_BTD = self.memory_join(x_BTD, to_memory)
        out: Tensor = self.feed_forward_join(x_BTD, self.feed_forward)
        return out


class Transformer(EncoderDecoder):
    """The encoder-decoder; the defaults are the paper's base model with its English-German vocabulary.

    context: the longest source and the longest target. norm: post as in the paper, pre trains without warm-up.
    sharing: one matrix for source embedding, target embedding and head (section 3.4: all), for the two embeddings, for
    target embedding and head, or none. start_token: what targets begin with.

    Differs from the paper: as in torch.nn.Transformer, whose numbers these are, a norm ends each stack also where the
    layers end with one; dropout also falls on attention weights.

    Shapes:
        source [B, S] and target [B, T] int64, both within context; mask [B, S] True where there is a token
        -> scores of each next token [B, T, V]; features: [B, T, D]

    Raises:
        ConfigError: `num_heads` does not divide `hidden_size`; in `forward`, more tokens than `context`.
    """

    context: int

    def __init__(
        self,
        vocab_size: Size = 37000,
        context: Size = 1024,
        num_layers: Size = 6,
        num_heads: Size = 8,
        hidden_size: Size = 512,
        inner_size: Size = 2048,
        dropout: Probability = 0.1,
        activation: ActivationName = "relu",
        norm: NormPlace = "post",
        positions: Literal["sinusoidal", "learned", "rotary"] = "sinusoidal",
        sharing: Literal["all", "embeddings", "head", "none"] = "all",
        start_token: Count = 2,
    ) -> None:
        super().__init__()
        check_heads(num_heads, hidden_size)
        self.context, self.hidden_size, self.start_token = context, hidden_size, start_token
        self.num_decoder_layers = num_layers
        self.source = Embedding(vocab_size, hidden_size)
        shared = sharing in ("all", "embeddings")
        self.target = None if shared else Embedding(vocab_size, hidden_size)
        self.positions = _positions(positions, context, hidden_size, num_heads)
        self.dropout = nn.Dropout(dropout)
        sizes = (hidden_size, num_heads, inner_size, dropout, activation, norm)
        self.encoder = nn.ModuleList(EncoderLayer(*sizes) for _ in range(num_layers))
        self.encoder_norm = nn.LayerNorm(hidden_size)
        self.decoder = nn.ModuleList(DecoderLayer(*sizes) for _ in range(num_layers))
        self.decoder_norm = nn.LayerNorm(hidden_size)
        tied = sharing in ("all", "head")
        self.head: nn.Module = TiedHead() if tied else nn.Linear(hidden_size, vocab_size, bias=False)
        self._init_weights()

    def _init_weights(self) -> None:
        """The authors' (tensor2tensor): Glorot's uniform weights, embeddings whose scaled vectors have unit scale."""
        for module in (*self.encoder.modules(), *self.decoder.modules()):
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        own = () if self.target is None else (self.target,)
        for matrix in (self.source, *own, self.head):
            if isinstance(matrix, nn.Embedding | nn.Linear):
                nn.init.normal_(matrix.weight, std=self.hidden_size**-0.5)

    def encode(self, source_BS: Tensor, source_mask: Tensor | None = None) -> Tensor:
        """The memory of a source: [B, S, D]."""
        x_BSD = self._embed(self.source, source_BS, 0)
        for layer in self.encoder:
            x_BSD = layer(x_BSD, source_mask, self._rotate())
        out: Tensor = self.encoder_norm(x_BSD)
        return out

    def hidden(
        self, target_BT: Tensor, memory_BSD: Tensor, source_mask: Tensor | None = None,
        caches: Sequence[LayerCache] | None = None,
    ) -> Tensor:  # fmt: skip
        """The decoder's states after its last norm: [B, T, D]."""
        x_BTD = self._embed(self._target(), target_BT, caches[0].own.length if caches else 0)
        for index, layer in enumerate(self.decoder):
            x_BTD = layer(x_BTD, memory_BSD, source_mask, caches[index] if caches else None, self._rotate())
        out: Tensor = self.decoder_norm(x_BTD)
        return out

    def scores(self, hidden_BTD: Tensor) -> Tensor:
        """The head: [B, T, D] -> [B, T, V]."""
        return token_scores(self.head, hidden_BTD, self._target().weight)

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh head of `num_classes` scores a place, no longer tied to the embedding."""
        like = self.source.weight
        head = nn.Linear(self.hidden_size, num_classes, bias=False, device=like.device, dtype=like.dtype)
        nn.init.normal_(head.weight, std=self.hidden_size**-0.5)
        self.head = head

    def _target(self) -> nn.Embedding:
        return self.source if self.target is None else self.target

    def _rotate(self) -> Rotate | None:
        return self.positions if isinstance(self.positions, RotaryPositions) else None

    def _embed(self, embedding: nn.Embedding, tokens_BT: Tensor, start: int) -> Tensor:
        """Embeddings times sqrt(D), so that the positions added to them do not drown them (section 3.4)."""
        time = tokens_BT.shape[1]
        if start + time > self.context:
            raise ConfigError(
                "{got} tokens are more than model.context={context}; use shorter texts, or a larger context",
                got=start + time, context=self.context,
            )  # fmt: skip
        x_BTD = embedding(tokens_BT) * self.hidden_size**0.5
        if not isinstance(self.positions, RotaryPositions):
            x_BTD = x_BTD + self.positions(time, start)
        out: Tensor = self.dropout(x_BTD)
        return out


def _positions(
    kind: str, context: int, hidden_size: int, num_heads: int
) -> LearnedPositions | RotaryPositions | SinusoidalPositions:
    if kind == "rotary":
        return RotaryPositions(context, hidden_size // num_heads)
    return LearnedPositions(context, hidden_size) if kind == "learned" else SinusoidalPositions(context, hidden_size)
