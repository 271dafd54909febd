"""Closed forms of what codes cost, against torch's distributions and sums by hand."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from netwright.losses.coding import bernoulli_surprise, gaussian_kl, gaussian_surprise, sparsity


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_divergence_is_that_of_torch_s_distributions():
    mean, log_variance = 2 * draw(50, 7), 3 * draw(50, 7, seed=1)
    theirs = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(gaussian_kl(mean, log_variance), theirs, rtol=1e-5, atol=1e-5)
    assert gaussian_kl(torch.zeros(2, 3), torch.zeros(2, 3)).abs().max() == 0


def test_the_divergence_keeps_its_digits_in_half_precision():
    mean, log_variance = draw(8, 4).bfloat16(), draw(8, 4, seed=1).bfloat16()
    assert torch.equal(gaussian_kl(mean, log_variance), gaussian_kl(mean.float(), log_variance.float()))


def test_surprise_is_that_of_torch_s_distributions():
    scores, x = draw(5, 1, 3, 4), (draw(5, 1, 3, 4, seed=1) > 0).float()
    theirs = -Bernoulli(logits=scores).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(bernoulli_surprise(scores, x), theirs)
    theirs = -Normal(scores, 0.3).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(gaussian_surprise(scores, x, 0.3), theirs, rtol=1e-5, atol=1e-4)


def test_the_bound_of_a_linear_gaussian_model_is_tight_at_its_posterior():
    """x = w z + noise: ln p(x) is known, and the bound reaches it where the code is the true posterior."""
    weight, deviation, x = 1.7, 0.6, torch.tensor([[0.9]])
    precision = 1 + weight**2 / deviation**2
    mean, log_variance = weight * x / deviation**2 / precision, torch.full_like(x, -math.log(precision))
    evidence = Normal(0.0, math.hypot(weight, deviation)).log_prob(x).item()
    noise = draw(200_000, 1)

    def bound(mean, log_variance):
        codes = mean + (0.5 * log_variance).exp() * noise
        surprise = gaussian_surprise(weight * codes, x.expand(len(codes), 1), deviation).mean()
        return -(surprise + gaussian_kl(mean, log_variance).sum()).item()

    assert bound(mean, log_variance) == pytest.approx(evidence, abs=5e-3)
    assert bound(mean + 0.3, log_variance) < evidence - 0.1 and bound(mean, log_variance + 1) < evidence - 0.1


def test_sparsity_is_nothing_at_the_wanted_activity_and_grows_away_from_it():
    code = torch.tensor([[0.0, 0.3], [0.1, 0.1]])  # means 0.05 and 0.2
    by_hand = 0.05 * math.log(0.05 / 0.2) + 0.95 * math.log(0.95 / 0.8)
    assert sparsity(code, 0.05).item() == pytest.approx(by_hand, rel=1e-5)
    assert sparsity(torch.full((4, 3), 0.05), 0.05).item() == pytest.approx(0, abs=1e-6)
    assert math.isfinite(sparsity(torch.zeros(4, 3), 0.05).item()) and math.isfinite(sparsity(torch.ones(4, 3), 0.05))
