"""The metrics of a task with targets: of classes where it says how many there are, of numbers otherwise."""

from collections.abc import Sequence

from netwright.metrics import MetricSet, build_metrics

__all__ = ["metric_set"]


def metric_set(names: Sequence[str], num_classes: int | None = None) -> MetricSet:
    """A fresh collector of the named metrics."""
    return build_metrics(names, "regression" if num_classes is None else "multiclass", num_classes)
