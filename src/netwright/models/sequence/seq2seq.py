"""Seq2Seq: one recurrent network reads a sentence, another writes one, and attention finds what to look at.

Sutskever et al., 2014, "Sequence to sequence learning with neural networks" (no attention); Bahdanau et al., 2015,
"Neural machine translation by jointly learning to align and translate" (additive); Luong et al., 2015, "Effective
approaches to attention-based neural machine translation" (dot, global). ``B`` batch, ``S`` source time, ``T`` target
time, ``D`` width, ``V`` vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from netwright.blocks.encoder_decoder import EncoderDecoder
from netwright.blocks.heads import TiedHead, token_scores
from netwright.blocks.init import scaled_init
from netwright.blocks.pooling import SequencePooling
from netwright.blocks.recurrent import CellName, Recurrent, RecurrentState
from netwright.blocks.tokens import Embedding, as_mask
from netwright.core.errors import ConfigError
from netwright.core.schemas import Count, Probability, Size

__all__ = ["MemoryAttention", "Seq2Seq"]

AttentionName = Literal["none", "additive", "dot"]


class MemoryAttention(nn.Module):
    """What the memory holds for each state: a weighted sum of it, joined to the state by tanh(W [context; state]).

    additive: the weights are softmax(v' tanh(W_q state + W_k memory)) (Bahdanau et al., 2015, section A.1.2); dot:
    softmax(state' memory) (Luong et al., 2015, equation 8).

    Shapes:
        states [B, T, D], memory [B, S, D], keys of `keys(memory)`, mask [B, S] -> [B, T, D]; weights: [B, T, S]
    """

    def __init__(self, kind: Literal["additive", "dot"], hidden_size: int) -> None:
        super().__init__()
        self.kind = kind
        if kind == "additive":
            self.query = nn.Linear(hidden_size, hidden_size, bias=False)
            self.key = nn.Linear(hidden_size, hidden_size)
            self.score = nn.Linear(hidden_size, 1, bias=False)
        self.join = nn.Linear(2 * hidden_size, hidden_size, bias=False)
        scaled_init(self.join)

    def keys(self, memory_BSD: Tensor) -> Tensor:
        """What states are compared with; the same for all steps."""
        keys: Tensor = self.key(memory_BSD) if self.kind == "additive" else memory_BSD
        return keys

    def weights(self, states_BTD: Tensor, keys_BSD: Tensor, mask_BS: Tensor | None = None) -> Tensor:
        """How much each state looks at each place of the memory; they sum to 1 over S."""
        if self.kind == "additive":
            both_BTSD = torch.tanh(self.query(states_BTD)[:, :, None] + keys_BSD[:, None])
            scores_BTS: Tensor = self.score(both_BTSD)[..., 0]
        else:
            scores_BTS = torch.matmul(states_BTD, keys_BSD.transpose(1, 2))
        if mask_BS is not None:
            scores_BTS = scores_BTS.masked_fill(~mask_BS[:, None], torch.finfo(scores_BTS.dtype).min)
        return scores_BTS.softmax(dim=2)

    def forward(
        self, states_BTD: Tensor, memory_BSD: Tensor, keys_BSD: Tensor, mask_BS: Tensor | None = None
    ) -> Tensor:
        weights_BTS = self.weights(states_BTD, keys_BSD, mask_BS).to(memory_BSD.dtype)
        context_BTD = torch.matmul(weights_BTS, memory_BSD)
        return torch.tanh(self.join(torch.cat((context_BTD, states_BTD), dim=2)))


@dataclass
class DecoderCache:
    """Where the decoder goes on, and what its states are compared with."""

    state: RecurrentState = field(default_factory=RecurrentState)
    keys_BSD: Tensor | None = None

    def reorder(self, rows_N: Tensor) -> None:
        """See `blocks.generation.Reorderable`."""
        self.state.reorder(rows_N)
        self.keys_BSD = None if self.keys_BSD is None else self.keys_BSD[rows_N]


class Seq2Seq(EncoderDecoder):
    """A recurrent encoder of both directions, a recurrent decoder of one, and attention between them.

    The decoder begins with tanh(W [last state ahead; last state back]) of the encoder, a part for each layer. `forward`
    forces the teacher: every place reads the true tokens before it.

    attention: none hands over the first state only. sharing: one matrix for both embeddings and the head (all), for the
    target's embedding and the head, or none. hidden_size: D; each direction of the encoder has half of it. start_token:
    what targets begin with.

    Differs from the papers: attention comes after the recurrent step also where it is additive, and its result is not
    fed to the next step, so that all steps of a target are computed in one call; Sutskever et al. read the source
    backwards only.

    Shapes:
        source [B, S] and target [B, T] int64, mask [B, S] True where there is a token -> scores of each next token
        [B, T, V]; features: [B, T, D]

    Raises:
        ConfigError: an odd `hidden_size`.
    """

    def __init__(
        self,
        vocab_size: Size = 8000,
        cell: CellName = "lstm",
        attention: AttentionName = "additive",
        hidden_size: Size = 256,
        num_layers: Size = 2,
        dropout: Probability = 0.2,
        sharing: Literal["all", "head", "none"] = "all",
        start_token: Count = 2,
    ) -> None:
        super().__init__()
        if hidden_size % 2:
            template = "model.hidden_size={size} is odd, and each direction of the encoder has half of it; use {even}"
            raise ConfigError(template, size=hidden_size, even=hidden_size + 1)
        self.start_token, self.hidden_size = start_token, hidden_size
        self.source = Embedding(vocab_size, hidden_size)
        self.target = None if sharing == "all" else Embedding(vocab_size, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.encoder = Recurrent(cell, hidden_size, hidden_size // 2, num_layers, bidirectional=True, dropout=dropout)
        self.summary = SequencePooling("last", hidden_size, directions=2)
        parts = 2 if cell == "lstm" else 1
        self.bridge = nn.ModuleList(nn.Linear(hidden_size, parts * hidden_size) for _ in range(num_layers))
        self.decoder = Recurrent(cell, hidden_size, hidden_size, num_layers, dropout=dropout)
        self.attention = None if attention == "none" else MemoryAttention(attention, hidden_size)
        self.head: nn.Module = TiedHead()
        if sharing == "none":
            self.reset_head(vocab_size)
        self._init_weights()

    def _init_weights(self) -> None:
        for embedding in (self.source, self.target):
            if embedding is not None:
                nn.init.normal_(embedding.weight, std=self.hidden_size**-0.5)
        for layer in self.bridge:
            scaled_init(layer)

    def encode(self, source_BS: Tensor, source_mask: Tensor | None = None) -> Tensor:
        """The memory of a source: [B, S, D], zeros where the mask is False."""
        memory_BSD: Tensor = self.encoder(self.dropout(self.source(source_BS)), source_mask)
        return memory_BSD

    def hidden(
        self, target_BT: Tensor, memory_BSD: Tensor, source_mask: Tensor | None = None,
        caches: Sequence[Any] | None = None,
    ) -> Tensor:  # fmt: skip
        """The decoder's states before the head: [B, T, D]; with `caches`, the target follows what they have read."""
        cache: DecoderCache = caches[0] if caches else DecoderCache()
        states_BTD = self._states(target_BT, memory_BSD, source_mask, cache.state)
        if self.attention is None:
            return self._dropped(states_BTD)
        if cache.keys_BSD is None:
            cache.keys_BSD = self.attention.keys(memory_BSD)
        return self._dropped(self.attention(states_BTD, memory_BSD, cache.keys_BSD, source_mask))

    def _states(
        self, target_BT: Tensor, memory_BSD: Tensor, source_mask: Tensor | None, state: RecurrentState
    ) -> Tensor:
        """The recurrent states of the decoder, [B, T, D]; `state` is brought forward."""
        if not state.layers:
            summary_BD = self.summary(memory_BSD, source_mask)
            for layer in self.bridge:
                first_BD = torch.tanh(layer(summary_BD))
                state.layers.append(tuple(part[None].contiguous() for part in first_BD.split(self.hidden_size, dim=1)))
        states_BTD: Tensor = self.decoder(self.dropout(self._target()(target_BT)), state=state)
        return states_BTD

    def _dropped(self, hidden_BTD: Tensor) -> Tensor:
        dropped: Tensor = self.dropout(hidden_BTD)
        return dropped

    def scores(self, hidden_BTD: Tensor) -> Tensor:
        """The head: [B, T, D] -> [B, T, V]."""
        return token_scores(self.head, hidden_BTD, self._target().weight)

    def _target(self) -> nn.Embedding:
        return self.source if self.target is None else self.target

    def new_caches(self, context: int, source: int) -> list[Any]:
        """An empty cache for the decoder; it needs no room laid out."""
        return [DecoderCache()]

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh head of `num_classes` scores a place, not tied to an embedding."""
        like = self.source.weight
        self.head = nn.Linear(self.hidden_size, num_classes, bias=False, device=like.device, dtype=like.dtype)
        nn.init.normal_(self.head.weight, std=self.hidden_size**-0.5)

    def attention_weights(self, source_BS: Tensor, target_BT: Tensor, source_mask: Tensor | None = None) -> Tensor:
        """How much each place of the target looks at each of the source, [B, T, S]; rows sum to 1.

        Raises:
            ConfigError: the network was built with `attention: none`.
        """
        if self.attention is None:
            raise ConfigError("this network has no attention to show; build it with model.attention: additive or dot")
        source_mask = as_mask(source_mask, source_BS)
        memory_BSD = self.encode(source_BS, source_mask)
        states_BTD = self._states(target_BT, memory_BSD, source_mask, RecurrentState())
        return self.attention.weights(states_BTD, self.attention.keys(memory_BSD), source_mask)
