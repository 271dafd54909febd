"""What a forecaster is given: every column with mean 0 and deviation 1 over the training rows, targets likewise.

Letters: B batch, R rows, C columns, K targets among them (the first), T rows of a window, H of the horizon.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from netwright.core.errors import DataError, because
from netwright.data.dataset import Dataset
from netwright.data.preprocess import Preprocessor, deviation
from netwright.data.schema import Schema
from netwright.data.series import SeriesDataset

__all__ = ["SeriesPreprocessor"]


@final
class SeriesPreprocessor(Preprocessor):
    """Windows of numbers.

    Args:
        mean, std: of each column over the training rows.
        naive: of each target over the training rows, how far a value is on average from that a season before.

    Shapes: raw (B, T, C); raw targets (B, H, K) -> targets (B, H*K) float32, step by step.
    """

    kind = "series"

    def __init__(self, schema: Schema, mean: list[float], std: list[float], naive: list[float]) -> None:
        super().__init__(schema)
        self._mean, self._std, self.naive = mean, std, naive

    @classmethod
    def fitted(cls, train: Dataset) -> "SeriesPreprocessor":
        """From the rows that training windows cover, each counted once."""
        assert isinstance(train, SeriesDataset)
        covered = train.covered()
        rows, target = train.rows[covered], train.schema.target
        naive = _seasonal_error(train, covered, target.season)
        if bool(torch.isnan(naive).any()):  # training is shorter than a season
            naive = _seasonal_error(train, covered, 1)
        return cls(train.schema, rows.mean(0).tolist(), deviation(rows).tolist(), naive.tolist())

    @classmethod
    def restored(cls, schema: Schema, values: Mapping[str, Any]) -> "SeriesPreprocessor":
        """From `values`."""
        return cls(schema, *(list(values[name]) for name in ("mean", "std", "naive")))

    def values(self) -> dict[str, Any]:
        """Mean, deviation and naive error of each column."""
        return {"mean": self._mean, "std": self._std, "naive": self.naive}

    def floats(self, raw: Tensor) -> Tensor:
        """As they are: series of large numbers lose their digits only after the mean is off."""
        return raw

    def normalise(self, x: Tensor) -> Tensor:
        """Standardise each column. Shapes: (…, C) or, of targets, (…, K) -> the same, float32."""
        width = x.shape[-1]
        mean, std = self._constant("mean", self._mean, x)[:width], self._constant("std", self._std, x)[:width]
        return ((x - mean) / std).float()

    def targets(self, raw: Tensor) -> Tensor:
        """Standardise each target. Shapes: (B, H, K) -> (B, H*K)."""
        return self.normalise(raw).flatten(1)

    def targets_back(self, targets: Tensor) -> Tensor:
        """Values in their own unit. Shapes: (…, H*K) -> the same."""
        count = len(self.schema.target.names)
        steps: Tensor = targets.unflatten(-1, (-1, count))  # type: ignore[no-untyped-call]
        mean, std = self._constant("mean", self._mean, targets), self._constant("std", self._std, targets)
        return (steps * std[:count] + mean[:count]).flatten(-2)

    def raw(self, x: Any) -> Tensor:
        """The latest rows: a file with the columns of the training data, a dictionary of them, or numbers (T,), (T, C).

        More than a window is taken from its end. Shapes: -> (T, C) float64.

        Raises:
            DataError: fewer rows than the network looks at, other columns, or no numbers.
        """
        rows = self._rows(x)
        window, width = self.schema.input_shape
        if rows.dim() == 1 and width == 1:
            rows = rows[:, None]
        if rows.dim() != 2 or rows.shape[1] != width:
            template = "input has shape {got}; expected {window} rows or more of {width} columns ({names})"
            names = ", ".join(column.name for column in self.schema.features)
            raise DataError(template, got=tuple(rows.shape), window=window, width=width, names=names)
        if len(rows) < window:
            template = "a forecast needs the latest {window} rows, got {got}; give more of the past"
            raise DataError(template, window=window, got=len(rows))
        if not bool(torch.isfinite(rows[-window:]).all()):
            raise DataError("the latest {window} rows hold values that are no numbers; fill them", window=window)
        return rows[-window:]

    def _rows(self, x: Any) -> Tensor:
        names = [column.name for column in self.schema.features]
        if isinstance(x, str | Path):
            from netwright.data.sources.series import latest_rows

            return latest_rows(str(x), self.schema)
        if hasattr(x, "columns") and hasattr(x, "to_dict"):
            x = {name: list(x[name]) for name in names if name in x.columns}
        try:
            if isinstance(x, Mapping):
                return torch.from_numpy(np.stack([np.asarray(x[name], dtype=np.float64) for name in names], axis=1))
            return x.detach().cpu().double() if isinstance(x, Tensor) else torch.from_numpy(np.array(x, np.float64))
        except KeyError as error:
            template = "the input lacks column {name}; expected {names}"
            raise DataError(template, name=error.args[0], names=", ".join(names)) from error
        except (TypeError, ValueError) as error:
            raise DataError("the input is no table of numbers ({reason})", reason=because(error)) from error


def _seasonal_error(train: SeriesDataset, covered: Tensor, season: int) -> Tensor:
    """Mean |y_t - y_(t-season)| within the training rows, pooled over series. Shapes: -> (K,), NaN where none.

    Hyndman & Koehler, "Another look at measures of forecast accuracy", 2006: the scale of MASE. A series that never
    moves has an error of 0, which would make every MASE infinite; its scale is 1.
    """
    rows, pieces = train.rows[covered][:, : len(train.schema.target.names)], train.pieces[covered]
    count = max(0, len(rows) - season)
    beside = (covered[season:] - covered[:count] == season) & (pieces[season:] == pieces[:count])
    error_K = (rows[season:] - rows[:count]).abs()[beside].mean(0)
    return torch.where(error_K == 0, torch.ones_like(error_K), error_K)
