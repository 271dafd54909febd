"""Figures of merit: metrics by name over the batches of an evaluation, and what networks are made of (`architecture`).

Importing this imports no torchmetrics; that waits for the first batch.
"""

from netwright.metrics.catalog import METRICS, MetricCard, catalog, direction
from netwright.metrics.diagrams import calibration_curve, confusion_matrix
from netwright.metrics.frechet import classifier_score, frechet_distance
from netwright.metrics.layout import Layout
from netwright.metrics.neighbours import Neighbours
from netwright.metrics.overlap import Overlap
from netwright.metrics.running import Returns, Surprise
from netwright.metrics.sets import MetricSet, build_metrics

__all__ = [
    "METRICS",
    "Layout",
    "MetricCard",
    "MetricSet",
    "Neighbours",
    "Overlap",
    "Returns",
    "Surprise",
    "build_metrics",
    "calibration_curve",
    "catalog",
    "classifier_score",
    "confusion_matrix",
    "direction",
    "frechet_distance",
]
