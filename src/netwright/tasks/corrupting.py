"""Batches whose targets are the inputs themselves, and inputs that are spoilt on purpose.

Vincent et al., "Extracting and composing robust features with denoising autoencoders", 2008 (numbers that are missing),
and "Stacked denoising autoencoders", 2010 (Gaussian noise). What is spoilt is a pure function of (seed, epoch, index),
so that neither batches nor a resume change it. Letters: B batch, `…` the shape of an example.
"""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from netwright.core.errors import ConfigError
from netwright.core.seeds import normal, uniform
from netwright.data.batching import Batch, BatchSource, SourceAround
from netwright.data.schema import Schema

__all__ = ["Corrupted", "Corruption"]

Corruption = Literal["gaussian", "masking"]

_NOISE = 0xDE40  # keeps this noise apart from everybody else's


class Corrupted(SourceAround):
    """The batches of a source with its clean inputs as targets; spoilt anew in each epoch of training, and always alike
    in an evaluation.

    Args:
        noise: the deviation of Gaussian noise, or the share of numbers that become 0.

    Shapes: inputs (B, …), targets the same. Targets of that very shape that somebody handed over beside their inputs
        stay; whatever else the source's targets were is left aside, see `source`.

    Raises:
        ConfigError: in `epoch`, targets that are examples of another shape.
    """

    def __init__(
        self, source: BatchSource, schema: Schema, noise: float, corruption: Corruption, seed: int, training: bool
    ) -> None:
        super().__init__(source)
        self._noise, self._corruption, self._seed, self._training = noise, corruption, seed, training
        self._pairs = schema.target.kind == "number" and schema.kind != "table"
        self._same_scale = schema.as_given and schema.input_dtype.startswith("float")

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `start` on."""
        for batch in self.source.epoch(epoch, start):
            yield self.changed(batch, epoch)

    def changed(self, batch: Batch, epoch: int = 0) -> Batch:
        """A batch of the source as this one gives it."""
        assert isinstance(batch.inputs, Tensor)
        clean = self._clean(batch.inputs, batch.targets)
        if not self._noise:
            return Batch(batch.inputs, clean, batch.index)
        seed, turn = (self._seed, epoch + 1) if self._training else (0, 0)
        return Batch(self._spoilt(batch.inputs, batch.rows(), seed, turn), clean, batch.index)

    def _spoilt(self, x: Tensor, index_B: Tensor, seed: int, epoch: int) -> Tensor:
        draw = normal if self._corruption == "gaussian" else uniform
        drawn = draw(seed, epoch, index_B, _NOISE, x[:1].numel()).view(x.shape)
        if self._corruption == "gaussian":
            return x + self._noise * drawn
        return torch.where(drawn < self._noise, 0.0, x)

    def _clean(self, x: Tensor, targets: Tensor | None) -> Tensor:
        if not self._pairs or targets is None:
            return x
        if targets.shape == x.shape and self._same_scale:
            return targets
        if targets.dim() > 2:
            template = (
                "the targets are examples of shape {got} beside inputs of {wanted}, and a reconstruction has the "
                "inputs' own shape and unit; leave the targets out, or use task: regression"
            )
            got, wanted = tuple(targets.shape[1:]), tuple(x.shape[1:])
            raise ConfigError(template, path="task", got=got, wanted=wanted)
        return x
