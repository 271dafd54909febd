"""Figures of retrieval: every example asks for its nearest others, and they should be of its class.

Recall@k as in Jégou et al., "Product quantization for nearest neighbor search", 2011, the usual figure of metric
learning. Near means a large cosine. Letters: N examples, Q queries at a time, D width of the embedding.
"""

import re
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.core.errors import ConfigError, suggest
from netwright.metrics.catalog import fitting

__all__ = ["Neighbours", "likeness"]

_AT_ONCE = 512  # queries: bounds the memory of their similarities with all others
_MEAN_PRECISION = "mean_average_precision"
_RECALL = re.compile(r"recall_at_([1-9]\d*)")


class Neighbours:
    """Collects embeddings and their classes; at the end each is looked for among all the others.

    `recall_at_k` is the share of examples with one of their class among the k nearest; `mean_average_precision` the
    mean over examples of the average precision of the whole ranking. Examples that are alone in their class have
    nothing to be found and do not count.

    Args:
        names: of metrics of retrieval, `recall_at_k` for any k; the figures come under these names, in this order.

    Raises:
        ConfigError: an unknown metric, or one of another kind.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(dict.fromkeys(names))
        known = fitting("retrieval")
        for name in self.names:
            if name not in known and not _RECALL.fullmatch(name):
                template = "metric {name!r} does not fit embeddings{near}"
                raise ConfigError(template, path="metrics", name=name, near=suggest(name, known))
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._embeddings: list[Tensor] = []
        self._classes: list[Tensor] = []

    def update(self, predictions: Tensor, targets: Tensor) -> None:
        """Take in embeddings (B, D) and classes (B,)."""
        self._embeddings.append(F.normalize(predictions.float(), dim=1))
        self._classes.append(targets)

    @torch.no_grad()
    def compute(self) -> dict[str, float]:
        """The figures; NaN where no example has another of its class."""
        found: dict[str, list[Tensor]] = {name: [] for name in self.names}
        if self._classes:
            for right_QN in _ranked(torch.cat(self._embeddings), torch.cat(self._classes), self._depth()):
                for name, values in found.items():
                    values.append(_figure(name, right_QN))
        return {name: float(torch.cat(values).mean()) if values else float("nan") for name, values in found.items()}

    def _depth(self) -> int | None:
        """How many neighbours are looked at; None for all."""
        return None if _MEAN_PRECISION in self.names else max(map(_k, self.names), default=1)


def likeness(unit_QD: Tensor, unit_ND: Tensor, own_Q: Tensor) -> Tensor:
    """Cosines of queries with all examples, minus infinity with themselves (`own` says which those are): (Q, N)."""
    cosine_QN = unit_QD @ unit_ND.T
    return cosine_QN.scatter_(1, own_Q[:, None], -torch.inf)


def _ranked(unit_ND: Tensor, class_N: Tensor, depth: int | None) -> Iterator[Tensor]:
    """Whether the neighbours of some queries are of their class, the nearest first: (Q, depth), chunk by chunk."""
    codes_N, counts = class_N.unique(return_inverse=True, return_counts=True)[1:]
    queries = (counts[codes_N] > 1).nonzero()[:, 0]
    depth = min(depth or len(unit_ND), len(unit_ND) - 1)
    for own_Q in queries.split(_AT_ONCE) if len(queries) else ():
        near_QN = likeness(unit_ND[own_Q], unit_ND, own_Q).topk(depth, dim=1).indices
        yield codes_N[near_QN] == codes_N[own_Q, None]


def _figure(name: str, right_QN: Tensor) -> Tensor:
    """The figure of each query."""
    if name != _MEAN_PRECISION:
        return right_QN[:, : _k(name)].any(1).double()
    rank_N = torch.arange(1, right_QN.shape[1] + 1, device=right_QN.device)
    precision_QN = right_QN.cumsum(1) / rank_N
    return ((precision_QN * right_QN).sum(1) / right_QN.sum(1)).double()


def _k(name: str) -> int:
    found = _RECALL.fullmatch(name)
    return int(found[1]) if found else 1
