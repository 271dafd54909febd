"""Insides of the metrics of classes: a confusion matrix, calibration bins, top-k hits and, for auroc, the scores.

Letters: N examples or places, K classes, L labels.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from netwright.core.errors import ConfigError
from netwright.metrics.ranks import auroc
from netwright.metrics.tally import Tally, divide

__all__ = ["BinaryTally", "ClassTally", "LabelTally"]

_BINS = 15


class ClassTally(Tally):
    """One of K classes an example."""

    def __init__(self, names: Sequence[str], num_classes: int, logits: bool, ignored: int) -> None:
        super().__init__()
        self._count, self._logits, self._ignored = num_classes, logits, ignored
        self._tops = [int(name[3:]) for name in names if name.startswith("top")]
        self._ece, self._auroc = "ece" in names, "auroc" in names

    def update(self, predictions: Tensor, targets: Tensor | None) -> None:
        """See `MetricSet.update`."""
        scores_NK, truth_N = self._rows(predictions, _given(targets))
        said_N = scores_NK.argmax(1)
        self.add("confusion", _confusion(truth_N, said_N, self._count))
        for k in self._tops:
            hits_NT = scores_NK.topk(min(k, self._count), 1).indices == truth_N[:, None]
            self.add(f"top{k}", hits_NT.sum())
        if self._ece or self._auroc:
            share_NK = scores_NK.float().softmax(1) if self._logits else scores_NK.float()
            if self._ece:
                _add_calibration(self, share_NK.amax(1), said_N == truth_N)
            if self._auroc:
                self.keep("scores", share_NK)
                self.keep("truth", truth_N)

    def figures(self, names: Iterable[str]) -> dict[str, float]:
        """See `MetricSet.compute`."""
        if "confusion" not in self.sums:
            return dict.fromkeys(names, float("nan"))
        found = _from_confusion(self.sums["confusion"])
        total = max(int(self.sums["confusion"].sum()), 1)
        for k in self._tops:
            found[f"top{k}"] = float(self.sums[f"top{k}"]) / total
        if self._ece:
            found["ece"] = _calibration_error(self)
        if self._auroc:
            found["auroc"] = auroc(self.joined("scores"), self.joined("truth"), "multiclass")
        return {name: found[name] for name in names}

    def _rows(self, predictions: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N, K) and class numbers (N,), without the ignored."""
        axis = _class_axis(predictions, targets, self._count)
        if targets.dim() == predictions.dim() and targets.shape[axis] == self._count > 1:
            targets = targets.argmax(axis)  # shares of the classes: the largest counts
        scores_NK = predictions if predictions.dim() == 2 else predictions.movedim(axis, -1).reshape(-1, self._count)
        truth_N = targets.reshape(-1).long()
        if targets.dim() > 1:  # only places are ignored, and looking for them would cost every batch of examples
            keep = truth_N != self._ignored
            scores_NK, truth_N = scores_NK[keep], truth_N[keep]
        return scores_NK, truth_N


class BinaryTally(Tally):
    """Yes or no; class 1 is the one that is looked for."""

    def __init__(self, names: Sequence[str], logits: bool, ignored: int) -> None:
        super().__init__()
        self._logits, self._ignored = logits, ignored
        self._ece, self._auroc = "ece" in names, "auroc" in names

    def update(self, predictions: Tensor, targets: Tensor | None) -> None:
        """See `MetricSet.update`."""
        truth_N = _given(targets).reshape(-1)
        score_N = self._score(predictions, len(truth_N))
        keep = truth_N != self._ignored
        truth_N, score_N = truth_N[keep].long(), score_N[keep]
        said_N = score_N > (0.0 if self._logits else 0.5)
        self.add("confusion", _confusion(truth_N, said_N.long(), 2))
        share_N = score_N.float().sigmoid() if self._logits else score_N.float()
        if self._ece:
            _add_calibration(self, torch.maximum(share_N, 1 - share_N), said_N == truth_N)
        if self._auroc:
            self.keep("scores", share_N)
            self.keep("truth", truth_N)

    def figures(self, names: Iterable[str]) -> dict[str, float]:
        """See `MetricSet.compute`."""
        if "confusion" not in self.sums:
            return dict.fromkeys(names, float("nan"))
        found = _from_confusion(self.sums["confusion"], of=1)
        if self._ece:
            found["ece"] = _calibration_error(self)
        if self._auroc:
            found["auroc"] = auroc(self.joined("scores"), self.joined("truth"), "binary")
        return {name: found[name] for name in names}

    def _score(self, predictions: Tensor, count: int) -> Tensor:
        if predictions.numel() == count:
            return predictions.reshape(-1)
        if predictions.dim() >= 2 and predictions.shape[1] == 2 and predictions.numel() == 2 * count:
            no, yes = predictions.unbind(1)
            return (yes - no if self._logits else yes).reshape(-1)
        template = "metrics: predictions of shape {got} do not fit {count} targets of yes or no"
        raise ConfigError(template, path="metrics", got=tuple(predictions.shape), count=count)


