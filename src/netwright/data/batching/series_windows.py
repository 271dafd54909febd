"""Batches of a time series: windows cut from rows that stay on the device, scaled once.

Letters: R rows, C columns (K targets first), T rows of a window, H of the horizon, B batch.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from netwright.data.batching.source import Batch, Order, OrderedSource, refuse_empty
from netwright.data.preprocess import Preprocessor
from netwright.data.series import SeriesDataset

__all__ = ["SeriesWindows"]


@torch.no_grad()
def _scaled(dataset: SeriesDataset, preprocess: Preprocessor) -> Tensor:
    return preprocess.inputs(dataset.rows[None])[0]


class SeriesWindows(OrderedSource):
    """Every window once an epoch, in an order that is a pure function of (seed, epoch); in time order for measuring.

    `Batch.index` is the number of the window in the data set.

    Shapes: inputs (B, T, C), targets (B, H*K), float32, contiguous.

    Raises:
        DataError: no window.
        ConfigError: see `Order`; batch sizes count windows.
    """

    def __init__(
        self,
        dataset: SeriesDataset,
        preprocess: Preprocessor,
        *,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        device: torch.device | str = "cpu",
        drop_last: bool = False,
    ) -> None:
        refuse_empty(dataset)
        self._rows_RC = _scaled(dataset, preprocess).to(torch.device(device))
        self._starts = dataset.starts.to(self._rows_RC.device)
        self._steps = torch.arange(dataset.length, device=self._rows_RC.device)
        self._window, self._targets = dataset.window, len(dataset.schema.target.names)
        self._order = Order(len(dataset), batch_size, shuffle, seed, drop_last)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `start` on."""
        for chosen in self._order.batches(epoch, start):
            index = chosen.to(self._starts.device)
            stretch = self._rows_RC[self._starts[index][:, None] + self._steps]
            targets = stretch[:, self._window :, : self._targets].flatten(1)
            yield Batch(stretch[:, : self._window].contiguous(), targets, index)
