"""Pictures and arrays: subtract the training part's mean, divide by its deviation. Letters: B batch, C channels."""

from collections.abc import Mapping
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from netwright.core.errors import DataError
from netwright.data.dataset import Dataset
from netwright.data.pictures import to_picture
from netwright.data.preprocess import Preprocessor, deviation
from netwright.data.schema import Schema

__all__ = ["ArrayPreprocessor", "ImagePreprocessor"]

_CHUNK = 4096


@final
class ImagePreprocessor(Preprocessor):
    """Bytes to [0, 1], then each channel to mean 0 and deviation 1.

    Shapes: raw (B, C, H, W) uint8, or float32 in [0, 1].
    """

    kind = "image"

    def __init__(self, schema: Schema, mean: list[float], std: list[float]) -> None:
        super().__init__(schema)
        self._mean, self._std = mean, std

    @classmethod
    def fitted(cls, train: Dataset) -> "ImagePreprocessor":
        """Mean and deviation of each channel, over all training pictures or a spread of 4096 where they stream."""
        schema, channels = train.schema, train.schema.input_shape[0]
        if schema.as_given and schema.input_dtype != "uint8":
            return cls(schema, [0.0] * channels, [1.0] * channels)
        total, squares, count = (
            torch.zeros(channels, dtype=torch.float64),
            torch.zeros(channels, dtype=torch.float64),
            0,
        )
        for pictures in _chunks(train):
            scaled = pictures.float() / (255.0 if pictures.dtype == torch.uint8 else 1.0)
            total += scaled.mean(dim=(2, 3)).double().sum(dim=0)
            squares += scaled.square().mean(dim=(2, 3)).double().sum(dim=0)
            count += len(pictures)
        mean = total / count
        std = (squares / count - mean.square()).clamp_min(0).sqrt()
        return cls(schema, mean.tolist(), torch.where(std < 1e-4, torch.ones_like(std), std).tolist())

    @classmethod
    def restored(cls, schema: Schema, values: Mapping[str, Any]) -> "ImagePreprocessor":
        """From `values`."""
        return cls(schema, list(values["mean"]), list(values["std"]))

    def values(self) -> dict[str, Any]:
        """Mean and deviation of each channel, on the scale 0 to 1."""
        return {"mean": self._mean, "std": self._std}

    def floats(self, raw: Tensor) -> Tensor:
        """Bytes to [0, 1]."""
        return raw.float().mul_(1 / 255) if raw.dtype == torch.uint8 else raw.float()

    def normalise(self, x: Tensor) -> Tensor:
        """Standardise each channel."""
        mean, std = self._constant("mean", self._mean, x), self._constant("std", self._std, x)
        return (x - mean[:, None, None]) / std[:, None, None]

    def raw(self, x: Any) -> Tensor:
        """A path, a PIL image, an array or a tensor. Shapes: -> (C, H, W)."""
        shape: Any = self.schema.input_shape
        if self.schema.input_dtype == "uint8":
            return to_picture(x, shape, whole=self.schema.target.kind == "mask")
        return _array(x, shape).float()


@final
class ArrayPreprocessor(Preprocessor):
    """Arrays: each feature of a vector standardised, unless they came as given; integers (tokens) stay as they are."""

    kind = "array"

    def __init__(self, schema: Schema, mean: list[float] | None, std: list[float] | None) -> None:
        super().__init__(schema)
        self._mean, self._std = mean, std

    @classmethod
    def fitted(cls, train: Dataset) -> "ArrayPreprocessor":
        """Mean and deviation of each feature; of all values together where an example has more than one dimension."""
        if train.schema.as_given or not train.schema.input_dtype.startswith("float"):
            return cls(train.schema, None, None)
        values = torch.cat([chunk.double() for chunk in _chunks(train)])
        values = values if values.ndim == 2 else values.reshape(-1, 1)
        return cls(train.schema, values.mean(dim=0).tolist(), deviation(values).tolist())

    @classmethod
    def restored(cls, schema: Schema, values: Mapping[str, Any]) -> "ArrayPreprocessor":
        """From `values`."""
        return cls(schema, values["mean"], values["std"])

    def values(self) -> dict[str, Any]:
        """Mean and deviation, or None for data taken as given."""
        return {"mean": self._mean, "std": self._std}

    def floats(self, raw: Tensor) -> Tensor:
        """Floats as float32, integers as they are."""
        return raw.float() if raw.is_floating_point() else raw

    def normalise(self, x: Tensor) -> Tensor:
        """Standardise, or nothing."""
        if self._mean is None:
            return x
        return (x - self._constant("mean", self._mean, x)) / self._constant("std", self._std, x)

    def raw(self, x: Any) -> Tensor:
        """A list, array or tensor of the right shape."""
        value = _array(x, self.schema.input_shape)
        return value.float() if self.schema.input_dtype.startswith("float") else value.long()


def _chunks(train: Dataset) -> list[Tensor]:
    """The training inputs in pieces; a spread of examples where they are read from files."""
    whole = train.tensors()
    if whole is not None:
        return list(whole[0].split(_CHUNK))
    rows = torch.linspace(0, len(train) - 1, min(len(train), _CHUNK)).long().unique().tolist()
    return [torch.stack([train.read(row)[0] for row in rows[at : at + 256]]) for at in range(0, len(rows), 256)]


def _array(x: Any, shape: tuple[int, ...]) -> Tensor:
    try:
        value = x.detach().cpu() if isinstance(x, Tensor) else torch.from_numpy(np.array(x))
    except (TypeError, ValueError) as error:
        raise DataError(
            "input of kind {kind} is not an array of numbers; expected shape {shape}",
            kind=type(x).__name__,
            shape=shape,
        ) from error
    if tuple(value.shape) != shape:
        raise DataError("input has shape {got}; expected {shape}", got=tuple(value.shape), shape=shape)
    return value
