"""Insides of the metrics of numbers, tokens and returns.

Letters: B batch, N values, K targets an example, T tokens, V vocabulary, E episodes.
"""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.core.errors import ConfigError
from netwright.metrics.tally import Tally, divide

__all__ = ["NumberTally", "ReturnTally", "TokenTally"]


class NumberTally(Tally):
    """Errors of predicted numbers, summed in float64 around the first batch's mean, so that large targets lose nothing."""

    def update(self, predictions: Tensor, targets: Tensor | None) -> None:
        """See `MetricSet.update`."""
        if targets is None or targets.numel() != predictions.numel() or len(targets) != len(predictions):
            template = "metrics: predictions of shape {got} do not fit targets of shape {wanted}"
            wanted = None if targets is None else tuple(targets.shape)
            raise ConfigError(template, path="metrics", got=tuple(predictions.shape), wanted=wanted)
        said_BK = predictions.reshape(len(predictions), -1).double()
        true_BK = targets.reshape(said_BK.shape).double()
        if "origin" not in self.sums:
            self.sums["origin"] = true_BK.mean(0)
        error_BK, away_BK = said_BK - true_BK, true_BK - self.sums["origin"]
        self.add("squares", error_BK.square().sum(0))
        self.add("sizes", error_BK.abs().sum(0))
        self.add("away", away_BK.sum(0))
        self.add("away_squares", away_BK.square().sum(0))
        self.add("count", torch.tensor(len(said_BK), device=said_BK.device))

    def figures(self, names: Iterable[str]) -> dict[str, float]:
        """See `MetricSet.compute`."""
        if not self.sums or not int(self.sums["count"]):
            return dict.fromkeys(names, float("nan"))
        count = self.sums["count"].double()
        mse = float((self.sums["squares"] / count).mean())
        spread = self.sums["away_squares"] - self.sums["away"].square() / count
        # Constant targets have no variance to explain: 0 unless they are hit exactly, as scikit-learn has it.
        hit = (self.sums["squares"] == 0) & (spread <= 0)
        r2 = torch.where(spread > 0, 1 - divide(self.sums["squares"], spread), hit.double())
        found = {"mse": mse, "rmse": math.sqrt(mse), "mae": float((self.sums["sizes"] / count).mean()), "r2": float(r2.mean())}
        return {name: found[name] for name in names}


class TokenTally(Tally):
    """Surprise of a language model at the next tokens."""

    def __init__(self, names: Sequence[str], ignored: int, tokens_per_char: float) -> None:
        super().__init__()
        self._ignored, self._tokens_per_char = ignored, tokens_per_char
        self._accuracy = "accuracy" in names

    def update(self, predictions: Tensor, targets: Tensor | None) -> None:
        """See `MetricSet.update`."""
        if targets is None or targets.shape != predictions.shape[:-1]:
            template = "metrics: predictions of shape {got} do not fit targets of shape {wanted}"
            wanted = None if targets is None else tuple(targets.shape)
            raise ConfigError(template, path="metrics", got=tuple(predictions.shape), wanted=wanted)
        scores_NV, next_N = predictions.flatten(0, -2), targets.flatten()
        counted_N = next_N != self._ignored
        nats_N = F.cross_entropy(scores_NV.float(), next_N, ignore_index=self._ignored, reduction="none")
        self.add("nats", nats_N.double().sum())
        self.add("tokens", counted_N.sum())
        if self._accuracy:
            self.add("right", ((scores_NV.argmax(1) == next_N) & counted_N).sum())

    def figures(self, names: Iterable[str]) -> dict[str, float]:
        """See `MetricSet.compute`."""
        if not self.sums or not int(self.sums["tokens"]):
            return dict.fromkeys(names, float("nan"))
        tokens = float(self.sums["tokens"])
        nats = float(self.sums["nats"]) / tokens
        bits = nats / math.log(2)
        found = {
            "perplexity": math.exp(min(nats, 700.0)),  # beyond that a float has no room
            "bits_per_token": bits,
            "bits_per_char": bits * self._tokens_per_char,
        }
        if self._accuracy:
            found["accuracy"] = float(self.sums["right"]) / tokens
        return {name: found[name] for name in names}


class ReturnTally(Tally):
    """Mean and spread of the returns of episodes."""

    def update(self, predictions: Tensor, targets: Tensor | None) -> None:
        """See `MetricSet.update`."""
        self.keep("returns", predictions.reshape(-1).double())

    def figures(self, names: Iterable[str]) -> dict[str, float]:
        """See `MetricSet.compute`."""
        if not self.kept or not (returns_E := self.joined("returns")).numel():
            return dict.fromkeys(names, float("nan"))
        found = {"return_mean": float(returns_E.mean()), "return_std": float(returns_E.std(correction=0))}
        return {name: found[name] for name in names}
