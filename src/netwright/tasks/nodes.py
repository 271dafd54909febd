"""Nodes of a graph that are asked for, among those that are only there: these have a target of -100.

Letters: N nodes of the graph, n of them asked for, K classes.
"""

from torch import Tensor

from netwright.data.batching import Batch
from netwright.metrics.sets import MetricSet
from netwright.tasks.texts import IGNORED

__all__ = ["AskedOnly", "asked"]


class AskedOnly:
    """A measure of the nodes that are asked for. Shapes: predictions (N, K), targets (N,)."""

    def __init__(self, inner: MetricSet) -> None:
        self._inner = inner

    def update(self, predictions: Tensor, targets: Tensor) -> None:
        """Take one graph in."""
        kept_N = targets != IGNORED
        self._inner.update(predictions[kept_N], targets[kept_N])

    def compute(self) -> dict[str, float]:
        """The figures."""
        return self._inner.compute()


def asked(scores: Tensor, batch: Batch, first: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """What is said of the examples that are asked for - all of them, but for nodes - with their targets and rows.

    Shapes: scores (N, K) -> (n, K), targets (n,) or (n, K), row numbers (n,).
    """
    assert batch.targets is not None
    targets, rows_N = batch.targets, batch.rows(first)
    if targets.dim() > 1:
        return scores, targets, rows_N
    kept_N = targets != IGNORED
    return scores[kept_N], targets[kept_N], rows_N[kept_N]
