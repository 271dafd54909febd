"""How good generated pictures are, from what a classifier makes of them; in float64, with torch alone.

Fréchet distance: Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash equilibrium",
2017. Classifier score: Salimans et al., "Improved techniques for training GANs", 2016, there called Inception score.
Both judge by Inception; here features and scores are those of whatever small classifier the caller judges by, so
figures are not the published FID and IS, and compare only under one judge and one number of samples.
Letters: N and M examples, D features, K classes.
"""

import torch
from torch import Tensor

__all__ = ["classifier_score", "frechet_distance"]


def frechet_distance(real_ND: Tensor, made_MD: Tensor) -> float:
    """Squared distance of means plus what the covariances differ, of two clouds taken as Gaussian; 0 for equal ones.

    Shapes: (N, D) and (M, D), N and M at least 2; NaN below. Units: those of the features, squared.
    """
    if min(len(real_ND), len(made_MD)) < 2:
        return float("nan")
    real, made = _exact(real_ND), _exact(made_MD)
    shift = (real.mean(0) - made.mean(0)).square().sum()
    spread_real, spread_made = (torch.cov(cloud.T).reshape(cloud.shape[1], -1) for cloud in (real, made))
    root = _root(spread_real)
    # The trace of the product's root is that of the symmetric root @ made @ root, whose eigenvalues are safe to take.
    overlap = torch.linalg.eigvalsh(root @ spread_made @ root).clamp_min(0).sqrt().sum()
    return max(0.0, float(shift + spread_real.trace() + spread_made.trace() - 2 * overlap))


def classifier_score(scores_NK: Tensor) -> float:
    """The exponential of how far p(class | picture) is from p(class): 1 (all alike) to K (sure, and every class).

    Shapes: logits (N, K); NaN for none.
    """
    log_NK = _exact(scores_NK).log_softmax(1)
    log_mean_K = log_NK.logsumexp(0) - torch.tensor(len(log_NK), dtype=torch.float64).log()
    return float((log_NK.exp() * (log_NK - log_mean_K)).sum(1).mean().exp())


def _exact(values: Tensor) -> Tensor:
    """In float64, on the CPU: covariances of a few features are small, and some devices have no float64."""
    return values.detach().cpu().double()


def _root(spread_DD: Tensor) -> Tensor:
    """The symmetric square root."""
    values, vectors = torch.linalg.eigh(spread_DD)
    root: Tensor = vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T
    return root
