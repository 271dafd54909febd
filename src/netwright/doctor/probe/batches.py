"""The user's batches, cached once, so that every fork sees the same ones; with the few ways a probe may rearrange them.

`inputs` is a tuple where the network takes several. A data loader is read like the user's loop reads it, epoch after
epoch; whole tensors are cut into shuffled batches.
"""

import contextlib
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from netwright.doctor.check.given import tensor_of
from netwright.doctor.check.reading import pair_of, rows
from netwright.doctor.probe.fork import Batch
from netwright.metrics.architecture import tensors_in

__all__ = ["Batches", "collect", "size_of"]

_MEMORY, _EPOCHS = 400_000_000, 4  # bytes and epochs that are cached at most


@dataclass(frozen=True)
class Batches:
    """`epochs` holds the batches of each epoch read; `pool` all examples of the first, where they can be joined."""

    epochs: tuple[tuple[Batch, ...], ...]
    pool: Batch | None
    size: int
    shuffled: bool

    @property
    def per_epoch(self) -> int:
        """Batches in an epoch."""
        return len(self.epochs[0])

    @property
    def examples(self) -> int:
        """Examples in an epoch, as far as read."""
        return sum(size_of(batch) for batch in self.epochs[0])

    def sequence(self, steps: int, seed: int = 0) -> Iterator[Batch]:
        """The batches of `steps` steps. Another seed takes each epoch in another order, unless the order is fixed."""
        chance = random.Random(seed)
        done = 0
        while done < steps:
            for epoch in self.epochs:
                order = list(epoch)
                if seed and self.shuffled:
                    chance.shuffle(order)
                yield from order[: steps - done]
                done += len(order[: steps - done])

    def rebatched(self, size: int) -> "Batches | None":
        """The same examples, shuffled, in batches of another size; None where they cannot be joined."""
        if self.pool is None:
            return None
        cut = tuple(tuple(_cut(self.pool, size, seed)) for seed in range(_EPOCHS))
        return replace(self, epochs=cut, size=size, shuffled=True)


def collect(train: Any, net: nn.Module, steps: int, batch_size: int) -> Batches:
    """Read `train`, an (inputs, targets) pair or a loader, for as many epochs as `steps` steps need (few are kept)."""
    place = next((parameter.device for parameter in net.parameters()), torch.device("cpu"))
    if _is_pair(train):
        pool = _ready(train[0], place), _ready(train[1], place)
        size = max(1, min(batch_size, size_of(pool)))
        whole = Batches(((pool,),), pool, size, True)
        return whole.rebatched(size) or whole
    with _untouched(train):
        epochs = _read(train, place, steps)
    sampler = type(getattr(train, "sampler", None)).__name__
    return Batches(epochs, _joined(epochs[0]), size_of(epochs[0][0]), sampler != "SequentialSampler")


def _read(train: Iterable[Any], place: torch.device, steps: int) -> tuple[tuple[Batch, ...], ...]:
    """As many whole epochs as `steps` steps need, at most a few; a part of one where it is too large to keep."""
    epochs: list[tuple[Batch, ...]] = []
    held = 0
    while not epochs or (sum(map(len, epochs)) < steps and len(epochs) < _EPOCHS):
        epoch = []
        for item in train:
            epoch.append(_ready(pair_of(item), place))
            held += sum(tensor.numel() * tensor.element_size() for tensor in tensors_in(epoch[-1]))
            if held > _MEMORY or len(epoch) >= _EPOCHS * max(steps, 1):
                return (*epochs, tuple(epoch))
        epochs.append(tuple(epoch))
    return tuple(epochs)


def _ready(value: Any, place: torch.device) -> Any:
    if isinstance(value, tuple):
        return tuple(_ready(item, place) for item in value)
    if isinstance(value, dict):
        return {key: _ready(item, place) for key, item in value.items()}
    return tensor_of(value, place)


def _is_pair(train: Any) -> bool:
    return (
        isinstance(train, tuple | list)
        and len(train) == 2
        and all(item is None or isinstance(item, tuple | Tensor | dict) or hasattr(item, "__array__") for item in train)
        and next(tensors_in(_ready(train[0], torch.device("cpu"))), None) is not None
    )


def size_of(batch: Batch) -> int:
    """Examples in a batch, by its first tensor."""
    first = next(tensors_in(batch), None)
    return int(first.shape[0]) if first is not None and first.dim() else 1


def _cut(pool: Batch, size: int, seed: int) -> Iterator[Batch]:
    count = size_of(pool)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    for index in order.split(size):
        if len(index) > 1 or count == 1 or size == 1:  # batch norms refuse a last batch of one
            yield rows(pool[0], index), rows(pool[1], index)


def _joined(epoch: tuple[Batch, ...]) -> Batch | None:
    try:
        return _cat([batch[0] for batch in epoch]), _cat([batch[1] for batch in epoch])
    except (TypeError, RuntimeError, KeyError, IndexError):  # ragged batches, or no tensors
        return None


def _cat(parts: list[Any]) -> Any:
    if isinstance(parts[0], Tensor):
        return torch.cat(parts)
    if isinstance(parts[0], tuple):
        return tuple(_cat([part[at] for part in parts]) for at in range(len(parts[0])))
    if isinstance(parts[0], dict):
        return {key: _cat([part[key] for part in parts]) for key in parts[0]}
    if parts[0] is None:
        return None
    raise TypeError(type(parts[0]))


@contextlib.contextmanager
def _untouched(loader: Any) -> Iterator[None]:
    """Reading a loader moves its own generators on; they are put back."""
    held = [getattr(loader, "generator", None), getattr(getattr(loader, "sampler", None), "generator", None)]
    states = [(item, item.get_state()) for item in held if isinstance(item, torch.Generator)]
    try:
        yield
    finally:
        for item, state in states:
            item.set_state(state)
