"""Several labels an example, each a question of its own, for pictures, rows of tables and texts alike.

Letters: B batch, N examples, K labels.
"""

from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from netwright.core.messages import say
from netwright.data.batching import Batch, BatchSource, forward
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Schema
from netwright.losses import LossFunction
from netwright.metrics.sets import MetricSet
from netwright.tasks.base import Phase, StepOutput, Task, with_monitor
from netwright.tasks.looking import looking

__all__ = ["MultilabelClassification"]

_SURE = 0.5  # the probability above which a label is said


@final
class MultilabelClassification(Task):
    """Binary cross-entropy, or any loss of (logits_BK, targets_BK); a label is said from a probability of one half on.

    Args:
        metrics: the figures of an evaluation, in place of the usual ones.

    Shapes: the network gives (B, K); targets (B, K), 0 or 1 or in between.
    """

    monitor = "f1"
    sense = "max"
    default_loss = "bce"
    target_kinds = ("multilabel",)
    like_tasks = ("image-classification", "tabular-classification", "text-classification")
    answers_targets = True
    default_metrics = ("f1", "auroc", "accuracy")

    def __init__(
        self,
        schema: Schema,
        preprocess: Preprocessor | None = None,
        loss: LossFunction | None = None,
        metrics: list[str] | None = None,
    ) -> None:
        self._labels = schema.target.names
        self._loss = self.chosen_loss(loss)
        self._metrics = with_monitor(metrics, self.monitor, self.default_metrics)
        self.measure()  # an unknown metric is refused now, not after the first epoch

    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """The loss of one batch."""
        scores_BK = forward(model, batch.inputs)
        return StepOutput(self._loss(scores_BK, batch.targets), predictions=scores_BK)

    def evaluation_step(self, model: nn.Module, batch: Batch) -> StepOutput:
        """Loss and logits."""
        scores_BK = forward(model, batch.inputs).float()
        return StepOutput(self._loss(scores_BK, batch.targets), predictions=scores_BK)

    def measure(self) -> MetricSet:
        """The metrics, fresh; of a single label those of a yes or no."""
        return MetricSet(
            self._metrics, "multilabel" if len(self._labels) > 1 else "binary", num_classes=len(self._labels)
        )

    def exhibits(self, model: nn.Module, source: BatchSource, folder: Path) -> list[dict[str, Any]]:
        """How well each label is told, a row a label."""
        counts_K3 = _counts(model, source)
        if counts_K3 is None:
            return []
        columns = [say("label"), say("examples"), say("said"), say("precision"), say("recall"), "F1"]
        rows = [[label, *_row(*map(float, counts))] for label, counts in zip(self._labels, counts_K3, strict=True)]
        return [{"kind": "table", "title": say("Labels"), "columns": columns, "rows": rows}]

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """The labels that hold, and the probability of every label."""
        return [
            {"labels": [label for label, share in zip(self._labels, row, strict=True) if share > _SURE],
             "probabilities": dict(zip(self._labels, row, strict=True))}
            for row in outputs.float().sigmoid().tolist()
        ]  # fmt: skip


def _counts(model: nn.Module, source: BatchSource) -> Tensor | None:
    """How often each label holds, is said, and is said rightly. Shapes: -> (K, 3)."""
    found = []
    with looking(model):
        for batch in source.epoch(0):
            assert batch.targets is not None
            said_BK, true_BK = forward(model, batch.inputs).float().sigmoid() > _SURE, batch.targets > _SURE
            found.append(torch.stack([true_BK.sum(0), said_BK.sum(0), (said_BK & true_BK).sum(0)], 1).cpu())
    return torch.stack(found).sum(0) if found else None


def _row(true: float, said: float, right: float) -> list[Any]:
    """Examples, said, precision, recall and F1 of a label; None for shares of nothing."""
    shares = (right, said), (right, true), (2 * right, said + true)
    return [int(true), int(said), *(round(part / whole, 4) if whole else None for part, whole in shares)]
