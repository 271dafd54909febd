"""Inputs to try an exported file on: real ones of the run's data, or made up ones that could be.

Letters: N examples, B batch, T time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Schema
from netwright.export.graph import Graph, Port

__all__ = ["Specimens"]

_GAP = 0.1  # share of the cells of a made up row that are missing, in columns that lacked some in training
_POOL = 512


@dataclass(frozen=True)
class Specimens:
    """Gives the arguments of a graph for any batch and time.

    Args:
        real: raw examples as a data set holds them, or the codes of texts; empty where there are none.
        part: of the data that they are from.

    Shapes: real (…) each, or one (N,) int64 of codes.
    """

    graph: Graph
    schema: Schema
    preprocess: Preprocessor | None
    real: Sequence[Tensor] = ()
    part: str = ""
    _chance: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))

    def take(self, rows: int, time: int = 0) -> tuple[Tensor, ...]:
        """Arguments for a batch of `rows`; texts have `time` places, and a target one less than its source."""
        self._chance.manual_seed(rows)
        if self.graph.inputs[0].name == "noise":
            return (torch.randn(rows, int(self.graph.inputs[0].shape[1]), generator=self._chance),)
        if self.schema.kind == "text":
            return tuple(self._tokens(port, rows, time) for port in self.graph.inputs)
        raw = self._real(rows) if self.real else self._made(rows)
        if not self.graph.prepared and self.preprocess is not None:
            return (self.preprocess.inputs(raw),)
        return (raw.to(getattr(torch, self.graph.inputs[0].dtype)),)

    def _real(self, rows: int) -> Tensor:
        return torch.stack([self.real[row % len(self.real)] for row in range(rows)])

    def _tokens(self, port: Port, rows: int, time: int) -> Tensor:
        """Codes from anywhere in the pool; masks that leave each row another length; second halves as segments."""
        time = max(1, time - 1) if port.name == "target" else time
        place = torch.arange(time)
        if port.dtype == "bool":
            return place < (time - torch.arange(rows) % time)[:, None]
        if port.name == "segments":
            return (place >= time // 2).long().expand(rows, time).contiguous()
        pool = self.real[0] if self.real else self._codes(_POOL)
        return pool[(torch.arange(rows)[:, None] * time + place) % len(pool)]

    def _codes(self, count: int) -> Tensor:
        return torch.randint(0, self.schema.vocab_size or 2, (count,), generator=self._chance)

    def _made(self, rows: int) -> Tensor:
        """Made up raw examples. Shapes: -> (B, …)."""
        if self.schema.kind == "table":
            return self._table(rows)
        shape, dtype = (rows, *self.schema.input_shape), getattr(torch, self.schema.input_dtype)
        if dtype == torch.uint8:
            return torch.randint(0, 256, shape, generator=self._chance, dtype=dtype)
        if not dtype.is_floating_point:
            return torch.randint(0, self.schema.vocab_size or 2, shape, generator=self._chance, dtype=dtype)
        if self.schema.kind == "image":
            return torch.rand(shape, generator=self._chance)
        fitted = {} if self.preprocess is None else self.preprocess.values()
        mean, std = (torch.tensor(fitted.get(name) or [usual]) for name, usual in (("mean", 0.0), ("std", 1.0)))
        return (torch.randn(shape, generator=self._chance) * std + mean).to(dtype)

    def _table(self, rows: int) -> Tensor:
        """Rows whose numbers are spread as the training rows' were. Shapes: -> (B, F), NaN where missing."""
        assert self.preprocess is not None
        fitted, cells, number = self.preprocess.values(), [], 0
        for column in self.schema.features:
            if column.kind == "category":
                codes = torch.randint(-1, max(1, len(column.categories)), (rows,), generator=self._chance)
                cells.append(codes.float())
                continue
            mean, std = fitted["mean"][number], fitted["std"][number]
            values = torch.randn(rows, generator=self._chance) * std + mean
            values = (values > mean).float() if column.kind == "boolean" else values
            gap = torch.rand(rows, generator=self._chance) < (_GAP if column.indicator else 0.0)
            cells.append(values.masked_fill(gap, torch.nan))
            number += 1
        return torch.stack(cells, dim=1)
