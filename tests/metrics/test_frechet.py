"""Fréchet distance and classifier score against closed forms and the textbook formula."""

import math

import pytest
import torch

from netwright.metrics import classifier_score, frechet_distance


def cloud(count: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_equal_clouds_are_at_no_distance_and_a_shift_counts_squared():
    first = cloud(500, 8)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-8)
    assert frechet_distance(first, first + 2.0) == pytest.approx(8 * 4.0)


def test_a_scale_counts_by_the_difference_of_deviations():
    first = cloud(500, 6)
    spread = float(torch.cov(first.T).trace())
    assert frechet_distance(first, 3 * (first - first.mean(0)) + first.mean(0)) == pytest.approx(4 * spread)


def test_it_is_the_formula_with_the_general_matrix_root():
    linalg = pytest.importorskip("scipy.linalg")
    first, second = cloud(400, 5) @ cloud(5, 5, 7), 0.3 + cloud(300, 5, 1) @ cloud(5, 5, 8)
    root = linalg.sqrtm((torch.cov(first.T) @ torch.cov(second.T)).numpy()).real
    shift = (first.mean(0) - second.mean(0)).square().sum()
    expected = float(shift + torch.cov(first.T).trace() + torch.cov(second.T).trace()) - 2 * root.trace()
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(second, first) == pytest.approx(expected, rel=1e-8)


def test_fewer_examples_than_features_and_one_feature_are_no_trouble():
    found = frechet_distance(cloud(10, 64).float(), cloud(12, 64, 1).float())
    assert math.isfinite(found) and found > 0
    assert math.isfinite(frechet_distance(cloud(10, 1), cloud(10, 1, 1)))
    assert math.isnan(frechet_distance(cloud(1, 4), cloud(9, 4)))


def test_classifier_score_goes_from_one_to_the_number_of_classes():
    assert classifier_score(torch.zeros(50, 7)) == pytest.approx(1.0)
    assert classifier_score(1000.0 * torch.eye(7).repeat(10, 1)) == pytest.approx(7.0)
    assert classifier_score(torch.tensor([[2000.0, 0.0]]).repeat(9, 1)) == pytest.approx(1.0)


def test_classifier_score_is_its_formula():
    share = cloud(40, 5).softmax(1)
    expected = (share * (share / share.mean(0)).log()).sum(1).mean().exp()
    assert classifier_score(cloud(40, 5)) == pytest.approx(float(expected))
