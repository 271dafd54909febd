"""Figures held to torchmetrics and scikit-learn, over several batches; what is refused; what is not imported."""

import math
import subprocess
import sys

import pytest
import sklearn.metrics as sk
import torch
import torchmetrics.functional as tm
from torch import Tensor

from netwright.core.errors import ConfigError
from netwright.metrics import METRICS, MetricSet, direction
from netwright.metrics.catalog import names


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labels(count: int, *shape: int, seed: int = 1) -> Tensor:
    return torch.randint(count, shape, generator=torch.Generator().manual_seed(seed))


def run(measure: MetricSet, predictions: Tensor, targets: Tensor | None, parts: int = 3) -> dict[str, float]:
    for part in range(parts):
        measure.update(predictions[part::parts], None if targets is None else targets[part::parts])
    return measure.compute()


def test_multiclass_figures_are_those_of_torchmetrics() -> None:
    scores, truth = draw(300, 7), labels(7, 300)
    scores[torch.arange(300), truth] += 1.0
    wanted = ["accuracy", "precision", "recall", "f1", "auroc", "ece", "top3", "iou", "dice"]
    measure = MetricSet(wanted, num_classes=7)
    found = run(measure, scores, truth)
    share, options = scores.softmax(1), {"task": "multiclass", "num_classes": 7}
    assert list(found) == wanted
    assert found["accuracy"] == pytest.approx(float(tm.accuracy(share, truth, average="micro", **options)))
    for name, function in (("precision", tm.precision), ("recall", tm.recall), ("f1", tm.f1_score)):
        assert found[name] == pytest.approx(float(function(share, truth, average="macro", **options)), abs=1e-6)
    assert found["auroc"] == pytest.approx(float(tm.auroc(share, truth, average="macro", **options)), abs=1e-6)
    assert found["ece"] == pytest.approx(float(tm.calibration_error(share, truth, **options)), abs=1e-5)
    assert found["top3"] == pytest.approx(float(tm.accuracy(share, truth, top_k=3, average="micro", **options)))
    assert found["iou"] == pytest.approx(float(tm.jaccard_index(share, truth, **options)), abs=1e-6)
    assert found["dice"] == found["f1"]
    assert torch.equal(measure.confusion(), tm.confusion_matrix(share, truth, **options))
    measure.reset()
    assert math.isnan(measure.compute()["accuracy"]) and measure.confusion() is None


def test_classes_that_never_occur_do_not_pull_the_mean_down() -> None:
    scores, truth = draw(50, 6), labels(3, 50)
    scores[:, 3:] -= 100
    found = run(MetricSet(["f1", "precision", "auroc"], num_classes=6), scores, truth)
    said = scores.argmax(1)
    assert found["f1"] == pytest.approx(sk.f1_score(truth, said, average="macro"))
    assert found["precision"] == pytest.approx(sk.precision_score(truth, said, average="macro"))
    assert not math.isnan(found["auroc"])


@pytest.mark.parametrize("form", ["(B,)", "(B, 1)", "(B, 2)"])
def test_binary_figures_are_of_class_1(form: str) -> None:
    score, truth = draw(200), labels(2, 200)
    scores = {"(B,)": score, "(B, 1)": score[:, None], "(B, 2)": torch.stack([draw(200, seed=5), score], 1)}[form]
    margin = scores[:, 1] - scores[:, 0] if form == "(B, 2)" else score
    found = run(MetricSet(["accuracy", "precision", "recall", "f1", "auroc", "ece", "iou"], "binary"), scores, truth)
    said = (margin > 0).long()
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(truth, said))
    assert found["precision"] == pytest.approx(sk.precision_score(truth, said))
    assert found["recall"] == pytest.approx(sk.recall_score(truth, said))
    assert found["f1"] == pytest.approx(sk.f1_score(truth, said))
    assert found["auroc"] == pytest.approx(sk.roc_auc_score(truth, margin))
    assert found["iou"] == pytest.approx(sk.jaccard_score(truth, said))
    assert 0 <= found["ece"] <= 1


def test_multilabel_figures() -> None:
    scores, truth = draw(90, 4), labels(2, 90, 4)
    found = run(MetricSet(["accuracy", "precision", "recall", "f1", "auroc"], "multilabel", num_classes=4), scores, truth)
    said = (scores > 0).long()
    assert found["accuracy"] == pytest.approx(float((said == truth).float().mean()))
    assert found["f1"] == pytest.approx(sk.f1_score(truth, said, average="macro"))
    assert found["recall"] == pytest.approx(sk.recall_score(truth, said, average="macro"))
    assert found["auroc"] == pytest.approx(sk.roc_auc_score(truth, scores.sigmoid(), average="macro"))


def test_segmentation_counts_places_and_leaves_out_the_ignored() -> None:
    scores, truth = draw(6, 3, 8, 8), labels(3, 6, 8, 8)
    truth[:, 0] = -100
    found = run(MetricSet(["iou", "dice", "accuracy"], num_classes=3), scores, truth)
    keep = truth != -100
    said = scores.argmax(1)[keep]
    assert found["iou"] == pytest.approx(sk.jaccard_score(truth[keep], said, average="macro"))
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(truth[keep], said))


