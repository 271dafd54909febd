"""Predicting numbers. Training sees standardised targets; every figure and picture is in the targets' own unit.

Letters: B batch, N examples, K numbers an example.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.core.messages import say
from netwright.data.batching import Batch, BatchSource, forward
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Schema
from netwright.losses import LossFunction
from netwright.metrics.sets import MetricSet
from netwright.tasks.base import Measure, Phase, StepOutput, Task, with_monitor
from netwright.tasks.looking import looking
from netwright.tasks.maps import watch_maps, worst_maps

__all__ = ["InOwnUnit", "Regression"]

_WORST = 12
_SHOWN = 2000  # points of a scatter


class InOwnUnit:
    """A measure that sees predictions and targets in the targets' own unit. Shapes: both (B, K), or (B,)."""

    def __init__(self, inner: Measure, back: Callable[[Tensor], Tensor]) -> None:
        self._inner, self._back = inner, back

    def update(self, predictions: Tensor, targets: Tensor) -> None:
        """Take one batch in, in the unit of training."""
        self._inner.update(self._back(predictions), self._back(targets.view_as(predictions)))

    def compute(self) -> dict[str, float]:
        """The figures."""
        return self._inner.compute()


@final
class Regression(Task):
    """Squared error, or any loss of (predictions, targets), in the standardised unit.

    Args:
        metrics: the figures of an evaluation, in place of the usual ones.

    Shapes: the network gives (B, K); targets (B, K), or (B,) for K = 1. Or both are (B, …), such as pictures.

    Raises:
        ConfigError: in a step, a network that gives another number of values than there are targets.
    """

    monitor = "rmse"
    sense = "min"
    default_loss = "mse"
    target_kinds = ("number",)
    answers_targets = True
    default_metrics = ("rmse", "mae", "r2")
    output_name = "prediction"

    def __init__(
        self,
        schema: Schema,
        preprocess: Preprocessor | None = None,
        loss: LossFunction | None = None,
        metrics: list[str] | None = None,
    ) -> None:
        self._names = schema.target.names or ("target",)
        self._whole = self._names[0] if len(self._names) == 1 else "target"  # what pictures are called
        self._preprocess = preprocess
        self._loss = self.chosen_loss(loss)
        self._metrics = with_monitor(metrics, self.monitor, self.default_metrics)
        self.measure()  # an unknown metric is refused now, not after the first epoch

    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """The loss of one batch."""
        said, wanted = _pair(forward(model, batch.inputs), batch.targets)
        return StepOutput(self._loss(said, wanted), predictions=said)

    def evaluation_step(self, model: nn.Module, batch: Batch) -> StepOutput:
        """Loss and predictions, in the standardised unit."""
        said, wanted = _pair(forward(model, batch.inputs).float(), batch.targets)
        return StepOutput(self._loss(said, wanted), predictions=said)

    def measure(self) -> InOwnUnit:
        """The metrics, fresh, in the targets' own unit."""
        return InOwnUnit(MetricSet(self._metrics, "regression", num_classes=len(self._names)), self._back)

    def exhibits(self, model: nn.Module, source: BatchSource, folder: Path) -> list[dict[str, Any]]:
        """Predicted against true values, what is left over, and where it is most."""
        first = next(iter(source.epoch(0)), None)
        if first is not None and first.targets is not None and first.targets.dim() > 2:
            seen = watch_maps(model, source, self._own)
            charts = _views(self._whole, seen.said_N, seen.true_N, torch.arange(len(seen.said_N)))
            return [*charts[:-1], worst_maps(seen.worst, folder)]
        said, true, rows = self._watch(model, source)
        shown = []
        for column, name in enumerate(self._names[: said.shape[1]]):
            shown += _views(name, said[:, column], true[:, column], rows)
        return shown

    def exported(self, outputs: Tensor) -> Tensor:
        """In the targets' own unit."""
        return self._back(outputs.float())

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """The predicted numbers by name; those of a picture as an array."""
        if outputs.shape[1:].numel() != len(self._names):
            return [{self._whole: array} for array in self._back(outputs.float()).cpu().numpy()]
        values = self._back(outputs.float().reshape(len(outputs), -1)).tolist()
        return [dict(zip(self._names, row, strict=True)) for row in values]

    def _back(self, values: Tensor) -> Tensor:
        if self._preprocess is None:
            return values
        flat = values[:, None] if values.dim() == 1 else values  # the preprocessor's constants are (K,)
        return self._preprocess.targets_back(flat).view_as(values)

    def _own(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Predictions and truths in their own unit."""
        said, wanted = _pair(forward(model, batch.inputs).float(), batch.targets)
        return self._back(said), self._back(wanted)

    def _watch(self, model: nn.Module, source: BatchSource) -> tuple[Tensor, Tensor, Tensor]:
        """Shapes: predictions (N, K) and truths (N, K) in their own unit, and row numbers (N,), on the CPU."""
        nothing = torch.zeros(0, len(self._names))
        said, true, rows = [nothing], [nothing], [torch.zeros(0, dtype=torch.int64)]
        with looking(model):
            for batch in source.epoch(0):
                out, wanted = self._own(model, batch)
                said.append(out.reshape(len(out), -1).cpu())
                true.append(wanted.reshape(len(out), -1).cpu())
                rows.append(batch.rows(sum(map(len, rows))).cpu())
        return torch.cat(said), torch.cat(true), torch.cat(rows)


def _pair(said: Tensor, wanted: Tensor | None) -> tuple[Tensor, Tensor]:
    """Predictions and targets of one shape: (B, 1) against (B,) would silently be compared all with all."""
    assert wanted is not None
    alike = min(said.dim(), wanted.dim()) <= 2 or _sizes(said) == _sizes(wanted)
    if said.numel() == wanted.numel() and alike:
        return said.reshape(wanted.shape), wanted
    template = "the network gives {got} for targets of {wanted}; give its last layer a unit for each number"
    if wanted.dim() > 2:
        template = "the network gives {got} for targets of {wanted}; it must give numbers of that shape"
    raise ConfigError(template, path="model", got=tuple(said.shape), wanted=tuple(wanted.shape))


def _sizes(values: Tensor) -> list[int]:
    """The shape without dimensions of a single place."""
    return [size for size in values.shape if size > 1]


def _views(name: str, said_N: Tensor, true_N: Tensor, rows_N: Tensor) -> list[dict[str, Any]]:
    """Scatter, histogram and table of one target."""
    rest_N = said_N - true_N
    some = torch.linspace(0, len(rest_N) - 1, min(len(rest_N), _SHOWN)).long()
    worst = rest_N.abs().topk(min(_WORST, len(rest_N))).indices
    columns = (rows_N[worst], true_N[worst], said_N[worst], rest_N[worst])
    return [
        {"kind": "scatter", "title": say("{name}: predicted and true", name=name), "x": true_N[some].tolist(),
         "y": said_N[some].tolist(), "x_label": say("true {name}", name=name),
         "y_label": say("predicted {name}", name=name)},
        {"kind": "histogram", "title": say("{name}: what is left over", name=name), "values": rest_N.tolist(),
         "label": say("predicted minus true")},
        {"kind": "table", "title": say("{name}: worst cases", name=name),
         "columns": [say("row"), say("true"), say("predicted"), say("difference")],
         "rows": [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]},
    ]  # fmt: skip
