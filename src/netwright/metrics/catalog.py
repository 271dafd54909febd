"""Metrics by name: where each is made, which direction is better, what kind of predictions it fits. Imports no torch.

The figures of language models, agents and generators are measured by their tasks (`metrics.running`,
`metrics.frechet`); they stand here for their direction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from netwright.core.catalogs import Catalog

__all__ = ["DEFAULTS", "METRICS", "Direction", "Kind", "MetricCard", "View", "card", "catalog", "direction", "fitting"]

Direction = Literal["min", "max"]
Kind = Literal["multiclass", "binary", "multilabel", "regression", "segmentation"]
View = Literal["raw", "labels", "labels-of-five", "probabilities", "values"]

_CLASSES = ("multiclass", "binary", "multilabel")
_LABELS = (*_CLASSES, "segmentation")
_HOME = "netwright.metrics.factories"


@dataclass(frozen=True)
class MetricCard:
    """What is known of a metric without making it.

    kinds: the kinds of predictions it fits (`Kind`, or that of the one task that measures it). sees: what it is given;
    metrics of one view and one `states` are computed from the same running sums.
    """

    target: str
    direction: Direction
    kinds: tuple[str, ...]
    sees: View = "labels"
    states: str = ""


METRICS: Mapping[str, MetricCard] = {
    "accuracy": MetricCard(f"{_HOME}:accuracy", "max", _LABELS),
    "active_units": MetricCard("netwright.metrics.latent:Evidence", "max", ("generation",), "raw"),
    "auroc": MetricCard(f"{_HOME}:auroc", "max", _CLASSES, "probabilities"),
    "bits_per_byte": MetricCard("netwright.metrics.running:Surprise", "min", ("language",), "raw"),
    "bits_per_char": MetricCard("netwright.metrics.running:Surprise", "min", ("language",), "raw"),
    "bits_per_token": MetricCard("netwright.metrics.running:Surprise", "min", ("language",), "raw"),
    "bleu": MetricCard("netwright.metrics.text:bleu", "max", ("translation",), "raw"),
    "chrf": MetricCard("netwright.metrics.text:chrf", "max", ("translation",), "raw"),
    "classifier_score": MetricCard("netwright.metrics.frechet:classifier_score", "max", ("generation",), "raw"),
    "dice": MetricCard(f"{_HOME}:f1", "max", ("segmentation",), states="macro"),
    "ece": MetricCard(f"{_HOME}:ece", "min", ("multiclass", "binary"), "probabilities"),
    "elbo": MetricCard("netwright.metrics.latent:Evidence", "max", ("generation",), "raw"),
    "episode_length": MetricCard("netwright.metrics.running:Returns", "max", ("acting",), "raw"),
    "exact_match": MetricCard("netwright.metrics.text:exact_match", "max", ("translation", "answers"), "raw"),
    "f1": MetricCard(f"{_HOME}:f1", "max", _LABELS, states="macro"),
    "frechet": MetricCard("netwright.metrics.frechet:frechet_distance", "min", ("generation",), "raw"),
    "iou": MetricCard(f"{_HOME}:iou", "max", ("segmentation",)),
    "kl": MetricCard("netwright.metrics.latent:Evidence", "min", ("generation",), "raw"),
    "last_mase": MetricCard("netwright.metrics.forecast:ForecastErrors", "min", ("forecasting",), "raw"),
    "mae": MetricCard(f"{_HOME}:mae", "min", ("regression",), "values"),
    "mase": MetricCard("netwright.metrics.forecast:ForecastErrors", "min", ("forecasting",), "raw"),
    "mean_average_precision": MetricCard("netwright.metrics.neighbours:Neighbours", "max", ("retrieval",), "raw"),
    "mse": MetricCard(f"{_HOME}:mse", "min", ("regression",), "values"),
    "perplexity": MetricCard("netwright.metrics.running:Surprise", "min", ("language",), "raw"),
    "precision": MetricCard(f"{_HOME}:precision", "max", _LABELS, states="macro"),
    "r2": MetricCard(f"{_HOME}:r2", "max", ("regression",), "values"),
    "recall": MetricCard(f"{_HOME}:recall", "max", _LABELS, states="macro"),
    "recall_at_1": MetricCard("netwright.metrics.neighbours:Neighbours", "max", ("retrieval",), "raw"),
    "recall_at_10": MetricCard("netwright.metrics.neighbours:Neighbours", "max", ("retrieval",), "raw"),
    "recall_at_5": MetricCard("netwright.metrics.neighbours:Neighbours", "max", ("retrieval",), "raw"),
    "return_mean": MetricCard("netwright.metrics.running:Returns", "max", ("acting",), "raw"),
    "return_std": MetricCard("netwright.metrics.running:Returns", "min", ("acting",), "raw"),
    "rmse": MetricCard(f"{_HOME}:rmse", "min", ("regression",), "values"),
    "seasonal_mase": MetricCard("netwright.metrics.forecast:ForecastErrors", "min", ("forecasting",), "raw"),
    "top5": MetricCard(f"{_HOME}:accuracy", "max", ("multiclass",), "labels-of-five"),
}

DEFAULTS: Mapping[str, tuple[str, ...]] = {
    "multiclass": ("accuracy", "f1", "auroc", "ece"),
    "binary": ("accuracy", "f1", "auroc", "ece"),
    "multilabel": ("accuracy", "f1", "auroc"),
    "regression": ("rmse", "mae", "r2"),
    "segmentation": ("iou", "dice", "accuracy"),
}


def catalog() -> Catalog:
    """Catalog of metrics; a user's own is a factory `(Layout) -> torchmetrics.Metric` that sees raw predictions."""
    return Catalog("metric", {name: entry.target for name, entry in METRICS.items()}, "netwright.metrics")


def card(name: str) -> MetricCard:
    """What is known of a metric; a user's own fits everything, and is better high unless `higher_is_better` is False.

    Raises:
        ConfigError: no such metric (says the nearest).
    """
    if name in METRICS:
        return METRICS[name]
    better = getattr(catalog().load(name), "higher_is_better", True)
    return MetricCard(name, "min" if better is False else "max", _ANY, "raw", states=name)


def direction(name: str) -> Direction:
    """Whether more or less of a figure is better; what is no metric is better low if called a loss or an error."""
    if name in METRICS or name in catalog():
        return card(name).direction
    return "min" if any(word in name.lower() for word in ("loss", "error")) else "max"


def fitting(kind: str) -> list[str]:
    """Our metrics that fit a kind of predictions, sorted."""
    return [name for name, entry in METRICS.items() if kind in entry.kinds]


_ANY = (*_LABELS, "regression")
