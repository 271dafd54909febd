"""What a batch is, and what the training loop may ask of anything that gives batches.

A source is asked for the batches of an epoch, from any batch on. Which examples make up a batch is a pure function of
(seed, epoch), and how an example is augmented a pure function of (seed, epoch, index): so a run that is resumed in
the middle of an epoch, or that reads with another number of workers, sees the same bits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from netwright.core.errors import ConfigError, DataError
from netwright.core.seeds import generator
from netwright.data.dataset import Dataset

__all__ = [
    "Batch", "BatchSource", "Order", "OrderedSource", "SourceAround", "first_of", "forward", "part_of", "refuse_empty",
]  # fmt: skip

_ORDER = 0x0DE5  # keeps the order's random numbers apart from everybody else's


class Batch(NamedTuple):
    """Ready for the network, on its device.

    Shapes: inputs (B, ...) or several of those; targets (B, ...) or None; index (B,) int64 into the data set, or None.
    """

    inputs: Tensor | tuple[Tensor, ...]
    targets: Tensor | None
    index: Tensor | None  # type: ignore[assignment]  # hides tuple.index, which nobody needs here

    def rows(self, first: int = 0) -> Tensor:
        """The rows of the data set; where no index tells, they are counted from `first` on. Shapes: -> (B,) int64."""
        if self.index is not None:
            return self.index
        one = self.inputs[0] if isinstance(self.inputs, tuple) else self.inputs
        return torch.arange(first, first + len(one), device=one.device)


def forward(model: nn.Module, inputs: Tensor | tuple[Tensor, ...]) -> Any:
    """The network's outputs for the inputs of a batch, which may be several."""
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def part_of(inputs: Tensor | tuple[Tensor, ...], rows: Tensor | slice) -> Tensor | tuple[Tensor, ...]:
    """Some rows of a batch's inputs."""
    return tuple(part[rows] for part in inputs) if isinstance(inputs, tuple) else inputs[rows]



def first_of(batch: Batch, count: int) -> Batch:
    """The first examples of a batch; all of it where rows belong together, as the nodes and edges of graphs do."""
    inputs = batch.inputs
    if isinstance(inputs, tuple) and len({len(part) for part in inputs}) > 1:
        return batch
    targets, index = (part[:count] if part is not None else None for part in batch[1:])
    return Batch(part_of(inputs, slice(count)), targets, index)


