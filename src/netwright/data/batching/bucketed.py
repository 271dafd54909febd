"""Batches of documents, of like length (`lengths`), with masks for what is padding.

Texts are encoded once. All tokens stay on the device; a batch is a gather of them, and no Python runs for an example
unless texts are augmented. Letters: N examples, B batch, T places, S places of a source.
"""

from collections.abc import Iterator, Sequence
from typing import final

import torch
from torch import Tensor

from netwright.data.augment import Augment
from netwright.data.batching.lengths import LengthPlan
from netwright.data.batching.source import Batch, OrderedSource, refuse_empty
from netwright.data.texts import TextDataset
from netwright.data.textual import IGNORED, Encoded, TextPreprocessor, segments

__all__ = ["Bucketed"]


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
        refuse_empty(dataset)
        self._dataset, self._preprocess, self._longest = dataset, preprocess, longest
        self._augment, self._seed, self._device = augment or Augment(), seed, torch.device(device)
        encoded = preprocess.encode(dataset, longest)
        self.cut = encoded.cut
        self._order: LengthPlan = LengthPlan(torch.stack(_lengths(encoded), 1), batch_size, batch_tokens, shuffle, seed)
        self._encoded = _placed(encoded, self._device)
        for change in self._augment.texts:
            change.prepare(dataset.texts)

    @property
    def waste(self) -> float:
        """The share of padding."""
        return self._order.waste

    @property
    def references(self) -> Sequence[Sequence[str]] | None:
        """Those of the data set, which `Batch.index` counts."""
        return self._dataset.references

    def logs(self) -> dict[str, float]:
        """The share of padding."""
        return {"padding": self._order.waste}

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `start` on."""
        for rows, places in self._order.batches(epoch, start):
            index = rows.to(self._device)
            if not self._augment.texts:
                yield self._batch(self._encoded, index, index, places)
                continue
            encoded, at = self._augmented(rows, epoch), torch.arange(len(rows), device=self._device)
            yield self._batch(encoded, at, index, [int(n.max()) for n in _lengths(encoded)])

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


def _lengths(encoded: Encoded) -> list[Tensor]:
    """Places that the texts of an example need; what is written has its end or begin besides. Shapes: (N,) each."""
    written = [] if encoded.second is None else [encoded.second.lengths + 1]
    return [encoded.first.lengths, *written]


def _placed(encoded: Encoded, device: torch.device) -> Encoded:
    second, border, targets = encoded.second, encoded.border, encoded.targets
    return Encoded(
        encoded.first.to(device),
        None if second is None else second.to(device),
        None if border is None else border.to(device),
        None if targets is None else targets.to(device),
        encoded.cut,
    )
