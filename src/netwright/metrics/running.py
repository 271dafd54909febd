"""Figures of tasks whose predictions are no scores of classes: of language models, and of agents.

Letters: B windows or episodes.
"""

import math

import torch
from torch import Tensor

__all__ = ["Returns", "Surprise"]


class Surprise:
    """Perplexity and bits a token, from the mean negative log-likelihood of each window: no scores are kept.

    bits: name of the figure in bits, `bits_per_char` where a token is a character and `bits_per_token` otherwise.
    """

    def __init__(self, bits: str) -> None:
        self._bits = bits
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._total: Tensor | float = 0.0
        self._windows = 0

    def update(self, predictions: Tensor, targets: Tensor) -> None:
        """Take in nats a token of each window (B,)."""
        self._total = self._total + predictions.double().sum()
        self._windows += len(predictions)

    def compute(self) -> dict[str, float]:
        """The figures; windows are equally long, so their mean is the mean over tokens."""
        nats = float(self._total) / self._windows if self._windows else float("nan")
        return {"perplexity": math.exp(min(nats, 700.0)), self._bits: nats / math.log(2)}


class Returns:
    """Mean and deviation of the returns of whole episodes, and their mean length."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all episodes."""
        self._returns: list[Tensor] = []
        self._lengths: list[Tensor] = []

    def update(self, predictions: Tensor, targets: Tensor) -> None:
        """Take in lengths (B,) and returns (B,)."""
        self._lengths.append(predictions.double().cpu())
        self._returns.append(targets.double().cpu())

    def compute(self) -> dict[str, float]:
        """The figures; NaN where no episode was played."""
        if not self._returns:
            return {"return_mean": float("nan"), "return_std": float("nan"), "episode_length": float("nan")}
        returns, lengths = torch.cat(self._returns), torch.cat(self._lengths)
        return {
            "return_mean": returns.mean().item(),
            "return_std": returns.std(correction=0).item(),
            "episode_length": lengths.mean().item(),
        }
