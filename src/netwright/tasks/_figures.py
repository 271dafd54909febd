"""STOPGAP until metrics/ has `MetricSet`: the usual figures of classifiers and of regression, over kept predictions."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from netwright.core.errors import ConfigError, suggest
from netwright.tasks.base import Measure

__all__ = ["metric_set"]


def metric_set(names: Sequence[str], **sizes: Any) -> Measure:
    """A fresh collector of the named metrics."""
    for name in names:
        if name not in _TABLE:
            raise ConfigError("unknown metric {name!r}{near}", path="metrics", name=name, near=suggest(name, _TABLE))
    return _Kept(names)


class _Kept:
    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._said: list[Tensor] = []
        self._true: list[Tensor] = []

    def update(self, predictions: Tensor, targets: Tensor) -> None:
        self._said.append(predictions.detach().cpu())
        self._true.append(targets.detach().cpu())

    def compute(self) -> dict[str, float]:
        said, true = torch.cat(self._said), torch.cat(self._true)
        return {name: float(_TABLE[name](said, true)) for name in self._names}


def _f1(said: Tensor, true: Tensor) -> Tensor:
    classes = range(said.shape[1])
    label = said.argmax(1)
    hits = torch.tensor([float(((label == k) & (true == k)).sum()) for k in classes])
    sizes = torch.tensor([float((label == k).sum() + (true == k).sum()) for k in classes])
    return (2 * hits / sizes.clamp_min(1))[sizes > 0].mean()


def _auroc(said: Tensor, true: Tensor) -> Tensor:
    values = []
    for k, scores in enumerate(said.softmax(1).double().T):
        yes = true == k
        if bool(yes.any()) and not bool(yes.all()):
            ordered, place = scores.unique(return_inverse=True)
            counts = torch.bincount(place, minlength=len(ordered)).double()
            rank = (counts.cumsum(0) - counts / 2 + 0.5)[place]
            n = yes.sum().double()
            values.append((rank[yes].sum() - n * (n + 1) / 2) / (n * (~yes).sum()))
    return torch.stack(values).mean() if values else torch.tensor(float("nan"))


def _ece(said: Tensor, true: Tensor) -> Tensor:
    sure, label = said.softmax(1).double().max(1)
    place = (sure * 15).long().clamp_max(14)
    return torch.bincount(place, sure - (label == true).double(), 15).abs().sum() / len(true)


_TABLE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "accuracy": lambda said, true: (said.argmax(1) == true).double().mean(),
    "auroc": _auroc,
    "ece": _ece,
    "f1": _f1,
    "mae": lambda said, true: (said - true).abs().mean(),
    "r2": lambda said, true: 1 - (said - true).square().sum() / (true - true.mean(0)).square().sum(),
    "rmse": lambda said, true: (said - true).square().mean().sqrt(),
    "top5": lambda said, true: (said.topk(min(5, said.shape[1])).indices == true[:, None]).any(1).double().mean(),
}
