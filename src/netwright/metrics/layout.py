"""How a batch of predictions lies, and the views of it that metrics are given.

Letters: B batch, K classes, labels or numbers; "…" are places within an example (pixels).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from netwright.metrics.catalog import Kind, View

__all__ = ["Layout"]


@dataclass(frozen=True)
class Layout:
    """Of predictions: their kind, how many scores or numbers there are of an example, which target is not counted.

    Shapes (logits; targets):
        multiclass, segmentation: (B, K, …); codes (B, …) or shares (B, K, …).
        segmentation of one mask: (B, 1, …); 0 or 1 (B, …) or (B, 1, …).
        binary: (B,), (B, 1) or (B, 2); 0 or 1 (B,) or (B, 1).
        multilabel: (B, K); 0 or 1 (B, K).
        regression: (B,) or (B, K) both; of (B, K, …) both, all numbers count alike.
    """

    kind: Kind
    width: int
    ignore_index: int | None = None

    @classmethod
    def of(cls, kind: Kind, predictions: Tensor, ignore_index: int | None = None) -> "Layout":
        """The layout of these predictions."""
        width = 1 if predictions.dim() == 1 else predictions.shape[1]
        return cls(kind, 1 if kind == "binary" else width, ignore_index)

    @property
    def task(self) -> str:
        """What torchmetrics calls it."""
        if self.kind == "segmentation":
            return "multiclass" if self.width > 1 else "binary"
        return self.kind

    def view(self, name: View, predictions: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Predictions and targets as the metrics of this view want them."""
        if name == "raw":
            return predictions, targets
        if self.kind == "regression":
            said, true = _exact(predictions), _exact(targets).view_as(predictions)
            return (said, true) if said.dim() <= 2 else (said.flatten(), true.flatten())
        scores, truth = self._scores(predictions), self._codes(predictions, targets)
        if name == "probabilities":
            return (scores.softmax(1) if self.task == "multiclass" else scores.sigmoid()), truth
        if self.task != "multiclass":
            return (scores > 0).long(), truth
        labels = scores.argmax(1)
        if name == "labels-of-five":
            among = scores.topk(min(5, self.width), dim=1).indices == truth.unsqueeze(1)
            labels = torch.where(among.any(1), truth, labels)
        return labels, truth

    def _scores(self, predictions: Tensor) -> Tensor:
        """Logits in float32 at least: bfloat16 has too few digits to rank by, or to sum."""
        scores = predictions if predictions.dtype in (torch.float32, torch.float64) else predictions.float()
        if self.task != "binary":
            return scores
        if self.kind == "binary" and scores.dim() == 2 and scores.shape[1] == 2:
            return scores[:, 1] - scores[:, 0]
        return scores.flatten()

    def _codes(self, predictions: Tensor, targets: Tensor) -> Tensor:
        if self.task == "multiclass":
            return targets.argmax(1) if targets.dim() == predictions.dim() else targets.long()
        flat = targets.flatten() if self.task == "binary" else targets
        if not flat.is_floating_point():
            return flat.long()
        counted = (flat > 0.5).long()
        return counted if self.ignore_index is None else torch.where(flat == self.ignore_index, flat.long(), counted)


def _exact(values: Tensor) -> Tensor:
    """In float64: a sum of squares of targets far from 0 leaves float32 no digits for their variance (MPS has none)."""
    return (values.cpu() if values.device.type == "mps" else values).double()
