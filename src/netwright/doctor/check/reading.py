"""A data set or a loader as one (inputs, targets) pair of tensors, and whether it gives the same numbers twice."""

import contextlib
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from netwright.metrics.architecture import tensors_in

__all__ = ["is_source", "pair_of", "read", "rows", "varies"]

_MOST, _LOOKED = 4096, 16  # examples that are read, and read twice


def is_source(value: Any) -> bool:
    """Whether it is to be read, other than tensors, arrays and their tuples."""
    return isinstance(value, DataLoader | Dataset)


def read(source: Any) -> tuple[Any, Any]:
    """The first examples, joined; the last part of an item is the target, and several before it stay a tuple."""
    batches: list[Any] = []
    held = 0
    loader: Iterable[Any] = source if isinstance(source, DataLoader) else DataLoader(source, batch_size=256)
    for item in loader:
        batches.append(pair_of(item))
        held += len(next(tensors_in(batches[-1])))
        if held >= _MOST:
            break
    return _joined([pair[0] for pair in batches]), _joined([pair[1] for pair in batches])


def pair_of(item: Any) -> tuple[Any, Any]:
    """(inputs, targets) as a loader gives them: the last part is the target, and several before it are a tuple."""
    if not isinstance(item, list | tuple) or len(item) < 2:
        return item[0] if isinstance(item, list | tuple) else item, None
    inputs = item[0] if len(item) == 2 else item[:-1]
    return tuple(inputs) if isinstance(inputs, list) else inputs, item[-1]


def rows(value: Any, index: Tensor) -> Any:
    """These examples of inputs or targets, whatever they are made of; a number that belongs to no example stays."""
    if isinstance(value, Tensor):
        return value[index.to(value.device)] if value.dim() else value
    if isinstance(value, dict):
        return {key: rows(item, index) for key, item in value.items()}
    return type(value)(rows(item, index) for item in value) if type(value) in (tuple, list) else value


def _joined(parts: list[Any]) -> Any:
    first = parts[0]
    if isinstance(first, Tensor):
        same = [part for part in parts if part.shape[1:] == first.shape[1:]]  # texts are as long as their longest
        return torch.cat(same)
    if isinstance(first, dict):
        return {key: _joined([part[key] for part in parts]) for key in first}
    if isinstance(first, list | tuple):
        return tuple(_joined([part[at] for part in parts]) for at in range(len(first)))
    return first


def varies(source: Any) -> bool:
    """Whether an example of the same target has other inputs when it is read again, as random augmentation makes it.

    Where the target is what the input was made from, as for denoising, chance belongs to the task.
    """
    dataset: Any = source.dataset if isinstance(source, DataLoader) else source
    with contextlib.suppress(Exception):  # data that cannot be had by number
        for at in torch.linspace(0, len(dataset) - 1, min(_LOOKED, len(dataset))).long().tolist():
            (one, target), (two, again) = pair_of(dataset[at]), pair_of(dataset[at])
            a, b = next(tensors_in(one)), next(tensors_in(two))
            made = isinstance(target, Tensor) and target.shape == a.shape
            if target is None or made or not _same(target, again):
                return False
            if a.shape != b.shape or not torch.equal(a, b):
                return True
    return False


def _same(one: Any, two: Any) -> bool:
    return torch.equal(torch.as_tensor(one), torch.as_tensor(two))
