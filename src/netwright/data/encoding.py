"""Tables: one row of raw columns becomes one vector of numbers.

Numbers and dates are standardised, the median standing for what is missing, and where training rows had gaps a 0/1
feature says so; truth values are 0 and 1; categories take a slot each and one for the unknown. Letters: B batch, F
columns, W features.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor

from netwright.core.errors import DataError
from netwright.core.messages import say
from netwright.data.columns import date_text, days, is_missing, truth
from netwright.data.dataset import Dataset
from netwright.data.decimals import with_comma
from netwright.data.policy import nearest
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Column, Schema

__all__ = ["TablePreprocessor", "cell_value"]


@final
class TablePreprocessor(Preprocessor):
    """Encodes rows. Shapes: raw (B, F) float32 with NaN for missing -> (B, W) float32.

    The features are the numbers (in the order of the columns), then their missing indicators, then the slots of each
    category.
    """

    kind = "table"

    def __init__(self, schema: Schema, median: list[float], mean: list[float], std: list[float]) -> None:
        super().__init__(schema)
        self._median, self._mean, self._std = median, mean, std
        features = schema.features
        self._numbers = [place for place, column in enumerate(features) if column.kind != "category"]
        self._gaps = [place for place, column in enumerate(features) if column.indicator and column.kind != "category"]
        self._categories = [place for place, column in enumerate(features) if column.kind == "category"]
        slots = [features[place].width for place in self._categories]
        first = len(self._numbers) + len(self._gaps)
        self._starts = [first + sum(slots[:at]) for at in range(len(slots))]
        self._unknown = [slot - 1 for slot in slots]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What each of the W features is."""
        columns = self.schema.features
        names = [columns[place].name for place in self._numbers] + [
            f"{columns[place].name} missing" for place in self._gaps
        ]
        for place in self._categories:
            names += [f"{columns[place].name}={category}" for category in (*columns[place].categories, "?")]
        return tuple(names)

    @classmethod
    def fitted(cls, train: Dataset) -> "TablePreprocessor":
        """Median, mean and deviation of every number and date among the training rows."""
        whole = train.tensors()
        assert whole is not None
        columns = [column for column in train.schema.features if column.kind != "category"]
        places = [place for place, column in enumerate(train.schema.features) if column.kind != "category"]
        found = [
            _statistics(column, whole[0][:, place].double()) for column, place in zip(columns, places, strict=True)
        ]
        median, mean, std = (list(numbers) for numbers in zip(*found, strict=True)) if found else ([], [], [])
        return cls(train.schema, median, mean, std)

    @classmethod
    def restored(cls, schema: Schema, values: Mapping[str, Any]) -> "TablePreprocessor":
        """From `values`."""
        return cls(schema, list(values["median"]), list(values["mean"]), list(values["std"]))

    def values(self) -> dict[str, Any]:
        """Median, mean and deviation of the numbers, after their `origin` is subtracted."""
        return {"median": self._median, "mean": self._mean, "std": self._std}

    def floats(self, raw: Tensor) -> Tensor:
        """Encode, with numbers in their own units. Shapes: (B, F) -> (B, W)."""
        encoded = raw.new_zeros((raw.shape[0], self.schema.input_shape[0]), dtype=torch.float32)
        count, gaps = len(self._numbers), len(self._gaps)
        numbers = raw[:, self._numbers]
        encoded[:, :count] = torch.where(numbers.isnan(), self._constant("median", self._median, raw), numbers)
        encoded[:, count : count + gaps] = raw[:, self._gaps].isnan().float()
        if self._categories:
            codes = raw[:, self._categories].nan_to_num(-1)
            codes = torch.where(codes < 0, self._constant("unknown", self._unknown, raw), codes)
            slots = (codes + self._constant("starts", self._starts, raw)).long()
            encoded.scatter_(1, slots, 1.0)
        return encoded

    def normalise(self, x: Tensor) -> Tensor:
        """Standardise the numbers, leave the 0/1 features. Shapes: (B, W)."""
        count = len(self._numbers)
        numbers = (x[:, :count] - self._constant("mean", self._mean, x)) / self._constant("std", self._std, x)
        return torch.cat([numbers, x[:, count:]], dim=1)

    def raw(self, x: Any) -> Tensor:
        """A row as a mapping of column names, or the values of the used columns in their order. Shapes: -> (F,).

        Raises:
            DataError: a column that training rows never lacked is absent, or a value does not fit its column.
        """
        columns = self.schema.features
        if isinstance(x, Mapping):
            return torch.tensor([cell_value(column, self._look_up(column, x)) for column in columns])
        values: Sequence[Any] = x.tolist() if hasattr(x, "tolist") else list(x) if isinstance(x, list | tuple) else [x]
        if len(values) != len(columns):
            names = ", ".join(column.name for column in columns[:8]) + (", …" if len(columns) > 8 else "")
            raise DataError(
                "the row has {got} values; expected {wanted}: {names}",
                got=len(values),
                wanted=len(columns),
                names=names,
            )
        return torch.tensor([cell_value(column, value) for column, value in zip(columns, values, strict=True)])

    def usual_row(self) -> dict[str, Any]:
        """A row as `raw` takes it: medians and first categories."""
        row, numbers = dict[str, Any](), iter(self._median)
        for column in self.schema.features:
            if column.kind == "category":
                row[column.name] = next(iter(column.categories), None)
                continue
            value = next(numbers) + column.origin
            if column.kind == "boolean":
                row[column.name] = bool(value)
            elif column.kind == "datetime":
                row[column.name] = date_text(value, column.form)
            else:
                row[column.name] = float(f"{value:.6g}")
        return row

    def _look_up(self, column: Column, row: Mapping[str, Any]) -> Any:
        if column.name in row:
            return row[column.name]
        if column.missing == 0:
            others = [name for name in row if name not in {other.name for other in self.schema.columns}]
            near = nearest(column.name, others, show_all=False)
            raise DataError("the row has no {name!r}{near}", name=column.name, near=near)
        return None


def _statistics(column: Column, values: Tensor) -> tuple[float, float, float]:
    """Median, mean and deviation of what is there; truth values stay 0 and 1."""
    known = values[~values.isnan()]
    if not len(known):
        return 0.0, 0.0, 1.0
    median = float(known.median())
    if column.kind == "boolean":
        return median, 0.0, 1.0
    filled = values.nan_to_num(median)
    std = float(filled.std(correction=0))
    return median, float(filled.mean()), std if std > 1e-8 else 1.0


def cell_value(column: Column, value: Any) -> float:
    """One value as the data set stores it."""
    if is_missing(value):
        return math.nan
    if column.kind == "category":
        text = str(value).strip()
        return float(column.categories.index(text)) if text in column.categories else -1.0
    read: Callable[[Any], float] = float
    wanted = "a number"
    if column.kind == "boolean":
        read, wanted = truth, "yes or no"
    elif column.kind == "datetime":
        read, wanted = functools.partial(days, form=column.form), "a date"
    elif column.form == ",":
        read = with_comma
    try:
        number = read(value) - column.origin
    except (ValueError, TypeError, OverflowError):
        number = math.inf
    if not math.isfinite(number):
        raise DataError("{name}={value!r} is not {wanted}", name=column.name, value=value, wanted=say(wanted))
    return number
