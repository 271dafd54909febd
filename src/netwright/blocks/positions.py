"""How a Transformer learns where its tokens stand.

Absolute, added to token embeddings: learned (GPT-2, BERT) and sinusoidal (Vaswani et al., 2017). Relative, inside
attention: rotary (Su et al., 2021, "RoFormer") turns queries and keys, T5's bias (Raffel et al., 2020) is added to the
scores. ``B`` batch, ``T`` queries' time, ``S`` keys' time, ``D`` width, ``H`` heads, ``E`` width of a head.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.core.errors import ConfigError

__all__ = ["LearnedPositions", "RelativeBias", "RotaryPositions", "SinusoidalPositions", "distance_buckets"]


class LearnedPositions(nn.Module):
    """One trained vector a position.

    Shapes:
        (length, start) -> [length, D], the vectors of positions start .. start + length - 1
    """

    def __init__(self, context: int, hidden_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(context, hidden_size))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, length: int, start: int = 0) -> Tensor:
        # A copy: without gradients, tools that watch what modules give (torch's FLOP counter) fail at a part of a leaf.
        return self.weight[start : start + length].clone()


class SinusoidalPositions(nn.Module):
    """Fixed waves: channel 2i is sin(t / 10000^(2i/D)), channel 2i+1 the cosine of the same angle.

    Shapes:
        (length, start) -> [length, D], the vectors of positions start .. start + length - 1
    """

    weight: Tensor

    def __init__(self, context: int, hidden_size: int) -> None:
        super().__init__()
        time = torch.arange(context, dtype=torch.float32)[:, None]
        rate = torch.exp(torch.arange(0, hidden_size, 2, dtype=torch.float32) * (-math.log(10_000.0) / hidden_size))
        waves = torch.stack((torch.sin(time * rate), torch.cos(time * rate)), dim=2).flatten(1)
        # Computed, so not saved: a checkpoint holds only what was learned.
        self.register_buffer("weight", waves[:, :hidden_size], persistent=False)

    def forward(self, length: int, start: int = 0) -> Tensor:
        return self.weight[start : start + length]


class RotaryPositions(nn.Module):
    """Turns channel i and channel i + E/2 of each head, as a point of the plane, by t / base^(2i/E) (equation 34).

    The product of a query and a key then depends on how far they are apart and not on where they stand.

    Differs from the paper: it pairs neighbouring channels 2i and 2i + 1; GPT-NeoX and Llama, whose weights people have,
    pair the halves.

    Shapes:
        heads [B, H, T, E] at places start .. start + T - 1 -> [B, H, T, E]

    Raises:
        ConfigError: heads of an odd width.
    """

    cosine: Tensor
    sine: Tensor

    def __init__(self, context: int, head_size: int, base: float = 10_000.0) -> None:
        super().__init__()
        if head_size % 2:
            template = "rotary positions pair the channels of a head, got heads {size} wide; use an even width"
            raise ConfigError(template, size=head_size)
        rate = base ** (-torch.arange(0, head_size, 2, dtype=torch.float32) / head_size)
        angle_TE = torch.arange(context, dtype=torch.float32)[:, None] * rate
        self.register_buffer("cosine", angle_TE.cos(), persistent=False)
        self.register_buffer("sine", angle_TE.sin(), persistent=False)

    def forward(self, heads_BHTE: Tensor, start: int = 0) -> Tensor:
        places = slice(start, start + heads_BHTE.shape[2])
        cosine, sine = self.cosine[places].to(heads_BHTE.dtype), self.sine[places].to(heads_BHTE.dtype)
        first, second = heads_BHTE.chunk(2, dim=-1)
        return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)


class RelativeBias(nn.Module):
    """One trained number a head for each bucket of distances between key and query (Raffel et al., 2020, section 2.1).

    causal: keys after the query, which it does not see, share the bucket of distance 0.

    Shapes:
        (queries, keys), where the last query stands at the last key -> [1, H, queries, keys]

    Raises:
        ConfigError: too few buckets, or a `max_distance` that the exact buckets reach.
    """

    def __init__(self, num_heads: int, buckets: int = 32, max_distance: int = 128, causal: bool = False) -> None:
        super().__init__()
        least = 2 if causal else 4
        if buckets < least or max_distance <= buckets // least:
            raise ConfigError(
                "buckets={buckets} and max_distance={distance} tell no distances apart; use {least} buckets or more, "
                "and a max_distance above {exact}",
                buckets=buckets, distance=max_distance, least=least, exact=buckets // least,
            )  # fmt: skip
        self.causal = causal
        self.max_distance = max_distance
        self.weight = nn.Parameter(torch.empty(buckets, num_heads))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, queries: int, keys: int) -> Tensor:
        # Each distance is looked up once; the matrix's rows are windows on the row of all distances, each one place
        # before the last: what copies of the row and one number more read like, when cut one number shorter.
        distance = torch.arange(1 - keys, queries, device=self.weight.device)
        bucket = distance_buckets(distance, self.weight.shape[0], self.max_distance, self.causal)
        row_HN = F.pad(F.embedding(bucket, self.weight).t(), (0, 1))
        wide = queries + keys - 1
        cut_HM = row_HN[:, None].expand(-1, queries, -1).flatten(1)[:, : queries * wide]
        rows_HTN: Tensor = cut_HM.unflatten(1, (queries, wide))
        return rows_HTN[None, :, :, queries - 1 :].contiguous()


def distance_buckets(distance: Tensor, buckets: int, max_distance: int, causal: bool) -> Tensor:
    """The bucket of each distance, key's place minus query's: exact when near, ever wider on a logarithmic scale.

    Half of the buckets are for the exact distances; all of `max_distance` or more share the last. Unless causal, keys
    after the query have buckets of their own, the upper half of them.
    """
    after = torch.zeros_like(distance)
    if not causal:
        buckets //= 2
        after = (distance > 0).long() * buckets
    apart = (-distance).clamp(min=0) if causal else distance.abs()
    exact = buckets // 2
    # The clamp keeps the logarithm of distances that have exact buckets finite; they are not taken from it.
    decades = torch.log(apart.clamp(min=exact).float() / exact) / math.log(max_distance / exact)
    wide = (exact + (decades * (buckets - exact)).long()).clamp(max=buckets - 1)
    return after + torch.where(apart < exact, apart, wide)
