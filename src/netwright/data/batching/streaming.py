"""Batches from a data set that is read example by example, by worker processes where wanted.

Workers only read and stack raw examples; preprocessing and augmentation are the very same batched operations in the
main process as for resident data, so the batches are the same bits for any number of workers.
"""

import signal
import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from netwright.core.errors import ConfigError, DataError, NetwrightError, ResourceError
from netwright.core.messages import say
from netwright.core.seeds import generator
from netwright.data.augment import Augment
from netwright.data.batching.balanced import make_order
from netwright.data.batching.source import Batch, OrderedSource, refuse_empty
from netwright.data.dataset import Dataset
from netwright.data.preprocess import Preprocessor

__all__ = ["Streaming"]

_LOADER = 0x10AD


class _Failure(NamedTuple):
    """An example that could not be read; it travels as data, as exceptions lose their fields on the way."""

    example: int
    reason: str


class _Reader:
    """What a worker does: read the examples of one batch and stack them, raw."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def __getitem__(self, index: Tensor) -> tuple[Tensor, Tensor] | _Failure:
        inputs: list[Tensor] = []
        targets: list[Tensor] = []
        for i in index.tolist():
            try:
                x, y = self._dataset.read(i)
            except Exception as error:  # whatever a decoder throws, the user hears which example it was
                kind = "" if isinstance(error, NetwrightError) else f"{type(error).__name__}: "
                return _Failure(i, f"{kind}{error}")
            if inputs and x.shape != inputs[0].shape:
                template = "its shape is {got}, where others have {wanted}"
                return _Failure(i, say(template, got=tuple(x.shape), wanted=tuple(inputs[0].shape)))
            inputs.append(x)
            targets.append(y)
        return torch.stack(inputs), torch.stack(targets)


class _Epoch:
    """The sampler of the loader: batches of indices, exchanged each epoch so that the workers can stay alive."""

    def __init__(self) -> None:
        self.batches: tuple[Tensor, ...] = ()

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class Streaming(OrderedSource):
    """A data set read from where it lies, in batches.

    Args:
        workers: processes that read ahead; 0 reads in the main process.
        augment, weights, drop_last, per_class: as for `Resident`.

    Raises:
        ConfigError: see `Order`.
        DataError: the data set is empty, or (while iterating) an example cannot be read; names it.
        ResourceError: (while iterating) a worker was killed.
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
        workers: int = 0,
    ) -> None:
        refuse_empty(dataset)
        if workers < 0:
            template = "train.workers={workers} does not fit; expected 0 or more"
            raise ConfigError(template, path="train.workers", workers=workers)
        self._order = make_order(dataset, batch_size, shuffle, seed, drop_last, weights, per_class)
        self._name, self._preprocess, self._seed = dataset.name, preprocess, seed
        self._augment, self._device = augment or Augment(), torch.device(device)
        self._masks = dataset.schema.target.kind == "mask"
        self._epoch = _Epoch()
        self._loader = _loader(_Reader(dataset), self._epoch, workers, seed, pin=self._device.type == "cuda")
        # The workers leave signals to us, so at exit they must be asked to end, or multiprocessing would wait for them.
        weakref.finalize(self, _end_workers, self._loader)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `start` on; one epoch at a time."""
        self._epoch.batches = batches = self._order.batches(epoch, start)
        read = self._read()
        for index in batches:
            yield self._finish(next(read), index.to(self._device), epoch)

    def _read(self) -> Iterator[tuple[Tensor, Tensor]]:
        try:
            for raw in self._loader:
                if isinstance(raw, _Failure):
                    template = "{name}: example {index} cannot be read ({reason}); repair or remove it"
                    raise DataError(template, name=self._name, index=raw.example, reason=raw.reason)
                yield raw
        except (RuntimeError, EOFError, ConnectionError) as error:  # a dead worker shows in any of these ways
            if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
                raise
            template = "a process reading {name} was killed, most likely for memory; use fewer train.workers"
            raise ResourceError(template, name=self._name) from error

    def _finish(self, raw: tuple[Tensor, Tensor], index: Tensor, epoch: int) -> Batch:
        inputs, targets = (part.to(self._device, non_blocking=True) for part in raw)
        if self._augment.on_images:
            pixels = self._augment.images(self._preprocess.floats(inputs), index, epoch, self._seed)
            inputs = self._preprocess.normalise(pixels)
        else:
            inputs = self._preprocess.inputs(inputs)
        if self._masks:
            targets = self._augment.moved(targets, index, epoch, self._seed)
        return Batch(*self._augment.mix(inputs, self._preprocess.targets(targets), index, epoch, self._seed), index)


def _loader(reader: _Reader, epoch: _Epoch, workers: int, seed: int, pin: bool) -> DataLoader:
    return DataLoader(
        reader,  # type: ignore[arg-type]  # has the one method that is called
        sampler=epoch,
        batch_size=None,  # an item of the sampler is a batch already
        num_workers=workers,
        collate_fn=_as_it_is,
        worker_init_fn=_leave_signals_to_the_main_process,
        persistent_workers=workers > 0,
        pin_memory=pin,
        generator=generator(seed, _LOADER),  # else each epoch would draw from the global generator of the run
    )


def _end_workers(loader: DataLoader) -> None:
    if loader._iterator is not None and hasattr(loader._iterator, "_shutdown_workers"):
        loader._iterator._shutdown_workers()


def _as_it_is(raw: Any) -> Any:
    return raw


def _leave_signals_to_the_main_process(worker: int) -> None:
    """Ctrl-C and SIGTERM reach the whole process group; the main process must still finish its step and save."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
