"""What all encoder-decoder Transformers share: the verbs around a stack that reads and a stack that writes.

``B`` batch, ``S`` source time, ``T`` target time, ``D`` width, ``V`` vocabulary.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Unpack

from torch import Tensor, nn

from netwright.blocks.attention import KeyValueCache
from netwright.blocks.generation import DecoderState, Writing, generate_tokens, writing
from netwright.blocks.tokens import as_mask, check_tokens
from netwright.core.errors import ConfigError

__all__ = ["EncoderDecoder", "LayerCache"]


class LayerCache:
    """What one decoder layer keeps between steps: its own tokens' keys and values, and the memory's."""

    def __init__(self, context: int, source: int) -> None:
        self.own = KeyValueCache(context)
        self.memory = KeyValueCache(source)

    def reorder(self, rows_N: Tensor) -> None:
        """Let row n be a copy of the row rows_N[n]."""
        self.own.reorder(rows_N)
        self.memory.reorder(rows_N)


class EncoderDecoder(nn.Module, ABC):
    """Reads a source once, writes a target from left to right; a network gives the two stacks and the scores.

    start_token: what `generate` begins with unless told. context: the longest target, None where there is no limit.

    Shapes:
        source [B, S] and target [B, T] int64, mask [B, S] True where there is a token -> scores [B, T, V];
        features: [B, T, D]

    Raises:
        ConfigError: in `forward`, a code without a vector, or a mask that does not fit.
    """

    start_token: int
    context: int | None = None
    num_decoder_layers: int

    @abstractmethod
    def encode(self, source_BS: Tensor, source_mask: Tensor | None = None) -> Tensor:
        """The memory of a source: [B, S, D]."""

    @abstractmethod
    def hidden(
        self, target_BT: Tensor, memory_BSD: Tensor, source_mask: Tensor | None = None,
        caches: Sequence[LayerCache] | None = None,
    ) -> Tensor:  # fmt: skip
        """The decoder's states before the head: [B, T, D]; with `caches`, the target follows what they hold."""

    @abstractmethod
    def scores(self, hidden_BTD: Tensor) -> Tensor:
        """The head: [B, T, D] -> [B, T, V]."""

    @abstractmethod
    def reset_head(self, num_classes: int) -> None:
        """Put a fresh head of `num_classes` scores a place, no longer tied to an embedding."""

    def decode(
        self, target_BT: Tensor, memory_BSD: Tensor, source_mask: Tensor | None = None,
        caches: Sequence[LayerCache] | None = None,
    ) -> Tensor:  # fmt: skip
        """Scores of the token after each place of the target: [B, T, V]; with `caches` it follows what they hold."""
        return self.scores(self.hidden(target_BT, memory_BSD, source_mask, caches))

    def features(self, source_BS: Tensor, target_BT: Tensor, source_mask: Tensor | None = None) -> Tensor:
        """The decoder's states after its last norm: [B, T, D]."""
        check_tokens(target_BT)
        source_mask = as_mask(source_mask, source_BS)
        return self.hidden(target_BT, self.encode(source_BS, source_mask), source_mask)

    def forward(self, source_BS: Tensor, target_BT: Tensor, source_mask: Tensor | None = None) -> Tensor:
        """Scores of the token that follows each place of the target, [B, T, V]; none sees the target after it."""
        return self.scores(self.features(source_BS, target_BT, source_mask))

    def new_caches(self, context: int, source: int) -> list[LayerCache]:
        """An empty cache for each decoder layer, with room for `context` tokens and a source of `source`."""
        return [LayerCache(context, source) for _ in range(self.num_decoder_layers)]

    def generate(
        self,
        source_BS: Tensor,
        source_mask: Tensor | None = None,
        max_new_tokens: int = 64,
        *,
        bos: int | None = None,
        **how: Unpack[Writing],
    ) -> Tensor:
        """Write a target for each source, which is read once. Settings: those of `generate_tokens`.

        bos: the token that targets begin with, the network's `start_token` if none is given.

        Shapes:
            source [B, S] int64 -> [B, 1 + new]: the first token, then up to `max_new_tokens` of the network's own, as
            far as `context` goes

        Raises:
            ConfigError: settings that mean nothing.
        """
        source_mask = as_mask(source_mask, source_BS)
        if not source_BS.shape[1]:
            got = list(source_BS.shape)
            raise ConfigError("generate needs a source of shape [B, S] with one token or more, got {got}", got=got)
        longest = max_new_tokens if self.context is None else min(max_new_tokens, self.context)
        start_B1 = source_BS.new_full((len(source_BS), 1), self.start_token if bos is None else bos)
        with writing(self):
            caches = self.new_caches(longest, source_BS.shape[1])
            begun = DecoderState(caches, self.encode(source_BS, source_mask), source_mask)

            def step(new_BT: Tensor, state: DecoderState[LayerCache] | None) -> tuple[Tensor, DecoderState[LayerCache]]:
                state = begun if state is None else state
                hidden_BTD = self.hidden(new_BT, state.memory_BSD, state.source_mask_BS, state.caches)
                return self.scores(hidden_BTD[:, -1:])[:, 0], state

            return generate_tokens(step, start_B1, longest, **how)
