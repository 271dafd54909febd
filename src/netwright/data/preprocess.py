"""From raw examples to what a network eats, in batches; fitted on the training part only, saved as JSON.

`inputs(raw)` is `normalise(floats(raw))`: augmentation of pictures goes between the two, on floats in [0, 1]. `raw(x)`
takes what a user has at hand - a path, a row, a string - to the form that a data set reads, so that prediction and
training share every later step. Letters: B batch, C channels, F columns, W features after encoding, T characters.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from netwright.core.errors import CheckpointError, because
from netwright.data.dataset import Dataset
from netwright.data.schema import Schema

if TYPE_CHECKING:
    from netwright.data.tokenizing.base import Tokenizer

__all__ = ["Preprocessor", "deviation"]


class Preprocessor(ABC):
    """One for each kind of data; `fit` and `from_dict` give the right one.

    Numbers to be predicted are standardised with the training part's mean and deviation, unless the data came as given
    arrays; `targets_back` undoes it. Errors: `raw` raises DataError for input that does not fit the schema.
    """

    kind: str
    tokenizer: "Tokenizer | None" = None

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
            targets = targets if targets.ndim == 2 else targets.reshape(-1, 1)  # on a grid, all numbers are of one kind
            made._target_mean, made._target_std = targets.mean(dim=0).tolist(), deviation(targets).tolist()
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
                "preprocessor.json is damaged ({reason}); restore it or train again", reason=because(error)
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
        """Raw targets, ready for the loss: codes as int64, numbers standardised, as float32."""
        if self._target_mean is not None:
            raw = (raw - self._constant("mean of y", self._target_mean, raw)) / self._constant(
                "std of y", self._target_std, raw
            )
        return raw.float() if raw.is_floating_point() else raw.long()

    def targets_back(self, targets: Tensor) -> Tensor:
        """Predicted numbers in their own units. Shapes: as `targets`, (B, K)."""
        if self._target_mean is None:
            return targets
        mean = self._constant("mean of y", self._target_mean, targets)
        return targets * self._constant("std of y", self._target_std, targets) + mean

    @abstractmethod
    def raw(self, x: Any) -> Tensor:
        """One input of a user's as a raw example, without a batch dimension."""

    def batch(self, inputs: Sequence[Any]) -> Tensor | tuple[Tensor, ...]:
        """Inputs of a user's, ready for the network: its argument, or all of them. Shapes: N inputs -> (N, …) each."""
        return self.inputs(torch.stack([self.raw(x) for x in inputs]))

    def _constant(self, name: str, values: Any, like: Tensor) -> Tensor:
        """Fitted numbers in the device and precision of a batch, made once."""
        dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
        key = (name, like.device, dtype)
        if key not in self._placed:
            self._placed[key] = torch.tensor(values, dtype=dtype, device=like.device)
        return self._placed[key]


def _kinds() -> dict[str, type[Preprocessor]]:
    from netwright.data.encoding import TablePreprocessor
    from netwright.data.graph_scaling import GraphPreprocessor
    from netwright.data.normalising import ArrayPreprocessor, ImagePreprocessor
    from netwright.data.series_scaling import SeriesPreprocessor
    from netwright.data.textual import TextPreprocessor

    known = (
        ImagePreprocessor, TablePreprocessor, TextPreprocessor, ArrayPreprocessor, SeriesPreprocessor, GraphPreprocessor
    )  # fmt: skip
    return {made.kind: made for made in known}


def deviation(values: Tensor) -> Tensor:
    """Standard deviation by column; 1 where a column does not vary."""
    std = values.std(dim=0, correction=0)
    return torch.where(std < 1e-8, torch.ones_like(std), std)
