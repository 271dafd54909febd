"""How well areas overlap: Dice (1945) and IoU (Jaccard, 1912) of each class and their means, from one confusion matrix.

The means are over the classes that occur in truth or prediction, as in torchmetrics; pixels of all examples count
together. Letters: B batch, K classes.
"""

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from netwright.metrics.diagrams import confusion_matrix

__all__ = ["Overlap", "areas", "predicted_codes"]

_FEW = 12  # classes up to which each has figures of its own


class Overlap:
    """Accuracy, Dice and IoU over the pixels of an evaluation; a `tasks.base.Measure`.

    Args:
        background: whether class 0 counts in the means of Dice and IoU.
        ignored: target of pixels that do not count.

    Shapes: scores (B, K, …), or (B, 1, …) of a single area; codes (B, …).
    """

    def __init__(self, classes: Sequence[str], background: bool = True, ignored: int = -100) -> None:
        self._classes, self._first, self._ignored = tuple(classes), 0 if background else 1, ignored
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._matrix: Tensor | None = None

    @property
    def matrix(self) -> Tensor:
        """Pixels of each class (row) that were called each class (column). Shapes: -> (K, K) int64, on the CPU."""
        empty = torch.zeros(len(self._classes), len(self._classes), dtype=torch.int64)
        return empty if self._matrix is None else self._matrix.cpu()

    @torch.no_grad()
    def update(self, predictions: Tensor, targets: Tensor) -> None:
        """Take one batch in."""
        counted = targets != self._ignored
        truth, said = targets[counted].long(), predicted_codes(predictions)[counted]
        found = confusion_matrix(truth, said, max(len(self._classes), predictions.shape[1]))
        self._matrix = found if self._matrix is None else self._matrix + found

    def compute(self) -> dict[str, float]:
        """The figures over all batches; NaN for what no pixel tells of."""
        matrix = self.matrix
        each = areas(matrix)
        means = {name: _mean(each[name][self._first :]) for name in ("dice", "iou")}
        right = float(matrix.diagonal().sum()) / total if (total := int(matrix.sum())) else float("nan")
        return {**means, "accuracy": right, **self._named(each)}

    def _named(self, each: Mapping[str, Tensor]) -> dict[str, float]:
        if len(self._classes) > _FEW:
            return {}
        words = [re.sub(r"\W+", "_", label.strip().lower()) for label in self._classes]
        words = [word if words.count(word) == 1 else f"{word}_{code}" for code, word in enumerate(words)]
        return {
            f"{name}_{word}": float(value)
            for name in ("dice", "iou") for word, value in zip(words, each[name], strict=False)
        }  # fmt: skip


def areas(matrix_KK: Tensor) -> dict[str, Tensor]:
    """Dice, IoU, precision and recall of each class; NaN for a class that does not occur. Shapes: -> (K,) each."""
    both, truth, said = matrix_KK.diagonal().double(), matrix_KK.sum(1).double(), matrix_KK.sum(0).double()
    return {
        "dice": 2 * both / (truth + said), "iou": both / (truth + said - both),
        "precision": both / said, "recall": both / truth,
    }  # fmt: skip


def predicted_codes(scores: Tensor) -> Tensor:
    """The class of every pixel; of a single area's scores, whether it is inside. Shapes: (B, K, …) -> (B, …)."""
    return (scores[:, 0] > 0).long() if scores.shape[1] == 1 else scores.argmax(1)


def _mean(values: Tensor) -> float:
    return float(values.nanmean()) if bool((~values.isnan()).any()) else float("nan")
