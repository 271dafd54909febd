"""Choosing the next token from scores: temperature, top-k (Fan et al., 2018) and top-p (Holtzman et al., 2020).

``B`` batch, ``V`` vocabulary.
"""

import math

import torch
from torch import Tensor

from netwright.core.errors import ConfigError

__all__ = ["check_sampling", "sample_tokens"]


def check_sampling(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Refuse settings that mean nothing.

    Raises:
        ConfigError: a negative temperature, a top_k below 1 or a top_p outside (0, 1].
    """
    if not (temperature >= 0 and math.isfinite(temperature)):
        template = "temperature={value} is not 0 or more; use 0 for the likeliest token, 1 to sample"
        raise ConfigError(template, value=temperature)
    if top_k is not None and top_k < 1:
        raise ConfigError("top_k={value} keeps no token; use 1 or more, or leave it out", value=top_k)
    if top_p is not None and not 0 < top_p <= 1:
        raise ConfigError("top_p={value} is not in (0, 1]; use 0.9, or leave it out", value=top_p)


def sample_tokens(
    logits_BV: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:  # fmt: skip
    """Draw one token a row; temperature 0 takes the likeliest.

    top_k keeps the k likeliest tokens; top_p then keeps the fewest likeliest whose probabilities sum to at least p.

    Shapes:
        [B, V] -> [B] int64
    """
    if temperature == 0:
        return logits_BV.argmax(dim=-1)
    scores = logits_BV.float() / temperature
    if top_k is not None and top_k < scores.shape[-1]:
        scores = scores.masked_fill(scores < scores.topk(top_k).values[:, -1:], -math.inf)
    if top_p is not None and top_p < 1:
        scores = _keep_nucleus(scores, top_p)
    probabilities = scores.softmax(-1)
    if generator is not None:
        probabilities = probabilities.to(generator.device)  # a seed on the CPU means the same draw on every device
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0].to(logits_BV.device)


def _keep_nucleus(scores_BV: Tensor, top_p: float) -> Tensor:
    ordered, order = scores_BV.sort(dim=-1, descending=True)
    probabilities = ordered.softmax(-1)
    before = probabilities.cumsum(-1) - probabilities  # the mass of all likelier tokens: the first is always kept
    dropped = torch.zeros_like(before, dtype=torch.bool).scatter(-1, order, before >= top_p)
    return scores_BV.masked_fill(dropped, -math.inf)
