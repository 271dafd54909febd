"""What autoencoders pay for their codes, and variational ones for what they say: all of it in nats.

Closed-form divergence: Kingma and Welling, "Auto-encoding variational Bayes", 2014, appendix B. Sparse codes: Ng,
"Sparse autoencoder", CS294A lecture notes, 2011, section 3, after Lee et al., "Sparse deep belief net model for visual
area V2", 2008. Letters: B batch, Z numbers of the code, `…` any further dimensions.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.losses.base import wide

__all__ = ["bernoulli_surprise", "gaussian_kl", "gaussian_surprise", "sparsity"]

_LEAST = 1e-6  # a mean activity of 0 or 1 would cost infinitely much


def gaussian_kl(mean_BZ: Tensor, log_variance_BZ: Tensor) -> Tensor:
    """`KL(N(μ, σ²) ‖ N(0, 1)) = (μ² + σ² - 1 - ln σ²) / 2` of each number of a code. Shapes: (B, Z) each -> (B, Z)."""
    mean, log_variance = wide(mean_BZ), wide(log_variance_BZ)
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def bernoulli_surprise(scores: Tensor, x: Tensor) -> Tensor:
    """`-ln p(x)` of an example whose numbers are yes with the probabilities sigmoid(scores); greys count in part.

    Shapes: (B, …) both, x in [0, 1] -> (B,).
    """
    scores = wide(scores)
    return F.binary_cross_entropy_with_logits(scores, x.to(scores.dtype), reduction="none").flatten(1).sum(1)


def gaussian_surprise(mean: Tensor, x: Tensor, deviation: float) -> Tensor:
    """`-ln p(x)` of an example whose numbers lie around `mean` with one deviation. Shapes: (B, …) both -> (B,)."""
    mean = wide(mean)
    away = (x.to(mean.dtype) - mean) / deviation
    return (0.5 * away.square() + math.log(deviation) + 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)


def sparsity(code_BZ: Tensor, activity: float) -> Tensor:
    """`Σ_j KL(ρ ‖ ρ̂_j)`, of yes and no, where ρ̂_j is how active unit j of the code is on the mean of the batch.

    Args:
        activity: ρ, in (0, 1).

    Shapes: (B, Z) in [0, 1] -> a scalar.
    """
    mean_Z = wide(code_BZ).mean(0).clamp(_LEAST, 1 - _LEAST)
    on, off = activity * torch.log(activity / mean_Z), (1 - activity) * torch.log((1 - activity) / (1 - mean_Z))
    return (on + off).sum()
