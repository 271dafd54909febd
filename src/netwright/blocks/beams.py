"""Beam search: the likeliest text that a network can write, or one near it.

A text Y is ranked by log P(Y) / lp(Y), lp(Y) = ((5 + |Y|) / 6)^length_penalty (Wu et al., 2016, "Google's neural
machine translation system", equation 14 without its coverage term), where |Y| counts the new tokens, an end token too.
``B`` batch, ``K`` beams, ``C`` candidates, ``N`` = B * K rows, ``T`` time, ``V`` vocabulary.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from netwright.blocks.sampling import Seen

__all__ = ["BeamSearch"]


class BeamSearch:
    """Beam search: of every row the K likeliest beginnings are kept, and the best text that has ended.

    An end counts when it is among the K likeliest continuations. A row is done only when no beginning that is left can
    still overtake its best text: with beams enough this is an exhaustive search. A penalty on repetition falls on
    log-probabilities, as in transformers: what beams compare are sums of those.
    """

    def __init__(self, num_beams: int, length_penalty: float, ends: Tensor, longest: int) -> None:
        self.beams, self.alpha, self.ends, self.longest = num_beams, length_penalty, ends, longest

    def run(
        self, step: Callable[[Tensor, Any], tuple[Tensor, Any]], logits_BV: Tensor, state: Any, seen: Seen
    ) -> Tensor:
        """The best new tokens of each row, [B, new]; `logits_BV` and `state` are the step's answer to the prompt."""
        batch, device = len(logits_BV), logits_BV.device
        rows_N = torch.arange(batch, device=device).repeat_interleave(self.beams)
        self._begin(batch, device)
        logits_NV = logits_BV[rows_N]
        state.reorder(rows_N)
        seen.reorder(rows_N)
        for length in range(1, self.longest + 1):
            rows_N = self._grow(seen.penalised(logits_NV.float().log_softmax(-1)), length)
            if length == self.longest:
                self._judge(self.alive_BK, self.tokens_BKT, length)
                break
            if len(self.ends) and self._is_done(length):
                break
            state.reorder(rows_N)
            seen.reorder(rows_N)
            next_N = self.tokens_BKT[:, :, -1].flatten()
            seen.add(next_N)
            logits_NV, state = step(next_N[:, None], state)
        return self._filled()

    def _begin(self, batch: int, device: torch.device) -> None:
        """All K beams of a row begin alike, so only the first may grow."""
        self.alive_BK = torch.full((batch, self.beams), -math.inf, device=device)
        self.alive_BK[:, 0] = 0
        self.tokens_BKT = torch.zeros(batch, self.beams, 0, dtype=torch.int64, device=device)
        self.best_B = torch.full((batch,), -math.inf, device=device)
        self.best_BT = torch.zeros(batch, self.longest, dtype=torch.int64, device=device)
        self.length_B = torch.zeros(batch, dtype=torch.int64, device=device)

    def _penalty(self, length: int) -> float:
        return float(((5 + length) / 6) ** self.alpha)

    def _grow(self, log_NV: Tensor, length: int) -> Tensor:
        """Append a token to every beam; gives the row that each new beam goes on from, [N]."""
        batch, beams, vocab = len(self.alive_BK), self.beams, log_NV.shape[1]
        total_BC = (self.alive_BK[:, :, None] + log_NV.view(batch, beams, vocab)).flatten(1)
        # So many that K of them go on even if every beam has all its ends among them.
        total_BC, place_BC = total_BC.topk(min(beams * (1 + len(self.ends)), beams * vocab))
        beam_BC, token_BC = place_BC // vocab, place_BC % vocab
        tokens_BCT = torch.cat((_rows(self.tokens_BKT, beam_BC), token_BC[:, :, None]), dim=2)
        ended_BC = torch.isin(token_BC, self.ends)
        if len(self.ends):
            self._judge(total_BC.masked_fill(~ended_BC, -math.inf)[:, :beams], tokens_BCT[:, :beams], length)
        self.alive_BK, chosen_BK = total_BC.masked_fill(ended_BC, -math.inf).topk(beams)
        self.tokens_BKT = _rows(tokens_BCT, chosen_BK)
        first_B1 = torch.arange(0, batch * beams, beams, device=log_NV.device)[:, None]
        return (first_B1 + beam_BC.gather(1, chosen_BK)).flatten()

    def _judge(self, total_BK: Tensor, tokens_BKT: Tensor, length: int) -> None:
        """Let the best of these texts replace the row's best, where it is better."""
        score_B, place_B = (total_BK / self._penalty(length)).max(dim=1)
        better_B = score_B > self.best_B
        text_BT = _rows(tokens_BKT, place_B[:, None])[:, 0]
        self.best_B = torch.where(better_B, score_B, self.best_B)
        self.length_B = self.length_B.masked_fill(better_B, length)
        self.best_BT[:, :length] = torch.where(better_B[:, None], text_BT, self.best_BT[:, :length])

    def _is_done(self, length: int) -> bool:
        """A total only falls as its text grows, so it is worth most at the length whose penalty is greatest."""
        reach = max(self._penalty(min(length + 1, self.longest)), self._penalty(self.longest))
        return bool((self.best_B >= self.alive_BK[:, 0] / reach).all())

    def _filled(self) -> Tensor:
        """Texts cut to the longest one; a shorter one goes on with its last token."""
        place_1T = torch.arange(int(self.length_B.max()), device=self.length_B.device)[None]
        return self.best_BT.gather(1, place_1T.minimum(self.length_B[:, None] - 1))


def _rows(values_BKT: Tensor, places_BC: Tensor) -> Tensor:
    """Row places[b, c] of batch b. Shapes: [B, K, T], [B, C] -> [B, C, T]."""
    return values_BKT.gather(1, places_BC[:, :, None].expand(-1, -1, values_BKT.shape[2]))
