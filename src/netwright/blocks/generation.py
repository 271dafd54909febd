"""Writing token after token with any network that scores the next one: greedy, by chance, or by beam search.

A network gives one function, `step(new_BT, state) -> (logits_BV, state)`: it reads the tokens it has not seen yet and
scores the one that follows. What it keeps between steps (caches, hidden states, an encoder's memory) is the `state`:
None before the first step, and from then on an object whose `reorder(rows_N)` makes row n a copy of the old row
rows_N[n], in place. A prompt is thus read once, however many beams grow from it.

``B`` batch, ``T`` time, ``S`` source's time, ``D`` width, ``V`` vocabulary, ``N`` rows.
"""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypedDict, TypeVar

import torch
from torch import Tensor, nn

from netwright.blocks.beams import BeamSearch
from netwright.blocks.sampling import Seen, check_sampling, sample_tokens
from netwright.blocks.tokens import as_mask
from netwright.core.errors import ConfigError

__all__ = ["DecoderState", "OnToken", "Reorderable", "Step", "Writing", "generate_tokens", "left_padded", "writing"]


class Reorderable(Protocol):
    """What a network keeps between two steps."""

    def reorder(self, rows_N: Tensor) -> None:
        """Let row n be a copy of the row `rows_N[n]`; there may be more rows than before, or fewer."""
        ...


Step = Callable[[Tensor, Any], tuple[Tensor, Any]]
OnToken = Callable[[Tensor], object]
Cache = TypeVar("Cache", bound=Reorderable)


class Writing(TypedDict, total=False):
    """The settings of `generate_tokens` that a network's `generate` hands on; their meaning stands there."""

    temperature: float
    top_k: int | None
    top_p: float | None
    repetition_penalty: float
    num_beams: int
    length_penalty: float
    eos: int | None
    stop: Collection[int]
    generator: torch.Generator | None
    on_token: OnToken | None


@dataclass
class DecoderState(Generic[Cache]):
    """What an encoder-decoder keeps: the encoder's memory, where it holds something, and a cache for each layer."""

    caches: Sequence[Cache]
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
    mask_BT = _checked_prompt(start_BT, mask_BT)
    _check_search(max_new_tokens, num_beams, length_penalty, temperature, top_k, top_p)
    if max_new_tokens == 0:
        return start_BT
    ends = torch.tensor(sorted({*stop} | ({eos} if eos is not None else set())), dtype=torch.int64).to(start_BT.device)
    logits_BV, state = step(start_BT, None)
    seen = Seen(repetition_penalty, start_BT, mask_BT, logits_BV.shape[1])
    if num_beams == 1:
        draw = partial(sample_tokens, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator)
        return torch.cat((start_BT, *_drawn(step, logits_BV, state, seen, draw, ends, max_new_tokens, on_token)), dim=1)
    new_BT = BeamSearch(num_beams, length_penalty, ends, max_new_tokens).run(step, logits_BV, state, seen)
    if on_token is not None:
        for next_B in new_BT.unbind(1):
            on_token(next_B)
    return torch.cat((start_BT, new_BT), dim=1)


def _drawn(
    step: Step, logits_BV: Tensor, state: Any, seen: Seen, draw: Callable[[Tensor], Tensor], ends: Tensor,
    max_new_tokens: int, on_token: OnToken | None,
) -> Iterator[Tensor]:  # fmt: skip
    """The new tokens one after the other, [B, 1] each; the state belongs to the tokens before `logits_BV`'s."""
    done_B = torch.zeros(len(logits_BV), dtype=torch.bool, device=logits_BV.device)
    last_B = torch.zeros_like(done_B, dtype=torch.int64)
    for left in range(max_new_tokens - 1, -1, -1):
        next_B = draw(seen.penalised(logits_BV))
        if len(ends):
            next_B = torch.where(done_B, last_B, next_B)
            done_B |= torch.isin(next_B, ends)
        yield next_B[:, None]
        told_to_end = on_token is not None and on_token(next_B)
        if told_to_end or not left or (len(ends) and bool(done_B.all())):
            return
        seen.add(next_B)
        logits_BV, state = step(next_B[:, None], state)
        last_B = next_B


def _checked_prompt(tokens_BT: Tensor, mask_BT: Tensor | None) -> Tensor | None:
    """The mask as booleans."""
    if tokens_BT.dim() != 2 or tokens_BT.shape[1] == 0:
        got = list(tokens_BT.shape)
        raise ConfigError("generate needs a prompt of shape [B, T] with one token or more, got {got}", got=got)
    mask_BT = as_mask(mask_BT, tokens_BT)
    if mask_BT is not None and not bool((mask_BT[:, -1] & (mask_BT.long().diff(dim=1) >= 0).all(dim=1)).all()):
        raise ConfigError("prompts of one batch must end together; pad them on the left, where the mask is False")
    return mask_BT


def _check_search(
    max_new_tokens: int, num_beams: int, length_penalty: float, temperature: float, top_k: int | None,
    top_p: float | None,
) -> None:  # fmt: skip
    if max_new_tokens < 0:
        raise ConfigError("max_new_tokens={value} is not 0 or more", value=max_new_tokens)
    if num_beams < 1:
        raise ConfigError("num_beams={value} searches nothing; use 1 or more", value=num_beams)
    if not math.isfinite(length_penalty):
        raise ConfigError("length_penalty={value} is not a finite number; use 1, or 0 for none", value=length_penalty)
    if num_beams > 1 and (temperature not in (0, 1) or top_k is not None or top_p is not None):
        raise ConfigError(
            "num_beams={value} searches for the likeliest text and draws nothing; leave out temperature, top_k, top_p",
            value=num_beams,
        )
