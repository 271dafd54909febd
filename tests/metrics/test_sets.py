"""Figures held to torchmetrics and scikit-learn, over several batches; what is refused; what is not imported."""

import math
import subprocess
import sys

import pytest
import sklearn.metrics as sk
import torch
from torch import Tensor

from netwright.metrics import torchvision_guard  # noqa: F401 - before torchmetrics

# isort: split
import torchmetrics.functional as tm

from netwright.core.catalogs import load_target
from netwright.core.errors import ConfigError
from netwright.metrics import METRICS, MetricSet, Returns, Surprise, build_metrics, confusion_matrix, direction


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labels(count: int, *shape: int, seed: int = 1) -> Tensor:
    return torch.randint(count, shape, generator=torch.Generator().manual_seed(seed))


def run(measure: MetricSet, predictions: Tensor, targets: Tensor, parts: int = 3) -> dict[str, float]:
    for part in range(parts):
        measure.update(predictions[part::parts], targets[part::parts])
    return measure.compute()


def test_multiclass_figures_are_those_of_torchmetrics_and_sklearn():
    scores, truth = draw(300, 7), labels(7, 300)
    scores[torch.arange(300), truth] += 1.0
    wanted = ["top5", "accuracy", "precision", "recall", "f1", "auroc", "ece"]
    measure = MetricSet(wanted, "multiclass", num_classes=7)
    found = run(measure, scores, truth)
    share, said, options = scores.softmax(1), scores.argmax(1), {"task": "multiclass", "num_classes": 7}
    assert list(found) == wanted
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(truth, said))
    assert found["precision"] == pytest.approx(sk.precision_score(truth, said, average="macro"))
    assert found["recall"] == pytest.approx(sk.recall_score(truth, said, average="macro"))
    assert found["f1"] == pytest.approx(sk.f1_score(truth, said, average="macro"))
    assert found["auroc"] == pytest.approx(sk.roc_auc_score(truth, share.double().numpy() / share.double().sum(1, True).numpy(), multi_class="ovr"), abs=1e-6)  # fmt: skip  # noqa: E501
    assert found["ece"] == pytest.approx(float(tm.calibration_error(share, truth, **options)), abs=1e-6)
    assert found["top5"] == pytest.approx(sk.top_k_accuracy_score(truth, scores, k=5))
    assert torch.equal(confusion_matrix(truth, said, 7), tm.confusion_matrix(share, truth, **options))
    assert run(measure, scores, truth) == pytest.approx(found)  # the same examples twice: no average moves
    measure.reset()
    assert math.isnan(measure.compute()["accuracy"])
    assert run(measure, scores[:90], truth[:90])["accuracy"] == pytest.approx(sk.accuracy_score(truth[:90], said[:90]))


def test_scores_between_0_and_1_are_logits_all_the_same():
    scores, truth = draw(200, 4).sigmoid(), labels(4, 200)
    found = run(MetricSet(["ece", "auroc"], "multiclass"), scores, truth)
    share = scores.softmax(1)
    assert found["ece"] == pytest.approx(
        float(tm.calibration_error(share, truth, "multiclass", num_classes=4)), abs=1e-6
    )
    assert found["auroc"] == pytest.approx(float(tm.auroc(share, truth, "multiclass", num_classes=4)), abs=1e-6)


def test_classes_that_never_occur_do_not_pull_the_mean_down():
    scores, truth = draw(50, 6), labels(3, 50)
    scores[:, 3:] -= 100
    found = run(MetricSet(["f1", "precision", "auroc"], "multiclass"), scores, truth)
    said = scores.argmax(1)
    assert found["f1"] == pytest.approx(sk.f1_score(truth, said, average="macro"))
    assert found["precision"] == pytest.approx(sk.precision_score(truth, said, average="macro"))
    areas = [sk.roc_auc_score(truth == k, scores.softmax(1)[:, k]) for k in range(3)]
    assert found["auroc"] == pytest.approx(sum(areas) / 3)


def test_auroc_of_a_single_class_is_nan_and_no_warning_is_given(recwarn):
    found = run(MetricSet(["auroc", "accuracy"], "multiclass"), draw(9, 3), torch.zeros(9, dtype=torch.int64))
    assert math.isnan(found["auroc"]) and not math.isnan(found["accuracy"])
    assert math.isnan(run(MetricSet(["auroc"], "binary"), draw(9), torch.ones(9))["auroc"])
    assert not [warning for warning in recwarn if "torchmetrics" in str(warning.filename)]


