"""Rows of different lengths in one tensor: all values end to end, and where each row begins.

A set of documents is kept so on the device; a batch is two gathers, without Python for each row. Letters: N rows, V
values of all rows together, B batch, T places of a padded row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import final

import numpy as np
import torch
from torch import Tensor

__all__ = ["Ragged"]


@final
@dataclass(frozen=True)
class Ragged:
    """Shapes: values (V,) int32; offsets (N + 1,) int64, the first 0 and the last V."""

    values: Tensor
    offsets: Tensor

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> "Ragged":
        """From lists of numbers."""
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        values = np.fromiter(chain.from_iterable(rows), dtype=np.int32, count=int(lengths.sum()))
        return cls.cut_at(torch.from_numpy(values), torch.from_numpy(lengths))

    @classmethod
    def cut_at(cls, values: Tensor, lengths: Tensor) -> "Ragged":
        """From values that lie end to end, and how many of them each row has. Shapes: (V,) and (N,)."""
        return cls(values.to(torch.int32), torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> Tensor:
        """One row. Shapes: -> (T,) int64."""
        return self.values[int(self.offsets[i]) : int(self.offsets[i + 1])].long()

    @property
    def lengths(self) -> Tensor:
        """Shapes: -> (N,) int64."""
        return self.offsets.diff()

    def shortened(self, most: int | Tensor) -> "Ragged":
        """The first `most` values of each row. Shapes: most (N,), or one number for all rows."""
        lengths, limit = self.lengths, torch.as_tensor(most).expand(len(self))
        if not bool((lengths > limit).any()):
            return self
        kept = self._place() < torch.repeat_interleave(limit, lengths)
        return Ragged.cut_at(self.values[kept], torch.minimum(lengths, limit))

    def within(self, before: Sequence[int], after: Sequence[int]) -> "Ragged":
        """Every row with the same values before and after it."""
        if not before and not after:
            return self
        lengths = self.lengths + len(before) + len(after)
        made = Ragged.cut_at(self.values.new_empty(int(lengths.sum())), lengths)
        made.values[torch.arange(len(self.values)) + self._shift(len(before), len(after))] = self.values
        for k, value in enumerate(before):
            made.values[made.offsets[:-1] + k] = value
        for k, value in enumerate(after):
            made.values[made.offsets[1:] - len(after) + k] = value
        return made

    def joined(self, other: "Ragged") -> "Ragged":
        """Row i of the one, then row i of the other."""
        mine, theirs = self.lengths, other.lengths
        made = Ragged.cut_at(self.values.new_empty(len(self.values) + len(other.values)), mine + theirs)
        made.values[self._place() + torch.repeat_interleave(made.offsets[:-1], mine)] = self.values
        made.values[other._place() + torch.repeat_interleave(made.offsets[:-1] + mine, theirs)] = other.values
        return made

    def padded(self, index: Tensor, places: int, fill: int) -> tuple[Tensor, Tensor]:
        """Rows side by side, the short ones filled up.

        Args:
            places: T, at least the longest of these rows.

        Shapes: index (B,) int64 on the device of the values -> values (B, T) int64, mask (B, T) bool.
        """
        starts, ends = self.offsets[index], self.offsets[index + 1]
        place = starts[:, None] + torch.arange(places, device=index.device)
        mask = place < ends[:, None]
        taken = self.values[place.clamp_(max=max(0, len(self.values) - 1))] if len(self.values) else place
        return torch.where(mask, taken.long(), fill), mask

    def to(self, device: torch.device) -> "Ragged":
        """The same on a device."""
        return Ragged(self.values.to(device), self.offsets.to(device))

    def _place(self) -> Tensor:
        """The place of each value in its row. Shapes: -> (V,)."""
        return torch.arange(len(self.values)) - torch.repeat_interleave(self.offsets[:-1], self.lengths)

    def _shift(self, before: int, after: int) -> Tensor:
        row = torch.repeat_interleave(torch.arange(len(self)), self.lengths)
        return before + row * (before + after)
