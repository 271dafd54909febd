"""T5: an encoder-decoder that reads every task as text and answers in text.

Raffel et al., 2020, "Exploring the limits of transfer learning with a unified text-to-text Transformer"; version 1.1
with the gated feed-forward of Shazeer, 2020, "GLU variants improve Transformer". What the Transformer of 2017 has not:
before each branch a norm that only scales (Zhang and Sennrich, 2019), no biases, positions as a bias of the scores of
attention that all layers of a stack share, and no division of the scores by sqrt(E): initial weights see to that.
``B`` batch, ``S`` source time, ``T`` target time, ``D`` width, ``H`` heads, ``E`` width of a head, ``V`` vocabulary.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.blocks.attention import Attention, future_bias, join_bias
from netwright.blocks.encoder_decoder import EncoderDecoder, LayerCache
from netwright.blocks.heads import TiedHead
from netwright.blocks.positions import RelativeBias
from netwright.blocks.tokens import Embedding
from netwright.core.schemas import Probability, Size, preset

__all__ = [
    "T5",
    "T5Branch",
    "T5Decoder",
    "T5DecoderBlock",
    "T5Encoder",
    "T5EncoderBlock",
    "T5FeedForward",
    "t5_base",
    "t5_large",
    "t5_small",
    "t5_v1_1_base",
    "t5_v1_1_small",
]

FeedForwardName = Literal["relu", "gated-gelu"]
_EPS = 1e-6


class T5FeedForward(nn.Module):
    """W2 relu(W1 x), or gated W2 (gelu(Wg x) * W1 x) with GELU by its tanh approximation.

    Shapes:
        [B, T, D] -> [B, T, D]
    """

    def __init__(self, hidden_size: int, inner_size: int, kind: FeedForwardName, dropout: float) -> None:
        super().__init__()
        self.gate = nn.Linear(hidden_size, inner_size, bias=False) if kind == "gated-gelu" else None
        self.expand = nn.Linear(hidden_size, inner_size, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(inner_size, hidden_size, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        inner = self.expand(x_BTD)
        inner = F.relu(inner) if self.gate is None else F.gelu(self.gate(x_BTD), approximate="tanh") * inner
        out: Tensor = self.project(self.dropout(inner))
        return out


class T5Branch(nn.Module):
    """x + dropout(branch(norm(x))), where the norm divides by the root of the mean square.

    Shapes:
        [B, T, D] -> [B, T, D]
    """

    def __init__(self, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(hidden_size, eps=_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTD: Tensor, branch: Callable[[Tensor], Tensor]) -> Tensor:
        out: Tensor = x_BTD + self.dropout(branch(self.norm(x_BTD)))
        return out


class T5EncoderBlock(nn.Module):
    """Self-attention with the bias of distances, then feed-forward.

    Shapes:
        x [B, S, D], bias [1 or B, H, S, S] -> [B, S, D]
    """

    def __init__(self, attention: Attention, feed_forward: T5FeedForward, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.attention, self.attention_branch = attention, T5Branch(hidden_size, dropout)
        self.feed_forward, self.feed_forward_branch = feed_forward, T5Branch(hidden_size, dropout)

    def forward(self, x_BSD: Tensor, bias: Tensor) -> Tensor:
        x_BSD = self.attention_branch(x_BSD, partial(self.attention, bias=bias))
        out: Tensor = self.feed_forward_branch(x_BSD, self.feed_forward)
        return out


class T5DecoderBlock(nn.Module):
    """Self-attention with the bias of distances, attention to the memory, then feed-forward.

    Shapes:
        x [B, T, D], bias [1, H, T, past + T], memory [B, S, D], its bias [B, 1, 1, S] -> [B, T, D]
    """

    def __init__(
        self, attention: Attention, memory_attention: Attention, feed_forward: T5FeedForward, hidden_size: int,
        dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.attention, self.attention_branch = attention, T5Branch(hidden_size, dropout)
        self.memory_attention, self.memory_branch = memory_attention, T5Branch(hidden_size, dropout)
        self.feed_forward, self.feed_forward_branch = feed_forward, T5Branch(hidden_size, dropout)

    def forward(
        self, x_BTD: Tensor, bias: Tensor, memory_BSD: Tensor, memory_bias: Tensor | None, cache: LayerCache | None
    ) -> Tensor:
        own, kept = (None, None) if cache is None else (cache.own, cache.memory)
        x_BTD = self.attention_branch(x_BTD, partial(self.attention, bias=bias, cache=own))
        to_memory = partial(self.memory_attention, memory_BSD=memory_BSD, bias=memory_bias, cache=kept)
        x_BTD = self.memory_branch(x_BTD, to_memory)
        out: Tensor = self.feed_forward_branch(x_BTD, self.feed_forward)
        return out


class T5Encoder(nn.Module):
    """The stack that reads; its position bias is looked up once for all blocks.

    Shapes:
        x [B, S, D], mask [B, S] -> [B, S, D]
    """

    def __init__(self, blocks: Sequence[nn.Module], positions: RelativeBias, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.positions = positions
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.RMSNorm(hidden_size, eps=_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BSD: Tensor, mask_BS: Tensor | None = None) -> Tensor:
        time = x_BSD.shape[1]
        bias = join_bias(self.positions(time, time), mask_BS, _compute_dtype(x_BSD))
        x_BSD = self.dropout(x_BSD)
        for block in self.blocks:
            x_BSD = block(x_BSD, bias)
        out: Tensor = self.dropout(self.norm(x_BSD))
        return out


class T5Decoder(nn.Module):
    """The stack that writes; its position bias is looked up once for all blocks, attention to the memory has none.

    Shapes:
        x [B, T, D], memory [B, S, D], mask [B, S] -> [B, T, D]
    """

    def __init__(self, blocks: Sequence[nn.Module], positions: RelativeBias, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.positions = positions
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.RMSNorm(hidden_size, eps=_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x_BTD: Tensor, memory_BSD: Tensor, mask_BS: Tensor | None = None,
        caches: Sequence[LayerCache] | None = None,
    ) -> Tensor:  # fmt: skip
        time, dtype = x_BTD.shape[1], _compute_dtype(x_BTD)
        bias = self.positions(time, time + (caches[0].own.length if caches else 0)).to(dtype)
        bias = bias + future_bias(time, bias.shape[3], bias)
        memory_bias = join_bias(None, mask_BS, dtype)
        x_BTD = self.dropout(x_BTD)
        for index, block in enumerate(self.blocks):
            x_BTD = block(x_BTD, bias, memory_BSD, memory_bias, caches[index] if caches else None)
        out: Tensor = self.dropout(self.norm(x_BTD))
        return out


class T5(EncoderDecoder):
    """The encoder-decoder; the defaults are T5 small.

    num_decoder_layers: as many as `num_layers` if not given. head_size: E; H * E need not be D. head: tied to the
    embedding and its scores scaled by D^-0.5 (T5), or separate and not scaled (1.1). buckets, max_distance: of the
    position bias, see `distance_buckets`. Targets begin with token 0, the padding, as in the published weights.

    Shapes:
        source [B, S] and target [B, T] int64, of any length; mask [B, S] True where there is a token
        -> scores of each next token [B, T, V]; features: [B, T, D]
    """

    start_token = 0

    def __init__(
        self,
        vocab_size: Size = 32128,
        num_layers: Size = 6,
        num_decoder_layers: Size | None = None,
        num_heads: Size = 8,
        hidden_size: Size = 512,
        head_size: Size = 64,
        inner_size: Size = 2048,
        feed_forward: FeedForwardName = "relu",
        head: Literal["tied", "separate"] = "tied",
        dropout: Probability = 0.1,
        buckets: Size = 32,
        max_distance: Size = 128,
    ) -> None:
        super().__init__()
        self.hidden_size, self.num_decoder_layers = hidden_size, num_decoder_layers or num_layers
        self.tokens = Embedding(vocab_size, hidden_size)

        def attention() -> Attention:
            return Attention(hidden_size, num_heads, head_size, bias=False, dropout=dropout, scale=1.0)

        def inner() -> T5FeedForward:
            return T5FeedForward(hidden_size, inner_size, feed_forward, dropout)

        readers = [T5EncoderBlock(attention(), inner(), hidden_size, dropout) for _ in range(num_layers)]
        writers = [
            T5DecoderBlock(attention(), attention(), inner(), hidden_size, dropout)
            for _ in range(self.num_decoder_layers)
        ]
        around, before = (RelativeBias(num_heads, buckets, max_distance, causal) for causal in (False, True))
        self.encoder = T5Encoder(readers, around, hidden_size, dropout)
        self.decoder = T5Decoder(writers, before, hidden_size, dropout)
        self.head: nn.Module = TiedHead() if head == "tied" else nn.Linear(hidden_size, vocab_size, bias=False)
        # Files of a tied network may hold the embedding a second time, as a head.
        self.spare_weights: tuple[str, ...] = ("head.",) if head == "tied" else ()
        self._init_weights()

    def _init_weights(self) -> None:
        """Mesh TensorFlow's scheme: N(0, 1 / fan-in), queries narrower by E^-0.5 instead of a scale on the scores."""
        width = self.hidden_size**-0.5
        nn.init.normal_(self.tokens.weight)
        for module in self.modules():
            if isinstance(module, Attention):
                nn.init.normal_(module.query.weight, std=width * module.head_size**-0.5)
            elif isinstance(module, RelativeBias):
                nn.init.normal_(module.weight, std=width)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear) and not name.endswith(".query"):
                nn.init.normal_(module.weight, std=module.in_features**-0.5)

    def encode(self, source_BS: Tensor, source_mask: Tensor | None = None) -> Tensor:
        """The memory of a source: [B, S, D]."""
        memory_BSD: Tensor = self.encoder(self.tokens(source_BS), source_mask)
        return memory_BSD

    def hidden(
        self, target_BT: Tensor, memory_BSD: Tensor, source_mask: Tensor | None = None,
        caches: Sequence[LayerCache] | None = None,
    ) -> Tensor:  # fmt: skip
        """The decoder's states after its last norm: [B, T, D]."""
        hidden_BTD: Tensor = self.decoder(self.tokens(target_BT), memory_BSD, source_mask, caches)
        return hidden_BTD

    def scores(self, hidden_BTD: Tensor) -> Tensor:
        """The head: [B, T, D] -> [B, T, V]."""
        scores: Tensor
        if isinstance(self.head, TiedHead):
            scores = self.head(hidden_BTD * self.hidden_size**-0.5, self.tokens.weight)
        else:
            scores = self.head(hidden_BTD)
        return scores

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh head of `num_classes` scores a place, no longer tied to the embedding."""
        like = self.tokens.weight
        self.head = nn.Linear(self.hidden_size, num_classes, bias=False, device=like.device, dtype=like.dtype)
        nn.init.normal_(self.head.weight, std=self.hidden_size**-0.5)
        self.spare_weights = ()


def _compute_dtype(x: Tensor) -> torch.dtype:
    """The type that attention will compute in: autocast's where it is on. The bias is turned into it once a stack."""
    device = x.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return x.dtype


t5_small = preset(T5, "t5_small")
t5_base = preset(T5, "t5_base", num_layers=12, num_heads=12, hidden_size=768, inner_size=3072)
t5_large = preset(T5, "t5_large", num_layers=24, num_heads=16, hidden_size=1024, inner_size=4096)
t5_v1_1_small = preset(
    T5, "t5_v1_1_small", num_layers=8, num_heads=6, inner_size=1024, feed_forward="gated-gelu", head="separate"
)
t5_v1_1_base = preset(
    T5, "t5_v1_1_base", num_layers=12, num_heads=12, hidden_size=768, inner_size=2048, feed_forward="gated-gelu",
    head="separate",
)  # fmt: skip