class LabelTally(Tally):
    """Several labels an example, each yes or no."""

    def __init__(self, names: Sequence[str], num_labels: int | None, logits: bool) -> None:
        super().__init__()
        self._labels, self._logits, self._auroc = num_labels, logits, "auroc" in names

    def update(self, predictions: Tensor, targets: Tensor | None) -> None:
        """See `MetricSet.update`."""
        truth_NL = _given(targets) > 0.5
        if predictions.shape != truth_NL.shape or (self._labels or truth_NL.shape[1]) != truth_NL.shape[1]:
            template = "metrics: predictions of shape {got} do not fit labels of shape {wanted}"
            raise ConfigError(template, path="metrics", got=tuple(predictions.shape), wanted=tuple(truth_NL.shape))
        said_NL = predictions > (0.0 if self._logits else 0.5)
        self.add("hits", (said_NL & truth_NL).sum(0))
        self.add("said", said_NL.sum(0))
        self.add("true", truth_NL.sum(0))
        self.add("right", (said_NL == truth_NL).sum())
        self.add("seen", torch.tensor(truth_NL.numel(), device=predictions.device))
        if self._auroc:
            self.keep("scores", predictions.float())
            self.keep("truth", truth_NL.long())

    def figures(self, names: Iterable[str]) -> dict[str, float]:
        """See `MetricSet.compute`."""
        if "hits" not in self.sums:
            return dict.fromkeys(names, float("nan"))
        hits, said, true = (self.sums[key] for key in ("hits", "said", "true"))
        found = {
            "accuracy": float(self.sums["right"]) / float(self.sums["seen"]),
            "precision": float(divide(hits, said).mean()),
            "recall": float(divide(hits, true).mean()),
            "f1": float(divide(2 * hits, said + true).mean()),
        }
        if self._auroc:
            found["auroc"] = auroc(self.joined("scores"), self.joined("truth"), "multilabel")
        return {name: found[name] for name in names}


def _from_confusion(counts_KK: Tensor, of: int | None = None) -> dict[str, float]:
    """Figures from a confusion matrix: of one class, or the mean over those that occur at all (as scikit-learn has it)."""
    hits, true, said = counts_KK.diagonal(), counts_KK.sum(1), counts_KK.sum(0)
    seen = (true + said) > 0

    def mean(values_K: Tensor) -> float:
        chosen = values_K[seen] if of is None else values_K[of]
        return float(chosen.mean()) if chosen.numel() else float("nan")

    dice_K = divide(2 * hits, true + said)
    return {
        "accuracy": float(divide(hits.sum(), counts_KK.sum())),
        "precision": mean(divide(hits, said)),
        "recall": mean(divide(hits, true)),
        "f1": mean(dice_K),
        "dice": mean(dice_K),  # the same figure, under the name that segmentation uses
        "iou": mean(divide(hits, true + said - hits)),
    }


def _confusion(truth_N: Tensor, said_N: Tensor, count: int) -> Tensor:
    return torch.bincount(truth_N * count + said_N, minlength=count * count).view(count, count)


def _add_calibration(tally: Tally, sure_N: Tensor, right_N: Tensor) -> None:
    bin_N = (sure_N * _BINS).long().clamp_max(_BINS - 1)
    tally.add("sure", torch.bincount(bin_N, sure_N.double(), _BINS))
    tally.add("sure_right", torch.bincount(bin_N, right_N.double(), _BINS))
    tally.add("sure_seen", torch.tensor(len(sure_N), device=sure_N.device))


def _calibration_error(tally: Tally) -> float:
    """Σ_bins |how sure - how often right| · share of the bin."""
    return float((tally.sums["sure"] - tally.sums["sure_right"]).abs().sum() / tally.sums["sure_seen"])


def _class_axis(predictions: Tensor, targets: Tensor, count: int) -> int:
    """Where the K scores lie: the last of (B, K) and (B, T, K), the second of (B, K, H, W)."""
    order = (1,) if predictions.dim() == 2 else (2, 1) if predictions.dim() == 3 else (1, predictions.dim() - 1)
    for axis in order:
        rest = predictions.shape[:axis] + predictions.shape[axis + 1 :]
        if predictions.dim() > axis and predictions.shape[axis] == count and targets.shape in (rest, predictions.shape):
            return axis
    template = "metrics: predictions of shape {got} do not fit targets of shape {wanted} and {count} classes"
    got, wanted = tuple(predictions.shape), tuple(targets.shape)
    raise ConfigError(template, path="metrics", got=got, wanted=wanted, count=count)


def _given(targets: Tensor | None) -> Tensor:
    if targets is None:
        raise ConfigError("metrics of classes need targets, and these data have none", path="metrics")
    return targets
