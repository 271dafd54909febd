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
from netwright.metrics.text import answer_f1, answer_match, bleu, chrf, exact_match

__all__ = [
    "METRICS",
    "Layout",
    "MetricCard",
    "MetricSet",
    "Neighbours",
    "Overlap",
    "Returns",
    "Surprise",
    "answer_f1",
    "answer_match",
    "bleu",
    "build_metrics",
    "calibration_curve",
    "catalog",
    "chrf",
    "classifier_score",
    "confusion_matrix",
    "direction",
    "exact_match",
    "frechet_distance",
]
