"""Batches from a data set that lives on the device as tensors: a step is two `index_select`s.

Without image augmentation the preprocessing is applied once, to everything; with it the raw bytes stay, and each
batch is converted, augmented and normalised. Measured on 60,000 rows of 784 floats in batches of 128 (2 CPU cores):
selecting rows batch by batch takes 13 ms an epoch, `x[index]` 28 ms, and slices of a permuted copy 70 ms (14 ms into
a buffer kept at twice the memory).
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from netwright.core.errors import DataError
from netwright.data.augment import Augment
from netwright.data.batching.balanced import make_order
from netwright.data.batching.source import Batch, OrderedSource, refuse_empty
from netwright.data.dataset import Dataset
from netwright.data.preprocess import Preprocessor

__all__ = ["Resident"]

_CHUNK = 4096  # examples prepared at a time: bounds the memory of the intermediate results


class Resident(OrderedSource):
    """A whole data set on the device.

    Args:
        augment: what `augment.build_augment` gives; None for validation and test.
        weights, drop_last: see `Order`. per_class: see `Balanced`.

    Shapes: the batch's inputs are what `preprocess.inputs` gives; its targets what `preprocess.targets` gives, or
    (B, K) float shares of the classes when the augmentation mixes examples.

    Raises:
        DataError: the data set must be streamed, or is empty.
        ConfigError: see `Order`.
    """

    def __init__(
        self,
        dataset: Dataset,
        preprocess: Preprocessor,
        *,
        batch_size: int,
        augment: Augment | None = None,
        shuffle: bool = True,
        seed: int = 0,
        device: torch.device | str = "cpu",
        drop_last: bool = False,
        weights: Tensor | None = None,
        per_class: int | None = None,
    ) -> None:
        raw = dataset.tensors()
        if raw is None:
            raise DataError("{name} does not fit as tensors; stream it (train.workers)", name=dataset.name)
        refuse_empty(dataset)
        self._order = make_order(dataset, batch_size, shuffle, seed, drop_last, weights, per_class)
        self._sequential = not shuffle and weights is None
        self._preprocess, self._seed, self._device = preprocess, seed, torch.device(device)
        self._augment = augment or Augment()
        self._late = self._augment.on_images  # then each batch is prepared by itself, as its pixels change
        self._masks = dataset.schema.target.kind == "mask"  # kept as bytes, an eighth of what the loss is given
        self._inputs = raw[0].to(self._device) if self._late else _prepare_all(preprocess.inputs, raw[0], self._device)
        self._targets = raw[1].to(self._device)
        if not self._masks:
            self._targets = _prepare_all(preprocess.targets, raw[1], self._device)
        self._everything = torch.arange(len(dataset), device=self._device) if self._sequential else None

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `start` on."""
        if self._everything is not None:
            return self._in_turn(self._everything, epoch, start)
        return self._shuffled(epoch, start)

    def _shuffled(self, epoch: int, start: int) -> Iterator[Batch]:
        order = self._order
        chosen = order.indices(epoch)[start * order.batch_size : order.used].to(self._device)
        for index in chosen.split(order.batch_size) if len(chosen) else ():
            yield self._finish(self._inputs.index_select(0, index), self._targets.index_select(0, index), index, epoch)

    def _in_turn(self, everything: Tensor, epoch: int, start: int) -> Iterator[Batch]:
        size, used = self._order.batch_size, self._order.used
        for first in range(start * size, used, size):
            rows = slice(first, min(first + size, used))  # a view: nothing is copied
            yield self._finish(self._inputs[rows], self._targets[rows], everything[rows], epoch)

    def _finish(self, inputs: Tensor, targets: Tensor, index: Tensor, epoch: int) -> Batch:
        if self._late:
            pixels = self._augment.images(self._preprocess.floats(inputs), index, epoch, self._seed)
            inputs = self._preprocess.normalise(pixels)
        if self._masks:
            targets = self._preprocess.targets(self._augment.moved(targets, index, epoch, self._seed))
        inputs, targets = self._augment.mix(inputs, targets, index, epoch, self._seed)
        return Batch(inputs, targets, index)


def _prepare_all(prepare: Callable[[Tensor], Tensor], raw: Tensor, device: torch.device) -> Tensor:
    """Prepare everything in chunks, straight into one tensor."""
    first = prepare(raw[:_CHUNK].to(device))
    if len(raw) <= _CHUNK:
        return first.contiguous()
    whole = first.new_empty((len(raw), *first.shape[1:]))
    whole[:_CHUNK] = first
    for at in range(_CHUNK, len(raw), _CHUNK):
        whole[at : at + _CHUNK] = prepare(raw[at : at + _CHUNK].to(device))
    return whole
