"""Writing token after token with any network that scores the next one: greedy, by chance, or by beam search.

A network gives one function, `step(new_BT, state) -> (logits_BV, state)`: it reads the tokens it has not seen yet and
scores the one that follows. What it keeps between steps (caches, hidden states, an encoder's memory) is the `state`:
None before the first step, and from then on an object whose `reorder(rows_N)` makes row n a copy of the old row
rows_N[n], in place. A prompt is thus read once, however many beams grow from it.

Beam search ranks a text Y by log P(Y) / lp(Y), lp(Y) = ((5 + |Y|) / 6)^length_penalty (Wu et al., 2016, "Google's
neural machine translation system", without its coverage term), where |Y| counts the new tokens, an end token too.
``B`` batch, ``T`` time, ``V`` vocabulary, ``K`` beams, ``C`` candidates, ``N`` rows.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from netwright.blocks.sampling import check_sampling, penalise_repetition, sample_tokens
from netwright.core.errors import ConfigError

__all__ = ["DecoderState", "OnToken", "Reorderable", "Step", "generate_tokens", "left_padded", "writing"]


class Reorderable(Protocol):
    """What a network keeps between two steps."""

    def reorder(self, rows_N: Tensor) -> None:
        """Let row n be a copy of the row `rows_N[n]`; there may be more rows than before, or fewer."""
        ...


Step = Callable[[Tensor, Any], tuple[Tensor, Any]]
OnToken = Callable[[Tensor], object]


@dataclass
class DecoderState:
    """What an encoder-decoder keeps: the encoder's memory, where it holds something, and a cache for each layer."""

    caches: Sequence[Reorderable]
    memory_BSD: Tensor
    source_mask_BS: Tensor | None = None

    def reorder(self, rows_N: Tensor) -> None:
        """See `Reorderable`."""
        self.memory_BSD = self.memory_BSD[rows_N]
        self.source_mask_BS = None if self.source_mask_BS is None else self.source_mask_BS[rows_N]
        for cache in self.caches:
            cache.reorder(rows_N)


