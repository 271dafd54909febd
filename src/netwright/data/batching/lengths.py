"""Which texts make up a batch: those of like length, so that little of it is padding.

All examples are parted in two again and again, by the length (of one text, or of the first or the second of two) that
saves the most padding, as in a k-d tree (Bentley, "Multidimensional binary search trees", 1975), until a part is one
batch, or so even that its examples can be exchanged at will. Each epoch shuffles within the parts and shuffles the
batches; where they end is the same in all epochs, so that each has as many batches as any other.

Letters: N examples, K lengths of each, B batch.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netwright.core.errors import ConfigError
from netwright.core.seeds import generator

__all__ = ["LengthPlan"]

_EVEN = 0.03  # of a part that is even, so much would be padding if all were filled up to its longest
_ROOM = 1.1  # parts are aimed at this much less than the budget, because of the padding to come
_PARTS, _BATCHES = 0xB0C5, 0xBA7C  # keep these random numbers apart from everybody else's

Lengths = NDArray[np.int64]


@final
class LengthPlan:
    """The batches of all epochs.

    Args:
        lengths: of each example; a second column where a batch holds two texts of each.
        batch_size: examples of a batch, unless there is a budget.
        batch_tokens: most places of a batch, padding included; of short examples it then holds more.

    Shapes: lengths (N, K) int64.

    Raises:
        ConfigError: an example that is longer than the budget, or a batch larger than the data.
    """

    def __init__(
        self, lengths: Tensor, batch_size: int, batch_tokens: int | None = None, shuffle: bool = True, seed: int = 0
    ) -> None:
        self.lengths, self.shuffle, self.seed = lengths, shuffle, seed
        if batch_tokens is None and batch_size > len(lengths) and shuffle:
            template = "train.batch_size={size} is larger than the data ({examples} examples); use at most {examples}"
            raise ConfigError(template, path="train.batch_size", size=batch_size, examples=len(lengths))
        longest = int(lengths.sum(1).max())
        if batch_tokens is not None and longest > batch_tokens:
            template = (
                "train.batch_tokens={budget} is less than the longest example has, {longest}; use {longest} or more"
            )
            raise ConfigError(template, path="train.batch_tokens", budget=batch_tokens, longest=longest)
        self._parts: list[Tensor] = []
        self._ends: list[int] = []
        for rows in _parted(lengths.numpy(), batch_size, batch_tokens):
            self._parts.append(torch.from_numpy(rows))
            begin = self._ends[-1] if self._ends else 0
            top = int(lengths[self._parts[-1]].amax(0).sum())
            size = batch_size if batch_tokens is None else batch_tokens // top
            self._ends += _ends(begin, len(rows), size, batch_tokens is not None)

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return len(self._ends)

    @property
    def used(self) -> int:
        """Examples that an epoch gives: all of them."""
        return len(self.lengths)

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, list[int]]]:
        """The examples of each batch from batch `start` on, and how many places its texts need.

        Shapes: (B,) int64 on the CPU; K numbers.
        """
        parts, turns = self._parts, torch.arange(self.steps)
        if self.shuffle:
            chance = generator(self.seed, epoch, _PARTS)
            parts = [part[torch.randperm(len(part), generator=chance)] for part in parts]
            turns = torch.randperm(self.steps, generator=generator(self.seed, epoch, _BATCHES))
        order, begins = torch.cat(parts), [0, *self._ends]
        for turn in turns[start:].tolist():
            rows = order[begins[turn] : begins[turn + 1]]
            yield rows, self.lengths[rows].amax(0).tolist()

    @cached_property
    def waste(self) -> float:
        """The share of all places of an epoch's batches that padding fills; much the same in all epochs."""
        padded = sum(len(rows) * sum(places) for rows, places in self.batches(0))
        return 1.0 - int(self.lengths.sum()) / max(1, padded)


def _parted(lengths_NK: Lengths, size: int, budget: int | None) -> list[NDArray[np.int64]]:
    """The rows of each part, the short ones first."""
    done: list[NDArray[np.int64]] = []
    waiting = [np.arange(len(lengths_NK))]
    while waiting:
        rows = waiting.pop()
        part_MK = lengths_NK[rows]
        padded = len(rows) * int(part_MK.max(0).sum())
        one_batch = len(rows) <= size if budget is None else padded <= budget
        if one_batch or padded * (1 - _EVEN) <= int(part_MK.sum()):
            done.append(rows)
        else:
            waiting += [rows[side] for side in reversed(_halves(part_MK, size, budget))]
    return done


def _halves(lengths_MK: Lengths, size: int, budget: int | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Shorter and longer ones by the length whose border saves more padding; in whole batches, if those are known."""
    best: tuple[int, NDArray[np.int64], int] | None = None
    for k in range(lengths_MK.shape[1]):
        order = lengths_MK[:, k].argsort(kind="stable")
        at = _border(lengths_MK[order].sum(1), size, budget)
        sides = ((order[:at], at), (order[at:], len(order) - at))
        cost = sum(count * int(lengths_MK[side].max(0).sum()) for side, count in sides)
        if best is None or cost < best[0]:
            best = cost, order, at
    assert best is not None
    return best[1][: best[2]], best[1][best[2] :]


def _border(tokens_M: Lengths, size: int, budget: int | None) -> int:
    """How many go to the side of the short ones: half of the batches that all of them make."""
    count = len(tokens_M)
    if budget is None:
        return -(-count // size) // 2 * size
    batches = max(2, -(-int(tokens_M.sum() * _ROOM) // budget))
    share = int(tokens_M.sum()) * (batches // 2) / batches
    return min(max(1, int(np.searchsorted(tokens_M.cumsum(), share)) + 1), count - 1)


def _ends(begin: int, count: int, size: int, alike: bool) -> list[int]:
    """Where the batches of one part end: whole ones and a rest, or all of nearly one size."""
    if alike:
        size = -(-count // -(-count // size))
    return [*range(begin + size, begin + count, size), begin + count]
