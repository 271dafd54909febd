"""Batches for a language model: windows of a stream of tokens that stays on the device.

Letters: N tokens of the stream, T tokens of a window (the context), B batch.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from netwright.core.errors import ConfigError, DataError
from netwright.core.seeds import generator
from netwright.data.batching.source import Batch, Order, OrderedSource

__all__ = ["Windows"]

_OFFSET = 0x0FF5


class Windows(OrderedSource):
    """Non-overlapping windows; the target of each token is the next one.

    For training (`shuffle`) an epoch's windows begin at a random offset and come in random order, so that over the
    epochs a token is seen at every place of a window. For validation they begin at 0, in order; of the end of the
    stream, less than a window stays unread. `Batch.index` is the number of the window.

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

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `start` on."""
        inputs_WT, targets_WT = self._cut(self._offset(epoch))
        for index in self._order.batches(epoch, start):
            rows = index.to(self._tokens.device)
            yield Batch(inputs_WT.index_select(0, rows), targets_WT.index_select(0, rows), rows)

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
