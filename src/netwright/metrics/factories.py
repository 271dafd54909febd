"""The metrics themselves, from torchmetrics. Imported with the first batch only: torchmetrics takes a second to import.

A factory takes the layout of the predictions and gives a `torchmetrics.Metric`. Arguments are not validated batch by
batch: on a GPU each check would wait for the device.
Letters: N examples, K classes, labels or numbers.
"""

from typing import Any

import torch

from netwright.metrics import torchvision_guard  # noqa: F401 - before torchmetrics

# isort: split
import torchmetrics
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import (
    BinaryAUROC,
    BinaryCalibrationError,
    MulticlassAUROC,
    MulticlassCalibrationError,
    MultilabelAUROC,
)
from torchmetrics.utilities.data import dim_zero_cat

from netwright.metrics.layout import Layout

__all__ = ["accuracy", "auroc", "ece", "f1", "iou", "mae", "mse", "precision", "r2", "recall", "rmse"]

_BINS = 15


def accuracy(layout: Layout) -> Metric:
    """Share of right answers: of examples, of pixels, or of single labels where there are several an example."""
    return _of_labels(torchmetrics.Accuracy, layout, "micro")


def precision(layout: Layout) -> Metric:
    """Share of what is called a class that is of it, averaged over the classes that occur."""
    return _of_labels(torchmetrics.Precision, layout)


def recall(layout: Layout) -> Metric:
    """Share of a class that is found, averaged over the classes that occur."""
    return _of_labels(torchmetrics.Recall, layout)


def f1(layout: Layout) -> Metric:
    """2 tp / (2 tp + fp + fn), averaged over the classes that occur; of masks it is called Dice."""
    return _of_labels(torchmetrics.F1Score, layout)


def iou(layout: Layout) -> Metric:
    """Overlap tp / (tp + fp + fn), averaged over the classes that occur; of one mask, its own (Jaccard, 1912)."""
    return _of_labels(torchmetrics.JaccardIndex, layout)


def ece(layout: Layout) -> Metric:
    """How far confidence is from accuracy, over 15 bins: of the top class; for binary, of yes (Guo et al., 2017)."""
    if layout.task == "binary":
        return BinaryCalibrationError(_BINS, validate_args=False)
    return MulticlassCalibrationError(layout.width, _BINS, validate_args=False)


def auroc(layout: Layout) -> Metric:
    """Chance that an example of a class outranks one that is not, averaged over classes that have both; exact."""
    if layout.task == "binary":
        return _BinaryAUROC(validate_args=False)
    if layout.task == "multilabel":
        return _MultilabelAUROC(layout.width, average="none", validate_args=False)
    return _MulticlassAUROC(layout.width, average="none", validate_args=False)


def rmse(layout: Layout) -> Metric:
    """Root of the mean squared error over all numbers."""
    return torchmetrics.MeanSquaredError(squared=False)


def mse(layout: Layout) -> Metric:
    """Mean squared error over all numbers."""
    return torchmetrics.MeanSquaredError()


def mae(layout: Layout) -> Metric:
    """Mean absolute error over all numbers."""
    return torchmetrics.MeanAbsoluteError()


def r2(layout: Layout) -> Metric:
    """Share of the variance that is explained, averaged over the outputs; NaN below two examples."""
    return _R2()


def _of_labels(make: Any, layout: Layout, average: str = "macro") -> Metric:
    made: Metric = make(
        task=layout.task, num_classes=layout.width, num_labels=layout.width, average=average,
        ignore_index=layout.ignore_index, validate_args=False,
    )  # fmt: skip
    return made


class _R2(torchmetrics.R2Score):
    def compute(self) -> Tensor:
        """As torchmetrics, which raises where there is too little to say."""
        return super().compute() if int(self.total) > 1 else torch.tensor(float("nan"))


# torchmetrics gives a class without examples an area of 0, which pulls the average down; we leave such a class out.


class _MulticlassAUROC(MulticlassAUROC):
    def compute(self) -> Tensor:  # type: ignore[override]
        """The mean over classes with examples and counter-examples."""
        target_N = dim_zero_cat(self.target).flatten()
        yes_K = torch.bincount(target_N, minlength=self.num_classes)[: self.num_classes]
        return super().compute()[(yes_K > 0) & (yes_K < len(target_N))].mean()


class _MultilabelAUROC(MultilabelAUROC):
    def compute(self) -> Tensor:  # type: ignore[override]
        """The mean over labels with examples and counter-examples."""
        target_NK = dim_zero_cat(self.target)
        yes_K = target_NK.sum(0)
        return super().compute()[(yes_K > 0) & (yes_K < len(target_NK))].mean()


class _BinaryAUROC(BinaryAUROC):
    def compute(self) -> Tensor:  # type: ignore[override]
        """NaN where all examples are of one class."""
        yes_N = dim_zero_cat(self.target) > 0
        return torch.tensor(float("nan")) if bool(yes_N.all()) or not bool(yes_N.any()) else super().compute()