def test_shares_of_classes_count_by_the_greatest_and_bfloat16_is_taken():
    scores, truth = draw(60, 5), labels(5, 60)
    shares = 0.7 * torch.nn.functional.one_hot(truth, 5) + 0.06
    names = ["accuracy", "f1", "auroc", "ece"]
    assert run(build_metrics(names, "multiclass"), scores, shares) == run(
        build_metrics(names, "multiclass"), scores, truth
    )
    rough = scores.bfloat16()
    found = run(build_metrics(names, "multiclass"), rough, truth)
    assert found == run(build_metrics(names, "multiclass"), rough.float(), truth)


@pytest.mark.parametrize("form", ["(B,)", "(B, 1)", "(B, 2)"])
def test_binary_figures_are_of_class_1(form: str):
    score, truth = draw(200), labels(2, 200)
    scores = {"(B,)": score, "(B, 1)": score[:, None], "(B, 2)": torch.stack([draw(200, seed=5), score], 1)}[form]
    margin = scores[:, 1] - scores[:, 0] if form == "(B, 2)" else score
    given = truth.float()[:, None] if form == "(B, 1)" else truth
    found = run(MetricSet(["accuracy", "precision", "recall", "f1", "auroc", "ece"], "binary"), scores, given)
    said = (margin > 0).long()
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(truth, said))
    assert found["precision"] == pytest.approx(sk.precision_score(truth, said))
    assert found["recall"] == pytest.approx(sk.recall_score(truth, said))
    assert found["f1"] == pytest.approx(sk.f1_score(truth, said))
    assert found["auroc"] == pytest.approx(sk.roc_auc_score(truth, margin))
    assert found["ece"] == pytest.approx(float(tm.calibration_error(margin.sigmoid(), truth, "binary")), abs=1e-6)


def test_multilabel_figures():
    scores, truth = draw(90, 4), labels(2, 90, 4)
    found = run(MetricSet(["accuracy", "precision", "recall", "f1", "auroc"], "multilabel"), scores, truth.float())
    said = (scores > 0).long()
    assert found["accuracy"] == pytest.approx(float((said == truth).float().mean()))
    assert found["f1"] == pytest.approx(sk.f1_score(truth, said, average="macro"))
    assert found["recall"] == pytest.approx(sk.recall_score(truth, said, average="macro"))
    assert found["auroc"] == pytest.approx(sk.roc_auc_score(truth, scores.sigmoid(), average="macro"))
    truth[:, 3] = 0
    areas = [sk.roc_auc_score(truth[:, k], scores[:, k]) for k in range(3)]
    assert run(MetricSet(["auroc"], "multilabel"), scores, truth)["auroc"] == pytest.approx(sum(areas) / 3)


def test_segmentation_counts_places_and_leaves_out_the_ignored():
    scores, truth = draw(6, 3, 8, 8), labels(3, 6, 8, 8)
    truth[:, 0] = -100
    found = run(MetricSet(["iou", "dice", "accuracy"], "segmentation"), scores, truth)
    keep = truth != -100
    said = scores.argmax(1)[keep]
    assert found["iou"] == pytest.approx(sk.jaccard_score(truth[keep], said, average="macro"))
    assert found["dice"] == pytest.approx(sk.f1_score(truth[keep], said, average="macro"))
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(truth[keep], said))


def test_one_mask_is_measured_by_itself():
    scores, truth = draw(6, 1, 8, 8), labels(2, 6, 8, 8)
    said = (scores[:, 0] > 0).long().flatten()
    for given in (truth, truth[:, None].float()):
        found = run(MetricSet(["iou", "dice"], "segmentation"), scores, given)
        assert found["iou"] == pytest.approx(sk.jaccard_score(truth.flatten(), said))
        assert found["dice"] == pytest.approx(sk.f1_score(truth.flatten(), said))