def test_mixed_targets_count_by_their_largest_share() -> None:
    scores, truth = draw(40, 5), labels(5, 40)
    shares = 0.7 * torch.nn.functional.one_hot(truth, 5) + 0.06
    assert run(MetricSet(["accuracy"], num_classes=5), scores, shares) == run(MetricSet(["accuracy"], num_classes=5), scores, truth)


@pytest.mark.parametrize("width", [(), (1,), (3,)])
def test_regression_figures(width: tuple[int, ...]) -> None:
    truth = 1e6 + draw(200, *width)
    said = truth + 0.3 * draw(200, *width, seed=3)
    found = run(MetricSet(["rmse", "mse", "mae", "r2"]), said, truth[:, 0] if width == (1,) else truth)
    true, guess = truth.view(200, -1).double(), said.view(200, -1).double()
    assert found["mse"] == pytest.approx(sk.mean_squared_error(true, guess))
    assert found["rmse"] == pytest.approx(sk.mean_squared_error(true, guess) ** 0.5)
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(true, guess))
    assert found["r2"] == pytest.approx(sk.r2_score(true, guess), abs=1e-6)


def test_r2_of_constant_targets_is_finite() -> None:
    assert run(MetricSet(["r2"]), torch.ones(9), torch.ones(9))["r2"] == 1
    assert run(MetricSet(["r2"]), torch.zeros(9), torch.ones(9))["r2"] == 0


def test_language_model_figures() -> None:
    scores, following = draw(6, 10, 12), labels(12, 6, 10)
    following[0, :3] = -100
    wanted = ["perplexity", "bits_per_token", "bits_per_char", "accuracy"]
    found = run(MetricSet(wanted, "language-model", tokens_per_char=0.25), scores, following)
    expected = float(tm.text.perplexity(scores, following, ignore_index=-100))
    assert found["perplexity"] == pytest.approx(expected, rel=1e-5)
    assert found["bits_per_token"] == pytest.approx(math.log2(expected), rel=1e-5)
    assert found["bits_per_char"] == pytest.approx(0.25 * math.log2(expected), rel=1e-5)
    keep = following != -100
    assert found["accuracy"] == pytest.approx(float((scores.argmax(2) == following)[keep].float().mean()))


def test_returns() -> None:
    found = run(MetricSet(None, "return"), torch.tensor([1.0, 2.0, 6.0, 3.0, 5.0, 1.0]), None)
    assert found == {"return_mean": 3.0, "return_std": pytest.approx(1.9148542)}


def test_a_metric_of_torchmetrics_can_be_added() -> None:
    from torchmetrics.classification import MulticlassMatthewsCorrCoef

    scores, truth = draw(60, 4), labels(4, 60)
    found = run(MetricSet(["accuracy"], num_classes=4, extra={"mcc": MulticlassMatthewsCorrCoef(4)}), scores, truth)
    assert found["mcc"] == pytest.approx(sk.matthews_corrcoef(truth, scores.argmax(1)), abs=1e-6)


def test_the_kind_is_told_from_names_and_classes() -> None:
    assert MetricSet(["accuracy"], num_classes=3).kind == "multiclass"
    assert MetricSet(["rmse"]).kind == "regression"
    assert MetricSet(["perplexity"]).kind == "language-model"
    assert MetricSet(["return_mean"]).kind == "return"
    assert MetricSet(["rmsee"]).kind if False else True


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MetricSet(["acuracy"], num_classes=3), "'acuracy' is not a metric of multiclass; did you mean accuracy"),
        (lambda: MetricSet(["rmse", "accurate"]), "'accurate' is not a metric of regression"),
        (lambda: MetricSet(["accuracy"], "multiclass"), "num_classes"),
        (lambda: MetricSet(["accuracy"], num_classes=3).update(draw(4, 2), labels(2, 4)), r"\(4, 2\) do not fit"),
        (lambda: MetricSet(["accuracy"], num_classes=3).update(draw(4, 3)), "need targets"),
        (lambda: MetricSet(["rmse"]).update(draw(4, 2), draw(4)), r"\(4, 2\) do not fit"),
        (lambda: MetricSet(["accuracy"], "binary").update(draw(4, 3), labels(2, 4)), "yes or no"),
        (lambda: direction("acuracy"), "did you mean accuracy"),
    ],
)
def test_mistakes_are_named(make, words: str) -> None:  # noqa: ANN001
    with pytest.raises(ConfigError, match=words):
        make()


def test_directions() -> None:
    assert direction("accuracy") == "max" and direction("rmse") == "min" and direction("top5") == "max"
    assert direction("loss") == direction("generator_loss") == direction("frechet") == "min"
    assert all(direction(name) in ("min", "max") for name in names())
    assert all(card.summary for card in METRICS.values())


def test_torchmetrics_waits_until_auroc_is_computed() -> None:
    code = """
import sys, torch
from netwright.metrics import MetricSet
m = MetricSet(["accuracy", "f1", "auroc", "ece"], num_classes=3)
m.update(torch.randn(9, 3), torch.arange(9) % 3)
assert "torchmetrics" not in sys.modules
assert 0 <= m.compute()["auroc"] <= 1
"""
    subprocess.run([sys.executable, "-c", code], check=True)
