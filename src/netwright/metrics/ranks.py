"""Metrics of ranks, from torchmetrics; the only place that needs every score of the evaluation at once."""

from typing import Literal

from torch import Tensor

__all__ = ["auroc"]


def auroc(scores: Tensor, truth: Tensor, kind: Literal["binary", "multiclass", "multilabel"]) -> float:
    """Area under the ROC curve; over classes or labels the mean of those that have both a yes and a no, NaN for none.

    Shapes: scores (N,), (N, K) or (N, L) probabilities or, for ranks, anything that grows with them; truth (N,) or (N, L).
    """
    # Imported here: torchmetrics takes a second to import, and a run's first step must not wait for it.
    from torchmetrics.functional.classification import binary_auroc

    if kind == "binary":
        columns = [(scores, truth)]
    elif kind == "multilabel":
        columns = [(scores[:, label], truth[:, label]) for label in range(scores.shape[1])]
    else:
        columns = [(scores[:, label], (truth == label).long()) for label in range(scores.shape[1])]
    areas = [
        float(binary_auroc(score_N.double(), yes_N, validate_args=False))
        for score_N, yes_N in columns
        if 0 < int(yes_N.sum()) < len(yes_N)
    ]
    return sum(areas) / len(areas) if areas else float("nan")
