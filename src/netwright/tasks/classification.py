"""Telling classes apart, for pictures, rows of tables, texts, graphs and their nodes alike: one label an example.

Letters: B batch, N examples, C channels, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.blocks.heads import AuxiliaryLogits
from netwright.core.errors import ConfigError
from netwright.core.messages import say
from netwright.data.batching import Batch, BatchSource, forward
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Schema
from netwright.losses import Loss, LossFunction
from netwright.metrics.diagrams import calibration_curve, confusion_matrix
from netwright.metrics.sets import MetricSet
from netwright.tasks.base import Measure, Phase, StepOutput, Task, with_monitor
from netwright.tasks.looking import looking
from netwright.tasks.nodes import AskedOnly, asked
from netwright.tasks.pictures import pixels_of, write_png
from netwright.tasks.texts import counted_loss, readable

__all__ = ["Classification"]

_WORST = 12


@final
class Classification(Task):
    """Cross-entropy, or any loss of (logits_BK, targets), where targets are codes (B,) or shares of the classes (B, K).

    Args:
        metrics: the figures of an evaluation, in place of the usual ones.

    Shapes: the network gives (B, K). Of nodes the batch is a whole graph, with targets of -100 where none is asked for.

    Raises:
        ConfigError: an unknown metric, or a loss of embeddings.
    """

    monitor = "accuracy"
    sense = "max"
    default_loss = "cross-entropy"
    target_kinds = ("class",)
    answers_targets = True
    default_metrics = ("accuracy", "f1", "auroc", "ece")

    def __init__(
        self,
        schema: Schema,
        preprocess: Preprocessor | None = None,
        loss: LossFunction | None = None,
        metrics: list[str] | None = None,
    ) -> None:
        self._schema, self._preprocess = schema, preprocess
        self._classes = schema.target.classes
        self._of_nodes = schema.graph is not None and schema.graph.level == "node"
        self._loss = self.chosen_loss(loss)
        if isinstance(self._loss, Loss) and self._loss.target_kind in ("identity", "pair"):
            template = (
                "loss {name} says which examples are alike, not of which class they are; use task: metric-learning"
            )
            raise ConfigError(template, path="loss", name=type(self._loss).__name__)
        self._metrics = with_monitor(metrics, self.monitor, self._usual())
        self.measure()  # an unknown metric is refused now, not after the first epoch

    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """The loss of one batch, with that of the heads on middle layers where the network has them."""
        scores = forward(model, batch.inputs)
        if not isinstance(scores, AuxiliaryLogits):
            return StepOutput(self._loss_of(scores, batch.targets), predictions=scores)
        loss = self._loss(scores.logits, batch.targets)
        for aside in scores.auxiliary:
            loss = loss + scores.weight * self._loss(aside, batch.targets)
        return StepOutput(loss, predictions=scores.logits)

    def evaluation_step(self, model: nn.Module, batch: Batch) -> StepOutput:
        """Loss and logits."""
        logits = forward(model, batch.inputs).float()
        return StepOutput(self._loss_of(logits, batch.targets), predictions=logits)

    def _loss_of(self, scores: Tensor, targets: Tensor | None) -> Tensor:
        assert targets is not None
        made: Tensor = counted_loss(self._loss, scores, targets) if self._of_nodes else self._loss(scores, targets)
        return made

    def measure(self) -> Measure:
        """The metrics, fresh."""
        made = MetricSet(self._metrics, "multiclass", num_classes=len(self._classes))
        return AskedOnly(made) if self._of_nodes else made

    def exhibits(self, model: nn.Module, source: BatchSource, folder: Path) -> list[dict[str, Any]]:
        """Confusion matrix, calibration, and the mistakes the network was surest of."""
        seen = _watch(model, source)
        if seen is None:
            return []
        truth_N, said_N, sure_N = seen.truth_N, seen.share_NK.argmax(1), seen.share_NK.amax(1)
        shown = [self._confusion(truth_N, said_N), _calibration(sure_N, said_N == truth_N)]
        template = "true {truth}, said {said} ({share:.2f})"
        captions = [
            say(template, truth=self._label(truth), said=self._label(said), share=share)
            for truth, said, share in seen.worst
        ]
        if not captions:
            return shown
        if self._schema.kind == "image" and self._preprocess is not None:
            return [*shown, self._pictures(torch.stack(seen.inputs), captions, folder)]
        return [*shown, self._table(seen)]

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """Label, its probability, and the probability of every class."""
        rows = outputs.float().softmax(1).tolist()
        return [
            {"label": self._label(row.index(max(row))), "probability": max(row),
             "probabilities": {self._label(code): share for code, share in enumerate(row)}}
            for row in rows
        ]  # fmt: skip

    def _table(self, seen: "_Seen") -> dict[str, Any]:
        """The mistakes as rows; of texts, with what stands in them."""
        columns = [say("row"), say("true"), say("said"), say("probability")]
        rows: list[list[Any]] = [
            [row, self._label(truth), self._label(said), round(share, 4)]
            for row, (truth, said, share) in zip(seen.rows, seen.worst, strict=True)
        ]
        tokenizer = self._preprocess.tokenizer if self._preprocess is not None else None
        if tokenizer is not None:
            columns.append(say("text"))
            for row, tokens_T in zip(rows, seen.inputs, strict=True):
                row.append(readable(tokenizer, tokens_T))
        return {"kind": "table", "title": say("Worst mistakes"), "columns": columns, "rows": rows}

    def _usual(self) -> list[str]:
        """Top-5 says something only where there are many more classes than five."""
        return [*self.default_metrics, *(["top5"] if len(self._classes) >= 20 else [])]

    def _label(self, code: int) -> str:
        return self._classes[code] if code < len(self._classes) else str(code)

    def _confusion(self, truth_N: Tensor, said_N: Tensor) -> dict[str, Any]:
        count = max(len(self._classes), int(torch.stack([truth_N, said_N]).max()) + 1)
        matrix = confusion_matrix(truth_N, said_N, count)
        labels = [self._label(code) for code in range(count)]
        return {"kind": "confusion", "title": say("Confusion matrix"), "labels": labels, "matrix": matrix.tolist()}

    def _pictures(self, inputs_BCHW: Tensor, captions: Sequence[str], folder: Path) -> dict[str, Any]:
        assert self._preprocess is not None
        items = []
        for number, (pixels, caption) in enumerate(
            zip(pixels_of(inputs_BCHW, self._preprocess), captions, strict=True), start=1
        ):
            file = f"exhibits/mistake-{number:02d}.png"
            write_png(pixels, folder / file)
            items.append({"file": file, "caption": caption})
        return {"kind": "pictures", "title": say("Worst mistakes"), "items": items}


@dataclass
class _Seen:
    """One look at all examples; `inputs`, `rows` and `worst` (true, said, probability) are of the surest mistakes."""

    share_NK: Tensor
    truth_N: Tensor
    inputs: list[Tensor]
    rows: list[int]
    worst: list[tuple[int, int, float]]


def _watch(model: nn.Module, source: BatchSource) -> _Seen | None:
    """Run the network over the source; of the inputs only those of the worst mistakes so far are kept."""
    shares, truths, kept, first = [], [], [], 0
    with looking(model):
        for batch in source.epoch(0):
            share_BK, targets, rows_B = asked(F.softmax(forward(model, batch.inputs).float(), 1), batch, first)
            truth_B = targets.argmax(1) if targets.dim() == 2 else targets
            sure_B, said_B = share_BK.max(1)
            wrong_B = torch.where(said_B == truth_B, -1.0, sure_B)
            for row in wrong_B.topk(min(_WORST, len(wrong_B))).indices[: int((wrong_B >= 0).sum())].tolist():
                mistake = (sure_B[row].item(), int(rows_B[row]), int(truth_B[row]), int(said_B[row]))
                kept.append((*mistake, _input(batch, row)))
            kept = sorted(kept, key=lambda mistake: (-mistake[0], mistake[1]))[:_WORST]
            shares.append(share_BK.cpu())
            truths.append(truth_B.cpu())
            first += len(truth_B)
    if not shares:
        return None
    worst = [(truth, said, sure) for sure, _, truth, said, _ in kept]
    return _Seen(torch.cat(shares), torch.cat(truths), [x for *_, x in kept], [row for _, row, *_ in kept], worst)


def _input(batch: Batch, row: int) -> Tensor:
    """One input of a batch, to be kept; of texts the tokens without what fills them up."""
    if isinstance(batch.inputs, Tensor):
        return batch.inputs[row].clone()
    tokens_BT, mask_BT = batch.inputs[:2]
    if mask_BT.dtype != torch.bool:  # a graph is not to be shown in a row
        return tokens_BT.new_zeros(0)
    return tokens_BT[row][mask_BT[row]]


def _calibration(sure_N: Tensor, right_N: Tensor) -> dict[str, Any]:
    """How often the network is right when it is so sure."""
    x, y = calibration_curve(sure_N, right_N)
    return {"kind": "curve", "title": say("Calibration"), "x": x, "y": y,
            "x_label": say("probability it gives"), "y_label": say("share that is right")}  # fmt: skip
