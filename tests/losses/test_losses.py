"""Losses held to torch and to closed forms."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netwright.core.catalogs import trusting
from netwright.core.errors import ConfigError
from netwright.core.schemas import build
from netwright.losses import LOSSES, Loss, build_loss, catalog
from netwright.losses.adversarial import Adversarial, gradient_penalty
from netwright.losses.contrastive import InfoNCE
from netwright.losses.triplet import Triplet, distances

close = torch.testing.assert_close


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labels(count: int, *shape: int, seed: int = 1) -> Tensor:
    return torch.randint(count, shape, generator=torch.Generator().manual_seed(seed))


def batch(name: str) -> tuple:
    """A batch that fits the loss."""
    if name == "contrastive":
        return draw(6, 6), None
    if name == "adversarial":
        return draw(6), draw(6, seed=3)
    if name == "ctc":
        return draw(3, 9, 5), torch.tensor([[1, 2, -1], [3, -1, -1], [4, 4, 1]])
    if name in ("mse", "mae", "huber", "bce"):
        return draw(6, 1), labels(2, 6).float()
    if name == "kl":
        return draw(6, 4), draw(6, 4, seed=3).softmax(1)
    return draw(8, 4), labels(3, 8)


every = pytest.mark.parametrize("name", sorted(LOSSES))


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_laws(name: str, dtype: torch.dtype) -> None:
    """Scalar in float32 at least, a gradient for the prediction, mean and sum and none agree, the target untouched."""
    loss = build_loss(name)
    assert isinstance(loss, Loss) and loss.expects in ("logits", "values") and loss.target_kind
    prediction, target = batch(name)
    prediction = prediction.to(dtype).requires_grad_()
    value = loss(prediction, target)
    value.backward()
    assert value.shape == () and value.dtype == torch.float32 and torch.isfinite(value)
    assert prediction.grad is not None and torch.isfinite(prediction.grad).all() and prediction.grad.abs().sum() > 0
    if dtype == torch.float32:
        values = build_loss({"name": name, "reduction": "none"})(*batch(name))
        close(build_loss({"name": name, "reduction": "sum"})(*batch(name)), values.sum())
        if name not in ("ctc", "triplet"):  # which divide by lengths, or count what mining finds
            close(value, values.mean())
    assert not list(loss.parameters()) and not loss.state_dict()
    assert repr(loss)


@pytest.mark.parametrize("shape", ["rows", "tokens", "pixels"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5, 1.0, 3.0]])
def test_cross_entropy_is_torch_s_on_every_layout(shape: str, smoothing: float, weights: list | None) -> None:
    places = {"rows": (6,), "tokens": (4, 7), "pixels": (4, 3, 2)}[shape]
    target = labels(5, *places)
    target.view(-1)[0] = -100
    scores = draw(*places, 5)
    prediction = scores.movedim(-1, 1) if shape == "pixels" else scores
    loss = build_loss({"name": "cross-entropy", "label_smoothing": smoothing, "class_weights": weights})
    weight = None if weights is None else torch.tensor(weights)
    expected = F.cross_entropy(scores.movedim(-1, 1), target, weight, label_smoothing=smoothing)
    close(loss(prediction, target), expected)


def test_cross_entropy_reads_ambiguous_shapes_as_tokens_and_takes_pictures_lines() -> None:
    scores, target = draw(2, 4, 4), labels(4, 2, 4)
    close(build_loss("cross-entropy")(scores, target), F.cross_entropy(scores.flatten(0, 1), target.flatten()))
    scores, target = draw(2, 4, 7), labels(4, 2, 7)  # (B, K, T): only one reading fits
    close(build_loss("cross-entropy")(scores, target), F.cross_entropy(scores, target))


def test_cross_entropy_takes_mixed_targets() -> None:
    scores, first, second = draw(6, 4), labels(4, 6), labels(4, 6, seed=9)
    mixed = 0.3 * F.one_hot(first, 4) + 0.7 * F.one_hot(second, 4).float()
    expected = 0.3 * F.cross_entropy(scores, first) + 0.7 * F.cross_entropy(scores, second)
    close(build_loss("cross-entropy")(scores, mixed), expected)


def test_balanced_weights_make_classes_count_the_same() -> None:
    bound = {"class_counts": [30, 10, 0], "num_classes": 3}
    loss = build_loss({"name": "cross-entropy", "class_weights": "balanced"}, bound=bound)
    close(loss.weight, torch.tensor([40 / 90, 40 / 30, 40 / 3]))
    loss = build_loss({"name": "bce", "pos_weight": "balanced"}, bound={"class_counts": [30, 10]})
    close(loss.pos_weight, torch.tensor(3.0))


def test_bce_is_torch_s_and_never_broadcasts() -> None:
    scores, target = draw(5, 1), labels(2, 5)
    close(build_loss("bce")(scores, target), F.binary_cross_entropy_with_logits(scores[:, 0], target.float()))
    loss = build_loss({"name": "bce", "pos_weight": [1.0, 3.0], "label_smoothing": 0.2})
    scores, target = draw(5, 2), labels(2, 5, 2).float()
    expected = F.binary_cross_entropy_with_logits(scores, 0.8 * target + 0.1, pos_weight=torch.tensor([1.0, 3.0]))
    close(loss(scores, target), expected)


@pytest.mark.parametrize(
    ("name", "reference"),
    [("mse", F.mse_loss), ("mae", F.l1_loss), ("huber", F.huber_loss)],
)
def test_losses_of_numbers_are_torch_s_and_never_broadcast(name: str, reference) -> None:
    said, true = 3 * draw(7, 1), draw(7, seed=2)
    close(build_loss(name)(said, true), reference(said[:, 0], true))
    with pytest.raises(ConfigError, match=r"\(7, 2\) do not fit targets of shape \(7,\)"):
        build_loss(name)(draw(7, 2), true)
    with pytest.raises(ConfigError, match="do not fit"):
        build_loss(name)(draw(6, 1), true)


def test_huber_is_half_a_square_and_then_a_line() -> None:
    loss = build_loss({"name": "huber", "delta": 2.0, "reduction": "none"})
    close(loss(torch.tensor([1.0, 5.0]), torch.zeros(2)), torch.tensor([0.5, 2.0 * (5.0 - 1.0)]))


def test_focal_is_cross_entropy_at_gamma_zero_and_the_paper_s_formula_otherwise() -> None:
    scores, target = draw(9, 4), labels(4, 9)
    close(build_loss({"name": "focal", "gamma": 0.0})(scores, target), F.cross_entropy(scores, target))
    truth = scores.softmax(1)[torch.arange(9), target]
    close(build_loss({"name": "focal", "gamma": 3.0})(scores, target), (-((1 - truth) ** 3) * truth.log()).mean())
    alpha = torch.tensor([1.0, 2.0, 3.0, 4.0])
    expected = (-alpha[target] * (1 - truth) ** 2 * truth.log()).mean()
    close(build_loss({"name": "focal", "alpha": alpha.tolist()})(scores, target), expected)
    score, yes = draw(9), labels(2, 9).float()
    p = torch.where(yes == 1, score.sigmoid(), 1 - score.sigmoid())
    a = torch.where(yes == 1, 0.25, 0.75)
    close(build_loss({"name": "focal", "alpha": 0.25})(score, yes), (-a * (1 - p) ** 2 * p.log()).mean())


def test_dice_goes_from_nothing_to_one() -> None:
    target = labels(3, 2, 6, 6)
    perfect = 100.0 * F.one_hot(target, 3).movedim(-1, 1).float()
    assert build_loss("dice")(perfect, target) < 1e-4
    wrong = 100.0 * F.one_hot((target + 1) % 3, 3).movedim(-1, 1).float()
    assert build_loss({"name": "dice", "smooth": 1e-6})(wrong, target) > 0.999
    mask, scores = labels(2, 2, 6, 6), draw(2, 1, 6, 6)
    share = scores.sigmoid().flatten(1)
    expected = 1 - (2 * (share * mask.flatten(1)).sum(1) + 1) / (share.sum(1) + mask.flatten(1).sum(1) + 1)
    close(build_loss("dice")(scores, mask), expected.mean())
    assert build_loss({"name": "dice", "background": False, "reduction": "none"})(perfect, target).shape == (2, 2)


def test_kl_is_torch_s_and_distils() -> None:
    scores, target = draw(6, 4), draw(6, 4, seed=3)
    expected = F.kl_div(F.log_softmax(scores, 1), target.softmax(1), reduction="batchmean")
    close(build_loss("kl")(scores, target.softmax(1)), expected)
    loss = build_loss({"name": "kl", "targets": "logits", "temperature": 4.0})
    expected = 16 * F.kl_div(F.log_softmax(scores / 4, 1), (target / 4).softmax(1), reduction="batchmean")
    close(loss(scores, target), expected)
    assert loss(scores, scores) == pytest.approx(0, abs=1e-6)


def test_ctc_is_torch_s_from_padded_targets_or_lengths() -> None:
    scores, symbols = draw(3, 9, 5), torch.tensor([[1, 2, -1], [3, -1, -1], [4, 4, 1]])
    lengths = torch.tensor([2, 1, 3])
    frames = torch.full((3,), 9)
    expected = F.ctc_loss(scores.log_softmax(2).transpose(0, 1), symbols.clamp_min(0), frames, lengths)
    close(build_loss("ctc")(scores, symbols), expected)
    close(build_loss("ctc")(scores, (symbols.clamp_min(0), lengths)), expected)
    frames = torch.tensor([9, 4, 6])
    expected = F.ctc_loss(scores.log_softmax(2).transpose(0, 1), symbols.clamp_min(0), frames, lengths)
    close(build_loss("ctc")(scores, (symbols.clamp_min(0), lengths, frames)), expected)


def test_triplet_mines_the_hardest_of_the_batch() -> None:
    points, kind = draw(12, 5), labels(3, 12)
    apart = torch.cdist(points, points)
    close(distances(points), apart, atol=2e-3, rtol=1e-3)
    hinges, gaps = [], []
    for a in range(12):
        positives = [apart[a, p] for p in range(12) if p != a and kind[p] == kind[a]]
        negatives = [apart[a, n] for n in range(12) if kind[n] != kind[a]]
        gaps.append(max(positives) - min(negatives))
        hinges += [float(F.relu(p - n + 0.2)) for p in positives for n in negatives]
    close(Triplet()(points, kind), F.relu(torch.stack(gaps) + 0.2).mean(), atol=1e-4, rtol=1e-4)
    close(Triplet(margin=None)(points, kind), F.softplus(torch.stack(gaps)).mean(), atol=1e-4, rtol=1e-4)
    some = [value for value in hinges if value > 0]
    assert Triplet(mining="all")(points, kind).item() == pytest.approx(sum(some) / len(some), rel=1e-3)


def test_distances_far_from_the_origin_keep_their_digits() -> None:
    points = torch.randn(32, 16, generator=torch.Generator().manual_seed(0)) * 0.1 + 30
    apart = torch.cdist(points.double(), points.double()).float()
    off = ~torch.eye(32, dtype=torch.bool)
    close(distances(points)[off], apart[off], atol=0, rtol=1e-4)


def test_triplet_of_a_batch_without_triplets_or_with_equal_points_is_finite() -> None:
    for points, kind in ((draw(4, 3), torch.zeros(4)), (draw(4, 3), torch.arange(4)), (torch.ones(4, 3), labels(2, 4))):
        leaf = points.clone().requires_grad_()
        value = Triplet()(leaf, kind)
        value.backward()
        assert torch.isfinite(value) and torch.isfinite(leaf.grad).all()


def test_contrastive_recognises_partners_both_ways() -> None:
    first, second = draw(6, 8), draw(6, 8, seed=2)
    scores = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T / 0.1
    rows, columns = F.cross_entropy(scores, torch.arange(6)), F.cross_entropy(scores.T, torch.arange(6))
    close(InfoNCE(temperature=0.1)((first, second), None), (rows + columns) / 2)
    close(InfoNCE()(scores), (rows + columns) / 2)
    close(InfoNCE(symmetric=False)(scores, None), rows)
    assert InfoNCE()(torch.zeros(6, 6)).item() == pytest.approx(math.log(6))
    with pytest.raises(ConfigError, match=r"\(6, 5\)"):
        InfoNCE()(draw(6, 5))


def test_semi_hard_takes_the_nearest_beyond_the_positive_for_every_pair() -> None:
    points, kind = draw(12, 3), torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3])
    apart = torch.cdist(points, points)
    gaps = []
    for anchor in range(12):
        for positive in range(12):
            if anchor != positive and kind[anchor] == kind[positive]:
                others = apart[anchor][kind != kind[anchor]]
                beyond = others[others > apart[anchor, positive]]
                gaps.append(apart[anchor, positive] - (beyond.min() if len(beyond) else others.max()))
    made = Triplet(mining="semi-hard", margin=0.3)
    close(made(points, kind), F.relu(torch.stack(gaps) + 0.3).mean(), atol=1e-4, rtol=1e-4)
    leaf = points.clone().requires_grad_()
    made(leaf, torch.arange(12)).backward()
    assert leaf.grad is not None and not leaf.grad.any(), "no pair, no pull"


def test_contrastive_by_kinds_is_the_mean_over_partners() -> None:
    points, kind = draw(7, 4), torch.tensor([0, 0, 0, 1, 1, 2, 1])
    unit = F.normalize(points, dim=1)
    values = []
    for anchor in range(7):
        others = [row for row in range(7) if row != anchor]
        scores = torch.stack([unit[anchor] @ unit[row] / 0.2 for row in others])
        said = scores.log_softmax(0)
        partners = [said[at] for at, row in enumerate(others) if kind[row] == kind[anchor]]
        if partners:
            values.append(-torch.stack(partners).mean())
    loss = InfoNCE(temperature=0.2)
    close(loss(5 * points, kind), torch.stack(values).mean())
    close(loss(points, kind[:, None]), torch.stack(values).mean())
    close(InfoNCE(temperature=0.2, reduction="none")(points, kind), torch.stack(values))
    for alone in (torch.arange(7), torch.zeros(1)):  # nobody has a partner; one example only
        leaf = points[: len(alone)].clone().requires_grad_()
        value = loss(leaf, alone)
        value.backward()
        assert value == 0 and leaf.grad is not None and not leaf.grad.any()
    with pytest.raises(ConfigError, match="kinds"):
        loss(points, torch.zeros(6))


def test_adversarial_sides() -> None:
    real, fake = draw(7), draw(7, seed=2)
    bce = F.binary_cross_entropy_with_logits
    game = Adversarial(label_smoothing=0.1)
    close(game.discriminator(real, fake), bce(real, torch.full((7,), 0.9)) + bce(fake, torch.zeros(7)))
    close(game.generator(fake), bce(fake, torch.ones(7)))
    game = Adversarial(kind="hinge")
    close(game(real, fake), F.relu(1 - real).mean() + F.relu(1 + fake).mean())
    close(game.generator(fake), -fake.mean())
    game = Adversarial(kind="wasserstein")
    close(game(real, fake), fake.mean() - real.mean())


def test_gradient_penalty_of_a_plane_is_its_slope() -> None:
    plane = nn.Linear(4, 1)
    expected = (plane.weight.norm() - 1).square()
    penalty = gradient_penalty(plane, draw(5, 4), draw(5, 4, seed=1), mix=torch.rand(5))
    close(penalty, expected)
    penalty.backward()
    assert plane.weight.grad is not None and plane.weight.grad.abs().sum() > 0


def test_whatever_can_be_called_is_taken_as_it_is() -> None:
    module = nn.MSELoss()
    assert build_loss(module) is module and build_loss(F.l1_loss) is F.l1_loss
    assert isinstance(build_loss(nn.CrossEntropyLoss), nn.CrossEntropyLoss)


def test_a_function_may_be_named_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_losses.py").write_text(
        "def scaled(prediction, target, by=1.0):\n    return by * (prediction - target).abs().mean()\n\n\n"
        "def made(num_classes, by=1.0):\n    return lambda prediction, target: num_classes * by\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    one, two = torch.zeros(2), torch.ones(2)
    with trusting(True):
        assert build_loss("own_losses:scaled", bound={"num_classes": 3})(one, two) == 1
        assert build_loss({"name": "own_losses:scaled", "by": 4.0})(one, two) == 4
        assert build_loss("own_losses:made", bound={"num_classes": 3})(one, two) == 3


@pytest.mark.parametrize(
    ("spec", "bound", "words"),
    [
        ("cross-entrpy", {}, "did you mean cross-entropy"),
        ({"name": "cross-entropy", "label_smooting": 0.1}, {}, "not a known setting; did you mean label_smoothing"),
        ({"name": "cross-entropy", "label_smoothing": 1.5}, {}, "loss.label_smoothing=1.5"),
        ({"name": "cross-entropy", "class_weights": [1.0]}, {"num_classes": 3}, "1 numbers for 3 classes"),
        ({"name": "cross-entropy", "class_weights": "balanced"}, {}, "needs the examples of each class counted"),
        ({"name": "bce", "pos_weight": "balanced"}, {"class_counts": [1, 2, 3]}, "two classes"),
        ({"label_smoothing": 0.1}, {}, "expected a name"),
        (3, {}, "loss=3 does not fit"),
        (nn.GaussianNLLLoss().__class__, {}, None),
        ({"name": "huber", "delta": 0}, {}, "loss.delta=0"),
    ],
)
def test_mistakes_are_named(spec: object, bound: dict, words: str | None) -> None:
    if words is None:
        assert isinstance(build_loss(spec), nn.GaussianNLLLoss)
        return
    with pytest.raises(ConfigError, match=words.replace("[", r"\[")):
        build_loss(spec, bound=bound)


def test_wrong_shapes_are_named_in_a_step() -> None:
    with pytest.raises(ConfigError, match=r"\(4, 3\) do not fit targets of shape \(5,\)"):
        build_loss("cross-entropy")(draw(4, 3), labels(3, 5))
    with pytest.raises(ConfigError, match="do not fit"):
        build_loss("cross-entropy")(draw(4), labels(3, 4))


@every
def test_data_that_a_loss_is_not_for_are_refused_in_words(name: str) -> None:
    """Class targets are for some losses; all others say so rather than fail inside torch."""
    try:
        value = build_loss(name)(draw(6, 4), labels(4, 6))
    except ConfigError as error:
        assert "loss" in str(error)
    else:
        assert torch.isfinite(value) and name in ("contrastive", "cross-entropy", "focal", "dice", "sum", "triplet")


@every
def test_every_loss_is_built_with_all_that_data_may_bind(name: str) -> None:
    made = build(catalog().load(name), {}, "loss", {"num_classes": 4, "class_counts": [1, 2, 3, 4]})
    assert isinstance(made, Loss)


@pytest.mark.parametrize(
    "loss", [{"name": "triplet", "mining": "hard"}, {"name": "triplet", "mining": "semi-hard"}, "contrastive"], ids=str
)
def test_pairs_are_compared_in_full_precision_under_autocast(loss: object) -> None:
    """In bf16 two cosines of 0.99 and 0.992 are one: what is nearest would be a matter of rounding."""
    made, kinds = build_loss(loss), torch.arange(16) % 4
    unit = F.normalize(F.one_hot(kinds, 8) + 0.05 * draw(16, 8), dim=1)
    expected = made(unit, kinds)
    with torch.autocast("cpu", torch.bfloat16):
        close(made(unit, kinds), expected)
        if loss == "contrastive":
            close(made((unit, unit.roll(4, 0))), made((unit.double(), unit.roll(4, 0).double())).float())


def test_focal_of_one_score_a_place_takes_codes_and_leaves_places_out() -> None:
    scores, codes = draw(3, 1, 4, 4), labels(2, 3, 4, 4)
    p = torch.where(codes == 1, scores[:, 0].sigmoid(), 1 - scores[:, 0].sigmoid())
    values = -((1 - p) ** 2) * p.log()
    close(build_loss("focal")(scores, codes), values.mean())
    weights = torch.where(codes == 1, 0.2, 3.0)
    close(build_loss({"name": "focal", "alpha": [3.0, 0.2]})(scores, codes), (weights * values).mean())
    codes[:, 0] = 255
    close(build_loss({"name": "focal", "ignore_index": 255})(scores, codes), values[:, 1:].mean())
    for alpha, given in (([1.0, 2.0, 3.0], (scores, codes % 2)), ([1.0, 2.0], (draw(4, 3), labels(3, 4)))):
        with pytest.raises(ConfigError, match=r"loss.alpha has . numbers for . classes"):
            build_loss({"name": "focal", "alpha": alpha})(*given)


def test_bce_leaves_places_out() -> None:
    scores, codes = draw(3, 1, 4, 4), labels(2, 3, 4, 4)
    codes[:, 0] = 255
    for more in ({}, {"label_smoothing": 0.2}, {"pos_weight": 3.0}):
        expected = build_loss({"name": "bce", **more})(scores[:, :, 1:], codes[:, 1:])
        close(build_loss({"name": "bce", "ignore_index": 255, **more})(scores, codes), expected)


@pytest.mark.parametrize("loss", ["cross-entropy", "dice", "focal", "bce", "dice + cross-entropy"])
def test_a_batch_without_a_place_that_counts_costs_nothing(loss: str) -> None:
    scores = draw(2, 1 if loss == "bce" else 3, 4, 4).requires_grad_()
    spec = {"name": loss} if "+" not in loss else {"name": "sum"}
    value = build_loss(spec, bound={"ignore_index": 255})(scores, torch.full((2, 4, 4), 255))
    value.backward()
    assert value == 0 and not scores.grad.any()


def test_dice_without_smoothing_is_finite_where_nothing_is_and_nothing_is_said() -> None:
    scores = torch.zeros(1, 2, 4, 4).requires_grad_()
    value = build_loss({"name": "dice", "smooth": 0.0, "ignore_index": 255})(scores, torch.full((1, 4, 4), 255))
    value.backward()
    assert value == 0 and torch.isfinite(scores.grad).all()


@pytest.mark.parametrize("shapes", [((4, 1), (4,)), ((2, 1, 5, 5), (2, 5, 5))], ids=str)
def test_a_softmax_over_one_score_is_refused(shapes: tuple) -> None:
    with pytest.raises(ConfigError, match=r"a softmax over one score is always 1; use bce"):
        build_loss("cross-entropy")(draw(*shapes[0]), labels(2, *shapes[1]))


def test_a_sum_takes_mixed_targets_if_all_its_parts_do() -> None:
    assert build_loss("cross-entropy + kl").soft_targets and not build_loss("cross-entropy + focal").soft_targets
