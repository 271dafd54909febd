"""From raw examples to what a network eats, in batches; fitted on the training part only, saved as JSON.

`inputs(raw)` is `normalise(floats(raw))`: augmentation of pictures goes between the two, on floats in [0, 1]. `raw(x)`
takes what a user has at hand - a path, a row, a string - to the form that a data set reads, so that prediction and
training share every later step. Letters: B batch, C channels, F columns, W features after encoding, T characters.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from netwright.core.errors import CheckpointError, DataError
from netwright.data.dataset import Dataset
from netwright.data.pictures import to_picture
from netwright.data.schema import Schema
from netwright.data.tokens import CharTokenizer

__all__ = ["ArrayPreprocessor", "ImagePreprocessor", "Preprocessor", "TextPreprocessor"]

_CHUNK = 4096


class Preprocessor(ABC):
    """One for each kind of data; `fit` and `from_dict` give the right one.

    Numbers to be predicted are standardised with the training part's mean and deviation, unless the data came as given
    arrays; `targets_back` undoes it. Errors: `raw` raises DataError for input that does not fit the schema.
    """

    kind: str
    tokenizer: CharTokenizer | None = None

    def __init__(
        self, schema: Schema, target_mean: list[float] | None = None, target_std: list[float] | None = None
    ) -> None:
        self.schema = schema
        self._target_mean, self._target_std = target_mean, target_std
        self._placed: dict[tuple[str, torch.device, torch.dtype], Tensor] = {}

    @staticmethod
    def fit(train: Dataset) -> "Preprocessor":
        """Fit on the training part."""
        made = _kinds()[train.schema.kind].fitted(train)
        if train.schema.target.kind == "number" and not train.schema.as_given:
            targets = train.labels().double()
            made._target_mean, made._target_std = targets.mean(dim=0).tolist(), _deviation(targets).tolist()
        return made

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Preprocessor":
        """Undo of `to_dict`.

        Raises:
            CheckpointError: these are not the values of a preprocessor.
        """
        try:
            made = _kinds()[values["kind"]].restored(Schema.from_dict(values["schema"]), values["values"])
            made._target_mean, made._target_std = values["target_mean"], values["target_std"]
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                "preprocessor.json is damaged ({error}); restore it or train again", error=repr(error)
            ) from error
        return made

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; holds the schema too."""
        scaling = {"target_mean": self._target_mean, "target_std": self._target_std}
        return {"kind": self.kind, "schema": self.schema.to_dict(), "values": self.values()} | scaling

    @classmethod
    @abstractmethod
    def fitted(cls, train: Dataset) -> "Preprocessor":
        """Fit this kind."""

    @classmethod
    @abstractmethod
    def restored(cls, schema: Schema, values: Mapping[str, Any]) -> "Preprocessor":
        """Make this kind from what `values` gave."""

    @abstractmethod
    def values(self) -> dict[str, Any]:
        """What was fitted, JSON-able."""

    @abstractmethod
    def floats(self, raw: Tensor) -> Tensor:
        """The raw batch as numbers of the network's type, before normalisation; pictures in [0, 1]."""

    @abstractmethod
    def normalise(self, x: Tensor) -> Tensor:
        """What follows `floats`."""

    def inputs(self, raw: Tensor) -> Tensor:
        """A raw batch, ready for the network. Shapes: (B, …) -> (B, *schema.input_shape)."""
        return self.normalise(self.floats(raw))

    def targets(self, raw: Tensor) -> Tensor:
        """Raw targets, ready for the loss: codes stay, numbers are standardised, as float32."""
        if self._target_mean is not None:
            raw = (raw - self._constant("mean of y", self._target_mean, raw)) / self._constant("std of y", self._target_std, raw)
        return raw.float() if raw.is_floating_point() else raw

    def targets_back(self, targets: Tensor) -> Tensor:
        """Predicted numbers in their own units. Shapes: as `targets`, (B, K)."""
        if self._target_mean is None:
            return targets
        mean = self._constant("mean of y", self._target_mean, targets)
        return targets * self._constant("std of y", self._target_std, targets) + mean

    @abstractmethod
    def raw(self, x: Any) -> Tensor:
        """One input of a user's as a raw example, without a batch dimension."""

    def _constant(self, name: str, values: Any, like: Tensor) -> Tensor:
        """Fitted numbers in the device and precision of a batch, made once."""
        dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
        key = (name, like.device, dtype)
        if key not in self._placed:
            self._placed[key] = torch.tensor(values, dtype=dtype, device=like.device)
        return self._placed[key]


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
            return to_picture(x, shape)
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
        return cls(train.schema, values.mean(dim=0).tolist(), _deviation(values).tolist())

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


@final
class TextPreprocessor(Preprocessor):
    """Characters to codes. Shapes: raw (T,) or (B, T) code points -> the same shape, int64."""

    kind = "text"
    tokenizer: CharTokenizer

    def __init__(self, schema: Schema, tokenizer: CharTokenizer) -> None:
        super().__init__(schema)
        self.tokenizer = tokenizer

    @classmethod
    def fitted(cls, train: Dataset) -> "TextPreprocessor":
        """A code for every character of the training part."""
        stream = train.tensors()
        assert stream is not None
        return cls(train.schema, CharTokenizer.of(stream[0]))

    @classmethod
    def restored(cls, schema: Schema, values: Mapping[str, Any]) -> "TextPreprocessor":
        """From `values`."""
        return cls(schema, CharTokenizer.from_dict(values))

    def values(self) -> dict[str, Any]:
        """The tokenizer's."""
        return self.tokenizer.to_dict()

    def floats(self, raw: Tensor) -> Tensor:
        """Codes of characters."""
        return self.tokenizer.codes(raw)

    def normalise(self, x: Tensor) -> Tensor:
        """Nothing."""
        return x

    def targets(self, raw: Tensor) -> Tensor:
        """Codes of characters."""
        return self.tokenizer.codes(raw)

    def raw(self, x: Any) -> Tensor:
        """A string. Shapes: -> (T,) code points."""
        from netwright.data.sources.text import code_points

        if not isinstance(x, str) or not x:
            raise DataError(
                "a {kind} where text is expected; give a string",
                kind=type(x).__name__ if not isinstance(x, str) else "blank",
            )
        return code_points(x)


def _kinds() -> dict[str, type[Preprocessor]]:
    from netwright.data.encoding import TablePreprocessor

    return {made.kind: made for made in (ImagePreprocessor, TablePreprocessor, TextPreprocessor, ArrayPreprocessor)}


def _chunks(train: Dataset) -> list[Tensor]:
    """The training inputs in pieces; a spread of examples where they are read from files."""
    whole = train.tensors()
    if whole is not None:
        return list(whole[0].split(_CHUNK))
    rows = torch.linspace(0, len(train) - 1, min(len(train), _CHUNK)).long().unique().tolist()
    return [torch.stack([train.read(row)[0] for row in rows[at : at + 256]]) for at in range(0, len(rows), 256)]


def _deviation(values: Tensor) -> Tensor:
    """Standard deviation by column; 1 where a column does not vary."""
    std = values.std(dim=0, correction=0)
    return torch.where(std < 1e-8, torch.ones_like(std), std)


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
