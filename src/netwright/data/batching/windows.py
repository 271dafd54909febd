"""Batches for a language model: windows of a stream of tokens that stays on the device.

Letters: N tokens of the stream, T tokens of a window (the context), B batch.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from netwright.core.errors import ConfigError, DataError
from netwright.core.seeds import generator
from netwright.data.batching.source import Batch, Order, OrderedSource
from netwright.data.textual import IGNORED

__all__ = ["Windows"]

_OFFSET = 0x0FF5


class Windows(OrderedSource):
    """Non-overlapping windows; the target of each token is the next one.

    For training (`shuffle`) an epoch's windows begin at a random offset and come in random order, so that over the
    epochs a token is seen at every place of a window. For validation they begin at 0, in order, and a last batch of one
    window that overlaps the one before asks for the rest (-100 for what was asked for already): so every token but the
    first counts, once. `Batch.index` is the number of the window.

    Args:
        tokens: the whole stream, integers.
        context: T, at most the context length of the network.

    Shapes: tokens (N,) -> inputs (B, T), targets (B, T), both int64, contiguous.

    Raises:
        DataError: fewer tokens than a training window needs.
        ConfigError: see `Order`; batch sizes count windows.
    """

    def __init__(
        self,
        tokens: Tensor,
        *,
        context: int,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        device: torch.device | str = "cpu",
        drop_last: bool = False,
    ) -> None:
        if context < 1:
            raise ConfigError("context={context} does not fit; expected 1 or more", context=context)
        if len(tokens) < 2 or (shuffle and len(tokens) <= context):
            template = "the text has {tokens} tokens, and one window needs {needed}; use more text or a shorter context"
            raise DataError(template, tokens=len(tokens), needed=context + 1)
        self._tokens = tokens.to(torch.device(device), torch.int64)
        self._context = min(context, len(tokens) - 1)
        self._shuffle, self._seed = shuffle, seed
        # A random offset costs up to a window, so that every epoch has the same number of them.
        slack = self._context if shuffle else 1
        self._windows = max(1, (len(tokens) - slack) // self._context)
        self._order = Order(self._windows, batch_size, shuffle, seed, drop_last)
        self._rest = 0 if shuffle or drop_last else (len(tokens) - 1) % self._context

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return super().steps_per_epoch + (self._rest > 0)

    @property
    def examples(self) -> int:
        """Windows of an epoch, the last one among them."""
        return super().examples + (self._rest > 0)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `start` on."""
        inputs_WT, targets_WT = self._cut(self._offset(epoch))
        for index in self._order.batches(epoch, start):
            rows = index.to(self._tokens.device)
            yield Batch(inputs_WT.index_select(0, rows), targets_WT.index_select(0, rows), rows)
        if self._rest and start < self.steps_per_epoch:
            last_1T = self._tokens[None, -self._context - 1 :]
            targets_1T = last_1T[:, 1:].clone()
            targets_1T[:, : -self._rest] = IGNORED
            yield Batch(last_1T[:, :-1], targets_1T, torch.tensor([self._windows], device=last_1T.device))

    def _offset(self, epoch: int) -> int:
        if not self._shuffle:
            return 0
        choices = min(self._context, len(self._tokens) - self._windows * self._context)
        return int(torch.randint(choices, (), generator=generator(self._seed, epoch, _OFFSET)))

    def _cut(self, offset: int) -> tuple[Tensor, Tensor]:
        """Two views of the stream, one token apart; nothing is copied."""
        length, shape = self._windows * self._context, (self._windows, self._context)
        inputs, targets = self._tokens[offset : offset + length], self._tokens[offset + 1 : offset + 1 + length]
        return inputs.view(shape), targets.view(shape)
