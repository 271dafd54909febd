"""Choosing the next token from scores: temperature, top-k (Fan et al., 2018), top-p (Holtzman et al., 2020), and a
penalty on repetition (Keskar et al., 2019).

``B`` batch, ``V`` vocabulary.
"""

import math

import torch
from torch import Tensor

from netwright.core.errors import ConfigError

__all__ = ["Seen", "check_sampling", "penalise_repetition", "sample_tokens"]


def check_sampling(temperature: float, top_k: int | None, top_p: float | None, repetition_penalty: float = 1.0) -> None:
    """Refuse settings that mean nothing.

    Raises:
        ConfigError: a negative temperature, a top_k below 1, a top_p outside (0, 1] or a penalty that is not positive.
    """
    if not (temperature >= 0 and math.isfinite(temperature)):
        template = "temperature={value} is not 0 or more; use 0 for the likeliest token, 1 to sample"
        raise ConfigError(template, value=temperature)
    if top_k is not None and top_k < 1:
        raise ConfigError("top_k={value} keeps no token; use 1 or more, or leave it out", value=top_k)
    if top_p is not None and not 0 < top_p <= 1:
        raise ConfigError("top_p={value} is not in (0, 1]; use 0.9, or leave it out", value=top_p)
    if not (repetition_penalty > 0 and math.isfinite(repetition_penalty)):
        template = "repetition_penalty={value} is not above 0; use 1 for none, 1.2 to repeat less"
        raise ConfigError(template, value=repetition_penalty)


def penalise_repetition(logits_BV: Tensor, seen_BV: Tensor, penalty: float) -> Tensor:
    """Lower the scores of the tokens that a row already holds: score / penalty (Keskar et al., 2019, equation 1).

    Differs from the paper: a negative score is multiplied, as dividing would raise it; the prompt's tokens count too.

    Shapes:
        [B, V], [B, V] with True for a token seen -> [B, V]
    """
    lowered_BV = torch.where(logits_BV > 0, logits_BV / penalty, logits_BV * penalty)
    return torch.where(seen_BV, lowered_BV, logits_BV)


class Seen:
    """The tokens that each row holds so far, for the repetition penalty; nothing where there is no penalty."""

    def __init__(self, penalty: float, start_BT: Tensor, mask_BT: Tensor | None, vocab_size: int) -> None:
        self.penalty = penalty
        self.seen_BV: Tensor | None = None
        if penalty != 1:
            held_BT = start_BT < vocab_size  # a head may score fewer tokens than the prompt is made of
            held_BT = (held_BT if mask_BT is None else held_BT & mask_BT).long()
            counts_BV = held_BT.new_zeros(len(start_BT), vocab_size)
            self.seen_BV = counts_BV.scatter_add_(1, start_BT.clamp(max=vocab_size - 1), held_BT) > 0

    def penalised(self, logits_NV: Tensor) -> Tensor:
        return logits_NV if self.seen_BV is None else penalise_repetition(logits_NV, self.seen_BV, self.penalty)

    def add(self, next_N: Tensor) -> None:
        if self.seen_BV is not None:
            self.seen_BV.scatter_(1, next_N[:, None], True)

    def reorder(self, rows_N: Tensor) -> None:
        self.seen_BV = None if self.seen_BV is None else self.seen_BV[rows_N]


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
        best = scores.topk(top_k)
        scores = torch.full_like(scores, -math.inf).scatter(-1, best.indices, best.values)
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
