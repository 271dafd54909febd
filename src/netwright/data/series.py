"""Time series as a data set: every stretch of `window` rows is an example, the `horizon` rows after it its target.

An example may look back into the rows of an earlier part, never ahead: a window belongs to the part in which all its
targets lie, and one whose targets lie in two parts to none. So no value that validation or test ask for has been seen.
Letters: R rows, C columns (K targets, then covariates), T rows of a window, H of the horizon, N windows.
"""

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor

from netwright.core.errors import DataError
from netwright.data.dataset import BadRow, Dataset
from netwright.data.schema import Schema

__all__ = ["SeriesDataset", "cut_in_time", "window_starts"]


@final
class SeriesDataset(Dataset):
    """Windows over rows that stand in the order of time, series by series.

    Args:
        pieces: which unbroken stretch of one series each row belongs to; no window leaves its stretch.
        starts: the first row of each window.

    Shapes: rows (R, C) float64, the targets first; times (R,) float64; pieces (R,) int64; starts (N,) int64.
    """

    def __init__(
        self,
        rows: Tensor,
        times: Tensor,
        pieces: Tensor,
        starts: Tensor,
        schema: Schema,
        name: str,
        problems: Sequence[BadRow] = (),
    ) -> None:
        self.rows, self.times, self.pieces, self.starts = rows, times, pieces, starts
        self.schema, self.name, self.problems = schema, name, list(problems)

    @property
    def window(self) -> int:
        """T, the rows that the network sees."""
        return self.schema.input_shape[0]

    @property
    def length(self) -> int:
        """T + H, the rows of an example."""
        return self.window + self.schema.target.horizon

    def __len__(self) -> int:
        return len(self.starts)

    def read(self, i: int) -> tuple[Tensor, Tensor]:
        """A window and what came after it. Shapes: -> (T, C), (H, K)."""
        start = int(self.starts[i])
        stretch = self.rows[start : start + self.length]
        return stretch[: self.window], stretch[self.window :, : len(self.schema.target.names)]

    def tensors(self) -> None:
        """Nothing: stacked windows would hold every row many times; `SeriesWindows` cuts them batch by batch."""
        return

    def subset(self, indices: Tensor) -> "SeriesDataset":
        """Some of the windows, over the same rows."""
        return self._over(self.starts[indices], self.schema)

    def with_schema(self, schema: Schema) -> "SeriesDataset":
        """The same windows under another schema."""
        return self._over(self.starts, schema)

    def labels(self) -> Tensor:
        """What comes after each window. Shapes: (N, H, K) float64."""
        steps = torch.arange(self.window, self.length)
        return self.rows[self.starts[:, None] + steps][..., : len(self.schema.target.names)]

    def covered(self) -> Tensor:
        """The rows that lie in some window, targets too. Shapes: (R',) int64, ascending."""
        edges = torch.zeros(len(self.rows) + 1, dtype=torch.int64)
        edges.index_add_(0, self.starts, torch.ones_like(self.starts))
        edges.index_add_(0, self.starts + self.length, -torch.ones_like(self.starts))
        return edges.cumsum(0)[:-1].nonzero().flatten()

    def _over(self, starts: Tensor, schema: Schema) -> "SeriesDataset":
        return SeriesDataset(self.rows, self.times, self.pieces, starts, schema, self.name, self.problems)


def window_starts(pieces: Tensor, length: int) -> Tensor:
    """Where windows of `length` rows can begin without leaving a piece. Shapes: pieces (R,) -> (N,) int64."""
    if len(pieces) < length:
        return torch.zeros(0, dtype=torch.int64)
    return (pieces[: len(pieces) - length + 1] == pieces[length - 1 :]).nonzero().flatten()


def cut_in_time(dataset: SeriesDataset, pool: Tensor, shares: Mapping[str, float]) -> dict[str, Tensor]:
    """The latest rows are the test, those before them the validation; of several series at the same moments.

    Windows whose targets lie on both sides of a cut belong to no part.

    Shapes: pool (N',) windows to cut -> fewer, in all parts together.

    Raises:
        DataError: a part is asked for that is shorter than the horizon.
    """
    moments = dataset.times[dataset.subset(pool).covered()].sort().values
    first_N = dataset.times[dataset.starts[pool] + dataset.window]  # of the targets
    last_N = dataset.times[dataset.starts[pool] + dataset.length - 1]
    parts, end = {}, torch.tensor(torch.inf, dtype=torch.float64)
    for name in ("test", "validation"):
        if not (share := shares.get(name, 0.0)):
            continue
        rest = moments[moments < end]
        begin = rest[max(0, len(rest) - max(1, round(share * len(moments))))]
        parts[name] = pool[(first_N >= begin) & (last_N < end)]
        if not len(parts[name]):
            template = (
                "data.split.{part}={share:g} leaves too few rows for a horizon of {horizon}; "
                "use a larger share, more rows or a shorter data.horizon"
            )
            raise DataError(template, part=name, share=share, horizon=dataset.schema.target.horizon)
        end = begin
    return {"train": pool[last_N < end], **parts}