@runtime_checkable
class BatchSource(Protocol):
    """The one protocol of batching. `examples` and `steps_per_epoch` count what an epoch gives."""

    @property
    def steps_per_epoch(self) -> int: ...

    @property
    def examples(self) -> int: ...

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, the first `start` of them left out without being made."""
        ...

    def bind(self, model: Any) -> None:
        """Hand over the network; only sources that act with it (environments) keep it."""
        ...

    def logs(self) -> dict[str, float]:
        """Figures of its own for the log, such as how its episodes went; empty where there is nothing to tell."""
        ...

    def state(self) -> dict[str, Any]:
        """Nested dicts of tensors and JSON scalars; empty where the batches are a pure function of (seed, epoch)."""
        ...

    def load_state(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Order:
    """Which examples make up which batch of an epoch.

    Args:
        examples: size of the data set.
        shuffle: a new permutation each epoch; else the order of the data set.
        weights: chance of each example to be drawn, in any unit; an epoch then draws `examples` times with replacement.
        drop_last: leave out a last batch that is short. A shuffled order always leaves out a last batch of a single
            example: batch norm over one has no variance, and the next epoch leaves out another.

    Shapes: weights (examples,).

    Raises:
        ConfigError: batches larger than the data they are to be drawn from, or weights that cannot be.
    """

    examples: int
    batch_size: int
    shuffle: bool = True
    seed: int = 0
    drop_last: bool = False
    weights: Tensor | None = None

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            template = "train.batch_size={size} does not fit; expected 1 or more"
            raise ConfigError(template, path="train.batch_size", size=self.batch_size)
        if self.batch_size > self.examples and (self.shuffle or self.drop_last):
            raise ConfigError(
                "train.batch_size={size} is larger than the data ({examples} examples); use at most {examples}",
                path="train.batch_size",
                size=self.batch_size,
                examples=self.examples,
            )
        if self.weights is not None:
            _check_weights(self.weights, self.examples)

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        whole, rest = divmod(self.examples, self.batch_size)
        lone = self.shuffle and rest == 1 and whole > 0
        return whole + (rest > 0 and not self.drop_last and not lone)

    @property
    def used(self) -> int:
        """Examples that an epoch gives."""
        return min(self.examples, self.steps * self.batch_size)

    def batches(self, epoch: int, start: int = 0) -> tuple[Tensor, ...]:
        """The indices of each batch from batch `start` on; each (B,) int64, on the CPU."""
        order = self.indices(epoch)[start * self.batch_size : self.used]
        return order.split(self.batch_size) if len(order) else ()

    def indices(self, epoch: int) -> Tensor:
        """The order of an epoch. Shapes: -> (examples,) int64."""
        if self.weights is not None:
            return self._draw(self.weights, epoch)
        if self.shuffle:
            return torch.randperm(self.examples, generator=generator(self.seed, epoch, _ORDER))
        return torch.arange(self.examples)

    def _draw(self, weights: Tensor, epoch: int) -> Tensor:
        # By inversion: torch.multinomial takes no more than 2**24 categories, and no double precision.
        edges = weights.to("cpu", torch.float64).cumsum(0)
        draws = torch.rand(self.examples, dtype=torch.float64, generator=generator(self.seed, epoch, _ORDER))
        drawn = torch.searchsorted(edges, draws * edges[-1], right=True)
        return drawn.clamp_(max=int(weights.nonzero()[-1]))


class OrderedSource:
    """What sources share whose batches are a pure function of (seed, epoch): an order to follow, no state to keep."""

    _order: Any  # an `Order`, or a `LengthPlan`: both count steps and examples

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return int(self._order.steps)

    @property
    def examples(self) -> int:
        """Examples that an epoch gives; windows of a stream."""
        return int(self._order.used)

    def bind(self, model: Any) -> None:
        """Nothing: these batches do not depend on the network."""

    def logs(self) -> dict[str, float]:
        """Nothing: these batches have no story of their own."""
        return {}

    def state(self) -> dict[str, Any]:
        """Nothing: the epoch says it all."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""


class SourceAround:
    """A source with another's batches, as they are; a subclass changes them."""

    def __init__(self, source: BatchSource) -> None:
        self.source = source

    @property
    def steps_per_epoch(self) -> int:
        """Those of the source."""
        return self.source.steps_per_epoch

    @property
    def examples(self) -> int:
        """Those of the source."""
        return self.source.examples

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `start` on."""
        return self.source.epoch(epoch, start)

    def bind(self, model: Any) -> None:
        """As the source does."""
        self.source.bind(model)

    def logs(self) -> dict[str, float]:
        """The source's figures."""
        return self.source.logs()

    def state(self) -> dict[str, Any]:
        """The source's."""
        return self.source.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo of `state`."""
        self.source.load_state(state)


def refuse_empty(dataset: Dataset) -> None:
    """What no batch can be made of.

    Raises:
        DataError: no example.
    """
    if len(dataset) == 0:
        raise DataError("{name} holds no example; check the path and the split", name=dataset.name)


def _check_weights(weights: Tensor, examples: int) -> None:
    if weights.shape != (examples,):
        raise ConfigError(
            "sample weights have shape {shape}; expected one number an example, ({examples},)",
            shape=tuple(weights.shape),
            examples=examples,
        )
    if not bool(torch.isfinite(weights).all()) or bool((weights < 0).any()) or not bool((weights > 0).any()):
        raise ConfigError("sample weights must be finite, at least 0 and not all 0; give each example a share above 0")
