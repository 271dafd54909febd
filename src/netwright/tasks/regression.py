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
from netwright.data.batching import Batch, BatchSource
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Schema
from netwright.losses import LossFunction
from netwright.metrics.sets import MetricSet
from netwright.tasks.base import Measure, Phase, StepOutput, Task, with_monitor
from netwright.tasks.looking import looking
from netwright.tasks.texts import forward

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

    Shapes: the network gives (B, K); targets (B, K), or (B,) for K = 1.

    Raises:
        ConfigError: in a step, a network that gives another number of values than there are targets.
    """

    name = "regression"
    monitor = "rmse"
    sense = "min"
    default_loss = "mse"
    target_kinds = ("number",)
    default_metrics = ("rmse", "mae", "r2")

    def __init__(
        self,
        schema: Schema,
        preprocess: Preprocessor | None = None,
        loss: LossFunction | None = None,
        metrics: list[str] | None = None,
    ) -> None:
        self._names = schema.target.names or ("target",)
        self._preprocess = preprocess
        self._loss = loss if loss is not None else nn.MSELoss()
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
        said, true, rows = self._watch(model, source)
        shown = []
        for column, name in enumerate(self._names[: said.shape[1]]):
            shown += _views(name, said[:, column], true[:, column], rows)
        return shown

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """The predicted numbers by name."""
        values = self._back(outputs.float().reshape(len(outputs), -1)).tolist()
        return [dict(zip(self._names, row, strict=True)) for row in values]

    def _back(self, values: Tensor) -> Tensor:
        if self._preprocess is None:
            return values
        flat = values[:, None] if values.dim() == 1 else values  # the preprocessor's constants are (K,)
        return self._preprocess.targets_back(flat).view_as(values)

    def _watch(self, model: nn.Module, source: BatchSource) -> tuple[Tensor, Tensor, Tensor]:
        """Shapes: predictions (N, K) and truths (N, K) in their own unit, and row numbers (N,), on the CPU."""
        nothing = torch.zeros(0, len(self._names))
        said, true, rows = [nothing], [nothing], [torch.zeros(0, dtype=torch.int64)]
        with looking(model):
            for batch in source.epoch(0):
                out, wanted = _pair(forward(model, batch.inputs).float(), batch.targets)
                said.append(self._back(out).reshape(len(out), -1).cpu())
                true.append(self._back(wanted).reshape(len(out), -1).cpu())
                rows.append(torch.arange(len(out)) + sum(map(len, rows)) if batch.index is None else batch.index.cpu())
        return torch.cat(said), torch.cat(true), torch.cat(rows)


def _pair(said: Tensor, wanted: Tensor | None) -> tuple[Tensor, Tensor]:
    """Predictions and targets of one shape: (B, 1) against (B,) would silently be compared all with all."""
    assert wanted is not None
    if said.shape == wanted.shape:
        return said, wanted
    if said.numel() != wanted.numel():
        template = "the network gives {got} for targets of {wanted}; give its last layer a unit for each number"
        raise ConfigError(template, path="model", got=tuple(said.shape), wanted=tuple(wanted.shape))
    return said, wanted.view_as(said)


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
