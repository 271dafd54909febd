"""Batches of a few classes with equally many examples of each, for losses that compare examples with each other.

P classes x K examples as in Hermans et al., "In defense of the triplet loss for person re-identification", 2017.
Letters: S batches of an epoch, P classes a batch, K examples of each, C classes, N examples.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from netwright.core.errors import ConfigError
from netwright.core.messages import say
from netwright.core.seeds import generator
from netwright.data.batching.source import Order
from netwright.data.dataset import Dataset

__all__ = ["Balanced", "make_order"]

_BALANCE = 0xBA1A  # keeps these random numbers apart from the plain order's


@dataclass(frozen=True)
class Balanced(Order):
    """An order whose every batch holds `per_class` examples of each of `batch_size / per_class` classes.

    The classes of a batch are drawn without regard to their size, and the examples of a class come in turn, in an order
    of the epoch's own; where they run out they begin again, so examples of rare classes come more often.

    Args:
        labels: the class of each example.
        per_class: K.

    Shapes: labels (examples,) int64.

    Raises:
        ConfigError: targets that are no classes; a batch that does not come out even, or needs more classes than there
            are.
    """

    labels: Tensor | None = None
    per_class: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.labels is None or self.labels.dim() != 1 or self.labels.is_floating_point():
            template = "train.per_class={per_class} needs classes as targets, and the data have none; leave it out"
            raise ConfigError(template, path="train.per_class", per_class=self.per_class)
        classes = len(self.labels.unique())
        fitting = [k for k in range(2, self.batch_size // 2 + 1) if self._fits(k, classes)]
        if self.per_class not in fitting:
            template = "train.per_class={per_class} of {classes} classes do not make batches of {size}; {do}"
            use = say("use {fitting}", fitting=", ".join(map(str, fitting)))
            raise ConfigError(
                template, path="train.per_class", per_class=self.per_class, size=self.batch_size, classes=classes,
                do=use if fitting else say("use another train.batch_size"),
            )  # fmt: skip

    @property
    def steps(self) -> int:
        """Whole batches in as many examples as there are."""
        return self.examples // self.batch_size

    def indices(self, epoch: int) -> Tensor:
        """The order of an epoch, batch after batch. Shapes: -> (S * P * K,) int64."""
        assert self.labels is not None
        chance = generator(self.seed, epoch, _BALANCE)
        code_N, size_C = self.labels.unique(return_inverse=True, return_counts=True)[1:]
        order_N = torch.randperm(self.examples, generator=chance)
        grouped_N = order_N[code_N[order_N].argsort(stable=True)]
        places = self.batch_size // self.per_class
        drawn_SP = torch.rand(self.steps, len(size_C), generator=chance).argsort(1)[:, :places].flatten()
        first_C = size_C.cumsum(0) - size_C
        turn_SPK = _turns(drawn_SP)[:, None] * self.per_class + torch.arange(self.per_class)
        return grouped_N[first_C[drawn_SP][:, None] + turn_SPK % size_C[drawn_SP][:, None]].flatten()

    def _fits(self, per_class: int, classes: int) -> bool:
        return self.batch_size % per_class == 0 and 2 <= self.batch_size // per_class <= classes


def make_order(
    dataset: Dataset,
    batch_size: int,
    shuffle: bool,
    seed: int,
    drop_last: bool,
    weights: Tensor | None,
    per_class: int | None,
) -> Order:
    """The order of a data set: balanced where `per_class` is given.

    Raises:
        ConfigError: see `Order` and `Balanced`.
    """
    if per_class is None:
        return Order(len(dataset), batch_size, shuffle, seed, drop_last, weights)
    labels = dataset.labels().cpu()
    return Balanced(len(dataset), batch_size, shuffle, seed, labels=labels, per_class=per_class)


def _turns(drawn: Tensor) -> Tensor:
    """How often each entry has occurred before. Shapes: (M,) -> (M,)."""
    order = drawn.argsort(stable=True)
    ordered = drawn[order]
    place = torch.arange(len(drawn))
    begins = torch.cat([ordered.new_ones(1, dtype=torch.bool), ordered[1:] != ordered[:-1]])
    start = torch.where(begins, place, 0).cummax(0).values
    return torch.empty_like(place).scatter_(0, order, place - start)
