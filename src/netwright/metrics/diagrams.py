"""What is looked at rather than read off: the confusion matrix, and the curve of calibration.

Guo et al., "On calibration of modern neural networks", 2017. Letters: N examples, K classes.
"""

import torch
from torch import Tensor

__all__ = ["calibration_curve", "confusion_matrix"]


def confusion_matrix(truth_N: Tensor, said_N: Tensor, num_classes: int) -> Tensor:
    """How many examples of each class (row) were called each class (column). Shapes: codes (N,) -> counts (K, K)."""
    matrix: Tensor = torch.bincount(truth_N * num_classes + said_N, minlength=num_classes**2)
    return matrix.view(num_classes, num_classes)


def calibration_curve(sure_N: Tensor, right_N: Tensor, bins: int = 10) -> tuple[list[float], list[float]]:
    """Mean confidence and share that is right of each bin of equal width over [0, 1]; empty bins are left out."""
    bin_N = (sure_N * bins).long().clamp_max(bins - 1)
    count = torch.bincount(bin_N, minlength=bins)
    filled = count > 0
    sure = torch.bincount(bin_N, sure_N.double(), bins)[filled] / count[filled]
    right = torch.bincount(bin_N, right_N.double(), bins)[filled] / count[filled]
    return sure.tolist(), right.tolist()
