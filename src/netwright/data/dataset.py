"""Data sets: raw examples, whole or one at a time.

A raw example is what the file holds, in the cheapest tensor: uint8 pictures (C, H, W), one float32 row of a table with
NaN for what is missing, int64 characters. What a network eats is made of it by the preprocessor, in batches.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import torch
from torch import Tensor

from netwright.core.errors import DataError
from netwright.data.schema import Schema

__all__ = ["BadRow", "Dataset", "FileDataset", "PairedFiles", "TensorDataset"]


@dataclass(frozen=True)
class BadRow:
    """An example that could not be used: where it stands (`houses.csv:17`, `cats/3.png`) and what is wrong with it."""

    place: str
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


class Dataset(ABC):
    """Examples that can be counted and read.

    `problems` lists the examples left out. Shapes: `read(i)` gives one raw input and its target without a batch
    dimension; `tensors()` gives all of them stacked, or None where they are read from files as needed.
    """

    name: str
    schema: Schema
    problems: list[BadRow]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, i: int) -> tuple[Tensor, Tensor]:
        """Raw input and target of example `i`."""

    @abstractmethod
    def tensors(self) -> tuple[Tensor, Tensor] | None:
        """All raw inputs and targets, or None for a data set that streams."""

    @abstractmethod
    def subset(self, indices: Tensor) -> "Dataset":
        """The examples at `indices`, in that order."""

    @abstractmethod
    def with_schema(self, schema: Schema) -> "Dataset":
        """The same examples under another schema."""

    @abstractmethod
    def labels(self) -> Tensor:
        """All targets, without reading inputs. Shapes: (N,) or (N, K); empty for text."""


@final
class TensorDataset(Dataset):
    """Everything in memory.

    Shapes: inputs (N, …) with targets (N,) or (N, K), masks (N, H, W) uint8; for text, inputs are the stream of
        characters (T,) and targets
    are empty, because the next character is the target.
    """

    def __init__(
        self, inputs: Tensor, targets: Tensor, schema: Schema, name: str, problems: Sequence[BadRow] = ()
    ) -> None:
        self.inputs, self.targets, self.schema, self.name = inputs, targets, schema, name
        self.problems = list(problems)

    def __len__(self) -> int:
        return len(self.inputs)

    def read(self, i: int) -> tuple[Tensor, Tensor]:
        """Raw input and target; for text the character at `i` and the one after it."""
        if self.schema.target.kind == "next-token":
            return self.inputs[i], self.inputs[min(i + 1, len(self) - 1)]
        return self.inputs[i], self.targets[i]

    def tensors(self) -> tuple[Tensor, Tensor]:
        """The tensors themselves; they are not copied."""
        return self.inputs, self.targets

    def subset(self, indices: Tensor) -> "TensorDataset":
        """The examples at `indices`; a view where they are one stretch, otherwise a copy."""
        inputs, targets = self.inputs, self.targets
        if len(indices) and torch.equal(indices, torch.arange(int(indices[0]), int(indices[0]) + len(indices))):
            chosen = slice(int(indices[0]), int(indices[0]) + len(indices))
            inputs, targets = inputs[chosen], targets[chosen] if len(targets) else targets
        else:
            inputs, targets = inputs[indices], targets[indices] if len(targets) else targets
        return TensorDataset(inputs, targets, self.schema, self.name, self.problems)

    def with_schema(self, schema: Schema) -> "TensorDataset":
        """The same tensors under another schema."""
        return TensorDataset(self.inputs, self.targets, schema, self.name, self.problems)

    def labels(self) -> Tensor:
        """The targets."""
        return self.targets


@final
class FileDataset(Dataset):
    """Examples read as needed: `load(item)` makes the raw input of one item (a path, an index)."""

    def __init__(
        self,
        items: Sequence[Any],
        targets: Tensor,
        load: Callable[[Any], Tensor],
        schema: Schema,
        name: str,
        *,
        problems: Sequence[BadRow] = (),
    ) -> None:
        self.items, self.targets, self.load, self.schema, self.name = items, targets, load, schema, name
        self.problems = list(problems)

    def __len__(self) -> int:
        return len(self.items)

    def read(self, i: int) -> tuple[Tensor, Tensor]:
        """Read one file.

        Raises:
            DataError: the file went bad or away since the data were checked.
        """
        try:
            return self.load(self.items[i]), self.targets[i]
        except (OSError, ValueError, SyntaxError) as error:
            template = "{place} cannot be read any more ({error}); it was whole when the data were loaded: run again"
            raise DataError(template, place=self.items[i], error=error) from error

    def tensors(self) -> None:
        """Nothing: these data stream."""
        return

    def subset(self, indices: Tensor) -> "FileDataset":
        """The examples at `indices`; nothing is read."""
        items = [self.items[i] for i in indices.tolist()]
        return FileDataset(items, self.targets[indices], self.load, self.schema, self.name, problems=self.problems)

    def with_schema(self, schema: Schema) -> "FileDataset":
        """The same files under another schema."""
        return FileDataset(self.items, self.targets, self.load, schema, self.name, problems=self.problems)

    def labels(self) -> Tensor:
        """The targets, known without reading a file."""
        return self.targets


@final
class PairedFiles(Dataset):
    """Pictures with a mask each, read as needed: `load` makes raw input and mask of a pair of paths.

    Shapes: pixels (N, 256), how many pixels of an example have each code: known since the files were checked.
    """

    def __init__(
        self,
        items: Sequence[tuple[str, str]],
        pixels: Tensor,
        load: Callable[[tuple[str, str]], tuple[Tensor, Tensor]],
        schema: Schema,
        name: str,
        *,
        problems: Sequence[BadRow] = (),
    ) -> None:
        self.items, self.pixels, self.load, self.schema, self.name = items, pixels, load, schema, name
        self.problems = list(problems)

    def __len__(self) -> int:
        return len(self.items)

    def read(self, i: int) -> tuple[Tensor, Tensor]:
        """Read two files.

        Raises:
            DataError: one of them went bad or away since the data were checked.
        """
        try:
            return self.load(self.items[i])
        except (OSError, ValueError, SyntaxError) as error:
            template = "{place} cannot be read any more ({error}); it was whole when the data were loaded: run again"
            raise DataError(template, place=self.items[i][0], error=error) from error

    def tensors(self) -> None:
        """Nothing: these data stream."""
        return

    def subset(self, indices: Tensor) -> "PairedFiles":
        """The examples at `indices`; nothing is read."""
        items = [self.items[i] for i in indices.tolist()]
        return PairedFiles(items, self.pixels[indices], self.load, self.schema, self.name, problems=self.problems)

    def with_schema(self, schema: Schema) -> "PairedFiles":
        """The same files under another schema."""
        return PairedFiles(self.items, self.pixels, self.load, schema, self.name, problems=self.problems)

    def labels(self) -> Tensor:
        """All masks, which are read for it. Shapes: (N, H, W) uint8."""
        return torch.stack([self.read(i)[1] for i in range(len(self))])
