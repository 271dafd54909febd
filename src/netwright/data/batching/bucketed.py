"""Batches of texts of like length, so that little of a batch is padding.

Examples are sorted by length and cut into buckets of nearly one length. Each epoch shuffles within the buckets, cuts the
whole row of them into batches, and shuffles the batches. Where a batch ends depends on the lengths of the buckets alone:
an epoch has as many batches as any other, and none exceeds the budget of tokens. All tokens stay on the device; a batch
is a gather of them, and no Python runs for an example unless texts are augmented.

Letters: N examples, B batch, T places, S places of a source.
"""

from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor

from netwright.core.errors import ConfigError, DataError
from netwright.core.seeds import generator
from netwright.data.augment import Augment
from netwright.data.batching.source import Batch, OrderedSource
from netwright.data.ragged import Ragged
from netwright.data.texts import TextDataset
from netwright.data.textual import IGNORED, Encoded, TextPreprocessor, segments

__all__ = ["Bucketed", "LengthPlan"]

_WIDTH = 0.05  # how much longer than its shortest example a bucket's longest may be
_BUCKETS, _BATCHES = 0xB0C5, 0xBA7C  # keep these random numbers apart from everybody else's


@final
class LengthPlan:
    """Which examples make up which batch of an epoch, by their lengths.

    Args:
        lengths: of each example; a second column where a batch holds two texts of each.
        batch_size: examples of a batch, unless there is a budget.
        batch_tokens: most places of a batch, padding included; of short examples it then holds more.

    Shapes: lengths (N, K) int64.

    Raises:
        ConfigError: an example that is longer than the budget, or a batch larger than the data.
    """

    def __init__(
        self, lengths: Tensor, batch_size: int, batch_tokens: int | None, shuffle: bool = True, seed: int = 0
    ) -> None:
        self.lengths, self.shuffle, self.seed = lengths, shuffle, seed
        if batch_tokens is None and batch_size > len(lengths) and shuffle:
            template = "train.batch_size={size} is larger than the data ({examples} examples); use at most {examples}"
            raise ConfigError(template, path="train.batch_size", size=batch_size, examples=len(lengths))
        places = int(lengths.sum())
        batches = places // batch_tokens if batch_tokens is not None else len(lengths) // batch_size
        self._order, self._starts = _buckets(lengths, batches)
        longest_NK = _longest(lengths[self._order], self._starts)
        if batch_tokens is not None and int(longest_NK.sum(1).max()) > batch_tokens:
            template = "train.batch_tokens={budget} is less than the longest example has, {longest}; use {longest} or more"
            longest = int(longest_NK.sum(1).max())
            raise ConfigError(template, path="train.batch_tokens", budget=batch_tokens, longest=longest)
        self._ends = _ends(longest_NK, batch_size, batch_tokens)

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return len(self._ends)

    @property
    def used(self) -> int:
        """Examples that an epoch gives: all of them."""
        return len(self.lengths)

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, list[int]]]:
        """The examples of each batch from batch `start` on, and the places that its texts need.

        Shapes: (B,) int64 on the CPU.
        """
        order, turns = self._order, torch.arange(self.steps)
        if self.shuffle:
            chance = generator(self.seed, epoch, _BUCKETS)
            order = torch.cat([piece[torch.randperm(len(piece), generator=chance)] for piece in self._pieces()])
            turns = torch.randperm(self.steps, generator=generator(self.seed, epoch, _BATCHES))
        begins = [0, *self._ends]
        for turn in turns[start:].tolist():
            rows = order[begins[turn] : begins[turn + 1]]
            yield rows, self.lengths[rows].amax(0).tolist()

    @property
    def waste(self) -> float:
        """The share of all places of an epoch's batches that padding fills."""
        padded = sum(len(rows) * sum(places) for rows, places in self.batches(0))
        return 1.0 - int(self.lengths.sum()) / max(1, padded)

    def _pieces(self) -> tuple[Tensor, ...]:
        return self._order.tensor_split(self._starts[1:])


