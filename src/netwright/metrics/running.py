"""Figures of tasks whose predictions are no scores of classes: of language models, and of agents.

Letters: N tokens, B episodes, V vocabulary.
"""

import math

import torch
from torch import Tensor

__all__ = ["Returns", "Surprise"]


class Surprise:
    """Perplexity and bits, a token and a byte, from the negative log-likelihoods of all tokens: no scores are kept.

    A byte of UTF-8 is the same for every tokenizer, a token is not: only figures a byte compare.

    Args:
        bits: name of the figure in bits a token, `bits_per_char` where a token is a character.
        bytes_V: how many bytes each code stands for; without it there is no `bits_per_byte`.
    """

    def __init__(self, bits: str = "bits_per_token", bytes_V: Tensor | None = None) -> None:
        self._bits, self._bytes_V = bits, bytes_V
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._total: Tensor | float = 0.0
        self._bytes: Tensor | int = 0
        self._tokens = 0

    def update(self, predictions: Tensor, targets: Tensor) -> None:
        """Take in the nats of each token that counts (N,), and all targets, those that do not count below 0."""
        self._total = self._total + predictions.detach().double().sum()
        self._tokens += len(predictions)
        if self._bytes_V is not None:
            self._bytes_V = self._bytes_V.to(targets.device)
            self._bytes = self._bytes + self._bytes_V[targets.clamp_min(0)][targets >= 0].sum()

    def compute(self) -> dict[str, float]:
        """The figures; NaN where there was no token."""
        nats = float(self._total) / self._tokens if self._tokens else float("nan")
        figures = {"perplexity": math.exp(min(nats, 700.0)), self._bits: nats / math.log(2)}
        if self._bytes_V is not None:
            count = int(self._bytes)
            figures["bits_per_byte"] = float(self._total) / math.log(2) / count if count else float("nan")
        return figures


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
