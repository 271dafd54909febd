"""Negative sampling: a word that stands near is told apart from words drawn at random.

Mikolov et al., 2013, "Distributed representations of words and phrases and their compositionality", equation 4, after
Gutmann & Hyvärinen, 2010, "Noise-contrastive estimation". ``B`` rows, ``P`` true words of a row, ``N`` words of noise.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["negative_sampling"]


def negative_sampling(true_BP: Tensor, mask_BP: Tensor, noise_BN: Tensor, negatives: float = 5.0) -> Tensor:
    """-log s(true) - `negatives` E[log s(-noise)] for each true word, s the sigmoid; the mean over all true words.

    The expectation is the mean over N words that all rows share. It has the value of `negatives` words drawn for each
    true one, with less variance, and is one matrix product.

    Shapes:
        scores [B, P] with mask [B, P] True where there is a word, scores [B, N] -> []; 0 without any true word
    """
    weight_BP = mask_BP.to(true_BP.dtype)
    true = (F.softplus(-true_BP) * weight_BP).sum()
    noise = (F.softplus(noise_BN).mean(1) * weight_BP.sum(1)).sum()
    total: Tensor = (true + negatives * noise) / torch.clamp(weight_BP.sum(), min=1.0)
    return total