@final
class Bucketed(OrderedSource):
    """Documents in batches.

    Args:
        batch_size, batch_tokens: see `LengthPlan`.
        longest: most tokens that the network takes, if fewer than the data section says.
        augment: changes of the texts of training, each a pure function of (seed, epoch, index).

    Shapes: of classes and numbers, inputs are tokens (B, T) int64 and mask (B, T) bool. Of sequence to sequence source
        (B, S), target so far (B, T) with the begin before it, and mask (B, S); targets (B, T) are the next tokens, -100
        where there is none. Of questions tokens, mask and segments (B, T); targets (B, 2).

    Raises:
        DataError: no example.
        ConfigError: see `LengthPlan`.
    """

    def __init__(
        self,
        dataset: TextDataset,
        preprocess: TextPreprocessor,
        *,
        batch_size: int,
        batch_tokens: int | None = None,
        longest: int | None = None,
        augment: Augment | None = None,
        shuffle: bool = True,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        if len(dataset) == 0:
            raise DataError("{name} holds no example; check the path and the split", name=dataset.name)
        self._dataset, self._preprocess, self._longest = dataset, preprocess, longest
        self._augment, self._seed, self._device = augment or Augment(), seed, torch.device(device)
        encoded = preprocess.encode(dataset, longest)
        self.cut = encoded.cut
        columns = [encoded.first.lengths]
        columns += [encoded.second.lengths + 1] if encoded.second is not None else []
        self._order = LengthPlan(torch.stack(columns, 1), batch_size, batch_tokens, shuffle, seed)
        self._encoded = _placed(encoded, self._device)

    @property
    def waste(self) -> float:
        """The share of padding."""
        return self._order.waste

    def logs(self) -> dict[str, float]:
        """The share of padding."""
        return {"padding": self._order.waste}

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `start` on."""
        for rows, places in self._order.batches(epoch, start):
            index = rows.to(self._device)
            encoded, at = self._encoded, index
            if self._augment.texts:
                encoded, at = self._augmented(rows, epoch), torch.arange(len(rows), device=self._device)
                places = [int(part.lengths.max()) + k for k, part in enumerate(_parts(encoded))]
            yield self._batch(encoded, at, index, places)

    def _batch(self, encoded: Encoded, at: Tensor, index: Tensor, places: list[int]) -> Batch:
        targets = self._encoded.targets
        chosen = targets.index_select(0, index) if targets is not None else None
        filler = self._preprocess.tokenizer.filler
        tokens_BT, mask_BT = encoded.first.padded(at, places[0], filler)
        if encoded.second is not None:
            return self._pairs(tokens_BT, mask_BT, encoded.second.padded(at, places[1], filler), index)
        if encoded.border is not None:
            return Batch((tokens_BT, mask_BT, segments(encoded.border[at], mask_BT)), chosen, index)
        return Batch((tokens_BT, mask_BT), chosen, index)

    def _pairs(self, source_BS: Tensor, mask_BS: Tensor, written: tuple[Tensor, Tensor], index: Tensor) -> Batch:
        """Teacher forcing: the decoder reads what it is to write, one token late."""
        tokenizer, (tokens_BT, mask_BT) = self._preprocess.tokenizer, written
        begin_B1 = torch.full_like(tokens_BT[:, :1], tokenizer.start)
        so_far_BT = torch.cat([begin_B1, tokens_BT[:, :-1]], dim=1)
        next_BT = tokens_BT.masked_fill(~mask_BT, IGNORED)
        if tokenizer.end is not None:
            next_BT.scatter_(1, mask_BT.sum(1, keepdim=True), tokenizer.end)
        return Batch((source_BS, so_far_BT, mask_BS), next_BT, index)

    def _augmented(self, rows: Tensor, epoch: int) -> Encoded:
        """The texts of a batch, changed and encoded anew."""
        texts = self._augment.worded([self._dataset.texts[i] for i in rows.tolist()], rows, epoch, self._seed)
        second = [self._dataset.second[i] for i in rows.tolist()] if self._dataset.second is not None else None
        return _placed(self._preprocess.encoded(texts, second, self._longest), self._device)


def _parts(encoded: Encoded) -> list[Ragged]:
    return [part for part in (encoded.first, encoded.second) if part is not None]


def _placed(encoded: Encoded, device: torch.device) -> Encoded:
    second, border, targets = encoded.second, encoded.border, encoded.targets
    return Encoded(
        encoded.first.to(device),
        None if second is None else second.to(device),
        None if border is None else border.to(device),
        None if targets is None else targets.to(device),
        encoded.cut,
    )


def _buckets(lengths_NK: Tensor, batches: int) -> tuple[Tensor, list[int]]:
    """An order by length, and where in it each bucket begins.

    Of two texts, as many groups are made by the first as each group then has batches, and within a group the second
    decides, up and down by turns, so that neighbours are alike in both.
    """
    order = lengths_NK[:, 0].argsort(stable=True)
    pieces = list(order.tensor_split(max(1, round(batches**0.5)))) if lengths_NK.shape[1] > 1 else [order]
    for number, piece in enumerate(pieces if lengths_NK.shape[1] > 1 else []):
        pieces[number] = piece[lengths_NK[piece, 1].argsort(stable=True, descending=bool(number % 2))]
    order, starts, place = torch.cat(pieces), list[int](), 0
    for piece in pieces:
        low = high = None
        for value in lengths_NK[piece, -1].tolist():
            if low is None or max(high, value) > min(low, value) * (1 + _WIDTH):
                starts.append(place)
                low = high = value
            low, high, place = min(low, value), max(high, value), place + 1
    return order, starts


def _longest(lengths_NK: Tensor, starts: list[int]) -> Tensor:
    """The longest of its bucket, at every place of the order. Shapes: (N, K) -> (N, K)."""
    pieces = lengths_NK.tensor_split(starts[1:])
    return torch.cat([piece.amax(0, keepdim=True).expand_as(piece) for piece in pieces])


def _ends(longest_NK: Tensor, batch_size: int, batch_tokens: int | None) -> list[int]:
    """Where each batch ends: as late as size and budget allow."""
    total, ends, at = len(longest_NK), list[int](), 0
    while at < total:
        size = batch_size
        if batch_tokens is not None:
            most = batch_tokens // int(longest_NK[at].sum()) if total - at > 1 else 1
            cost_M = longest_NK[at : at + most].cummax(0).values.sum(1)
            cost_M = cost_M * torch.arange(1, len(cost_M) + 1)
            size = int((cost_M <= batch_tokens).sum())
        at = min(total, at + size)
        ends.append(at)
    return ends