@contextmanager
def writing(network: nn.Module) -> Iterator[None]:
    """Evaluation without gradients; every part is left in the mode it was in."""
    modes = [(part, part.training) for part in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode


def left_padded(prompts: Sequence[Tensor], padding: int = 0) -> tuple[Tensor, Tensor]:
    """Prompts of several lengths as one batch that ends evenly, and its mask.

    Shapes:
        B times [T_i] int64 -> tokens [B, T], mask [B, T] with True where there is a token
    """
    longest = max(len(prompt) for prompt in prompts)
    tokens_BT = prompts[0].new_full((len(prompts), longest), padding)
    mask_BT = torch.zeros(len(prompts), longest, dtype=torch.bool, device=tokens_BT.device)
    for row, prompt in enumerate(prompts):
        tokens_BT[row, longest - len(prompt) :] = prompt
        mask_BT[row, longest - len(prompt) :] = True
    return tokens_BT, mask_BT


@torch.no_grad()
def generate_tokens(
    step: Step,
    start_BT: Tensor,
    max_new_tokens: int,
    *,
    mask_BT: Tensor | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float = 1.0,
    num_beams: int = 1,
    length_penalty: float = 1.0,
    eos: int | None = None,
    stop: Collection[int] = (),
    generator: torch.Generator | None = None,
    on_token: OnToken | None = None,
) -> Tensor:
    """Continue each row of `start_BT` by up to `max_new_tokens` tokens; gives beginning and continuation together.

    Args:
        mask_BT: True where a prompt has a token; prompts of several lengths are padded on the left. The step function
            must know it too: here it only keeps padding from counting as a repetition.
        temperature: 0 takes the likeliest token; 1 draws from the network's own distribution.
        num_beams: 2 or more search for the likeliest text instead of drawing, and the best one is given.
        eos, stop: tokens that end their row; it is filled up with the one that ended it, until all rows have ended.
        on_token: called with the newest token of each row, [B]; a true answer ends the writing (a stop string, say).
            With beams it is called when the search has ended, as no token is final before.

    Shapes:
        start [B, T] int64, T >= 1 -> [B, T + new], new <= max_new_tokens

    Raises:
        ConfigError: no prompt, a prompt padded on the right, or settings that mean nothing.
    """
    check_sampling(temperature, top_k, top_p, repetition_penalty)
    _check_prompt(start_BT, mask_BT)
    _check_beams(num_beams, temperature, top_k, top_p, max_new_tokens)
    if max_new_tokens == 0:
        return start_BT
    ends = torch.tensor(sorted({*stop} | ({eos} if eos is not None else set())), device=start_BT.device)
    logits_BV, state = step(start_BT, None)
    seen_BV = _seen(start_BT, mask_BT, logits_BV.shape[1]) if repetition_penalty != 1 else None

    def scores(logits_BV: Tensor, seen_BV: Tensor | None) -> Tensor:
        return logits_BV if seen_BV is None else penalise_repetition(logits_BV, seen_BV, repetition_penalty)

    if num_beams > 1:
        search = _Beams(num_beams, length_penalty, ends, max_new_tokens)
        new_BT = search.run(step, logits_BV, state, seen_BV, scores)
        for next_B in new_BT.unbind(1) if on_token is not None else ():
            on_token(next_B)  # type: ignore[misc]
        return torch.cat((start_BT, new_BT), dim=1)
    done_B = torch.zeros(len(start_BT), dtype=torch.bool, device=start_BT.device)
    written = [start_BT]
    for left in range(max_new_tokens - 1, -1, -1):
        next_B = sample_tokens(scores(logits_BV, seen_BV), temperature, top_k, top_p, generator)
        if len(ends):
            next_B = torch.where(done_B, written[-1][:, -1], next_B)
            done_B |= torch.isin(next_B, ends)
        written.append(next_B[:, None])
        told = on_token is not None and on_token(next_B)
        if told or not left or (len(ends) and bool(done_B.all())):
            break
        if seen_BV is not None:
            seen_BV.scatter_(1, next_B[:, None], True)
        logits_BV, state = step(next_B[:, None], state)
    return torch.cat(written, dim=1)


class _Beams:
    """Beam search: of every row the K likeliest beginnings are kept, and the best text that has ended.

    An end counts when it is among the K likeliest continuations. A row is done only when no beginning that is left can
    still overtake its best text, so that with beams enough this is an exhaustive search.
    """

    def __init__(self, num_beams: int, length_penalty: float, ends: Tensor, longest: int) -> None:
        self.beams, self.alpha, self.ends, self.longest = num_beams, length_penalty, ends, longest

    def run(
        self, step: Step, logits_BV: Tensor, state: Any, seen_BV: Tensor | None,
        scores: Callable[[Tensor, Tensor | None], Tensor],
    ) -> Tensor:  # fmt: skip
        """The best new tokens of each row, [B, new]; `logits_BV` and `state` come from the prompt."""
        batch, device = len(logits_BV), logits_BV.device
        rows_N = torch.arange(batch, device=device).repeat_interleave(self.beams)
        self._begin(batch, device)
        for length in range(1, self.longest + 1):
            state.reorder(rows_N)
            logits_NV = logits_BV[rows_N] if length == 1 else logits_BV
            seen_NV = None if seen_BV is None else seen_BV[rows_N]
            rows_N, next_N = self._grow(scores(logits_NV, seen_NV).float().log_softmax(-1), length)
            if length == self.longest or (len(self.ends) and self._is_done(length)):
                break
            # The rows chosen now are those of the step before; it is reordered first, and then reads the new tokens.
            state.reorder(rows_N)
            seen_BV = None if seen_NV is None else seen_NV[rows_N].scatter(1, next_N[:, None], True)
            logits_BV, state = step(next_N[:, None], state)
            rows_N = torch.arange(batch * self.beams, device=device)
        self._judge(self.alive_BK / self._penalty(length), self.tokens_BKT)
        return self._filled()