@pytest.mark.parametrize("width", [(), (1,), (3,)])
def test_regression_figures_far_from_zero(width: tuple[int, ...]):
    truth = 1e4 + draw(200, *width)
    said = truth + 0.3 * draw(200, *width, seed=3)
    found = run(MetricSet(["rmse", "mse", "mae", "r2"], "regression"), said, truth[:, 0] if width == (1,) else truth)
    true, guess = truth.view(200, -1).double(), said.view(200, -1).double()
    assert found["mse"] == pytest.approx(sk.mean_squared_error(true, guess))
    assert found["rmse"] == pytest.approx(sk.mean_squared_error(true, guess) ** 0.5)
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(true, guess))
    assert found["r2"] == pytest.approx(sk.r2_score(true, guess), abs=1e-6)


def test_r2_of_constant_targets_and_of_one_example():
    assert run(MetricSet(["r2"], "regression"), torch.ones(9), torch.ones(9))["r2"] == 1
    assert run(MetricSet(["r2"], "regression"), torch.zeros(9), torch.ones(9))["r2"] == 0
    assert math.isnan(run(MetricSet(["r2"], "regression"), torch.zeros(1), torch.ones(1))["r2"])


def test_language_figures_and_returns():
    scores, following = draw(6, 10, 12), labels(12, 6, 10)
    nats = torch.nn.functional.cross_entropy(scores.mT, following, reduction="none").mean(1)
    measure = Surprise("bits_per_char")
    measure.update(nats[:4], following[:4])
    measure.update(nats[4:], following[4:])
    expected = float(tm.text.perplexity(scores, following))
    assert measure.compute() == pytest.approx({"perplexity": expected, "bits_per_char": math.log2(expected)}, rel=1e-5)
    returns = Returns()
    returns.update(torch.full((6,), 4), torch.tensor([1.0, 2.0, 6.0, 3.0, 5.0, 1.0]))
    assert returns.compute() == pytest.approx({"return_mean": 3, "return_std": 1.9148542, "episode_length": 4})


def test_no_batch_reads_a_number_back(monkeypatch):
    measure = build_metrics(["accuracy", "f1", "precision", "auroc", "ece", "top5"], "multiclass", num_classes=8)
    measure.update(draw(16, 8), labels(8, 16))
    for name in ("item", "tolist", "cpu", "__float__", "__int__"):
        monkeypatch.setattr(Tensor, name, lambda self, name=name: pytest.fail(f"Tensor.{name} in update"))
    measure.update(draw(16, 8, seed=2), labels(8, 16, seed=3))


@pytest.mark.parametrize(
    ("make", "path", "words"),
    [
        (lambda: build_metrics(["acuracy"], "multiclass"), "metrics", "'acuracy'; did you mean accuracy"),
        (lambda: build_metrics(["accurate!!"], "regression"), "metrics", "known: mae, mse, r2, rmse"),
        (lambda: build_metrics(["rmse"], "multiclass"), "metrics", "'rmse' does not fit multiclass .* accuracy, auroc"),
        (lambda: build_metrics(["perplexity"], "regression"), "metrics", "does not fit"),
        (lambda: MetricSet(["f1"], "multiclass", 3).update(draw(4, 2), labels(2, 4)), "model", "gives 2 .* not 3"),
    ],
)
def test_mistakes_are_named(make, path, words):
    with pytest.raises(ConfigError, match=words) as caught:
        make()
    assert caught.value.problems[0].path == path


def test_every_kind_has_usual_metrics_and_every_metric_can_be_made():
    for kind in ("multiclass", "binary", "multilabel", "regression", "segmentation"):
        assert build_metrics(None, kind).names
    for name, card in METRICS.items():
        assert callable(load_target(card.target)), name


def test_directions():
    assert direction("accuracy") == direction("top5") == direction("return_mean") == direction("val_score") == "max"
    assert direction("rmse") == direction("ece") == direction("frechet") == direction("generator_loss") == "min"


def test_torchmetrics_waits_for_the_first_batch():
    code = """
import sys, torch
from netwright.metrics import MetricSet
m = MetricSet(["accuracy", "f1", "auroc", "ece"], "multiclass", 3)
assert "torchmetrics" not in sys.modules
m.update(torch.randn(9, 3), torch.arange(9) % 3)
assert 0 <= m.compute()["auroc"] <= 1
"""
    subprocess.run([sys.executable, "-c", code], check=True)
