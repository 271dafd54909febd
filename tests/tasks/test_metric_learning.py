"""Embeddings: what is alike, what is measured, what is shown, and runs from a config to the model folder."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image
from task_helpers import PICTURES, ROWS, Source, leave_at, make_batch, measured, session
from torch import nn
from torch.nn import functional as F

import netwright
from netwright.blocks.heads import AuxiliaryLogits
from netwright.core.errors import ConfigError, Preempted
from netwright.core.schemas import build
from netwright.data.augment import build_augment
from netwright.data.batching import Balanced, Resident
from netwright.data.dataset import TensorDataset
from netwright.data.normalising import ImagePreprocessor
from netwright.experiment.model_folder import weights_hash
from netwright.losses import build_loss
from netwright.metrics import Neighbours
from netwright.tasks import TASKS, Phase
from netwright.tasks.metric_learning import MetricLearning
from netwright.tasks.retrieval import maps
from netwright.training import loop

IDENTITY = nn.Identity()


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def clouds(per_class=12, width=5, spread=0.3):
    """Three classes that lie apart, and their codes."""
    codes = torch.arange(3).repeat_interleave(per_class)
    return F.one_hot(codes, width).float() + spread * draw(len(codes), width), codes


@pytest.mark.parametrize("loss", ["triplet", {"name": "triplet", "mining": "semi-hard"}, "contrastive"])
def test_the_loss_of_a_step_sees_unit_vectors_and_classes(loss):
    points, codes = clouds()
    made = build_loss(loss)
    out = MetricLearning(ROWS, loss=made).training_step(IDENTITY, make_batch(7 * points, codes), Phase())
    assert out.loss.item() == pytest.approx(made(F.normalize(points, dim=1), codes).item())
    assert torch.allclose(out.predictions.norm(dim=1), torch.ones(len(points)))


def test_two_views_of_one_picture_are_alike_whatever_its_class():
    points = draw(12, 5)
    batch = make_batch(points, torch.zeros(6, dtype=torch.int64))
    made = build_loss({"name": "contrastive", "temperature": 0.5})
    out = MetricLearning(ROWS, loss=made, alike="views").training_step(IDENTITY, batch, Phase())
    unit = F.normalize(points, dim=1)
    scores = (unit @ unit.T / 0.5).fill_diagonal_(-torch.inf)
    partner = torch.arange(12).roll(6)  # NT-Xent, as SimCLR writes it down
    assert out.loss.item() == pytest.approx(F.cross_entropy(scores, partner).item(), rel=1e-5)


def test_recall_is_that_of_a_search_by_hand():
    points, codes = clouds(spread=0.9)
    points, codes = torch.cat([points, draw(1, 5, seed=4)]), torch.cat([codes, torch.tensor([9])])
    task = MetricLearning(ROWS, metrics=["recall_at_5", "mean_average_precision"])
    source = Source(make_batch(points[:20], codes[:20]), make_batch(points[20:], codes[20:], 20))
    found = measured(task, IDENTITY, source)
    unit = F.normalize(points, dim=1)
    hits = {1: 0, 5: 0}
    precision = 0.0
    for query in range(36):  # the last one is alone in its class: there is nothing that it could find
        others = sorted((row for row in range(37) if row != query), key=lambda row: -float(unit[query] @ unit[row]))
        right = [bool(codes[row] == codes[query]) for row in others]
        hits = {k: count + any(right[:k]) for k, count in hits.items()}
        ranks = [rank for rank, good in enumerate(right, start=1) if good]
        precision += sum(place / rank for place, rank in enumerate(ranks, start=1)) / len(ranks)
    assert found["recall_at_1"] == pytest.approx(hits[1] / 36) and 0.3 < hits[1] / 36 < 1
    assert found["recall_at_5"] == pytest.approx(hits[5] / 36)
    assert found["mean_average_precision"] == pytest.approx(precision / 36, rel=1e-6)


def test_nothing_to_find_is_no_figure():
    lonely = Neighbours(["recall_at_1"])
    assert lonely.compute()["recall_at_1"] != lonely.compute()["recall_at_1"]
    lonely.update(draw(3, 4), torch.arange(3))
    assert lonely.compute()["recall_at_1"] != lonely.compute()["recall_at_1"]


def test_metrics_are_checked_at_once():
    assert MetricLearning(ROWS, metrics=["recall_at_10"]).measure().names == ("recall_at_1", "recall_at_10")
    with pytest.raises(ConfigError, match="did you mean recall_at_1"):
        MetricLearning(ROWS, metrics=["recall_at1"])
    with pytest.raises(ConfigError, match="accuracy"):
        MetricLearning(ROWS, metrics=["accuracy"])


def test_it_is_built_from_its_catalog_entry():
    made = build(TASKS.load("metric-learning"), {"embedding_size": 3}, "task", {"schema": ROWS, "seed": 3})
    assert isinstance(made, MetricLearning)
    assert MetricLearning.outputs({}) == 64 and MetricLearning.outputs({"embedding_size": 3}) == 3
    assert MetricLearning.views({}) == 1 and MetricLearning.views({"alike": "views"}) == 2
    with pytest.raises(ConfigError, match="alike"):
        build(TASKS.load("metric-learning"), {"alike": "view"}, "task", {"schema": ROWS})


def test_what_cannot_be_embedded_or_is_mixed_is_refused():
    with pytest.raises(ConfigError, match=r"\(4, 4\)"):
        MetricLearning(ROWS).embed(IDENTITY, draw(2, 4, 4))
    with pytest.raises(ConfigError, match="mixup"):
        MetricLearning(ROWS).training_step(IDENTITY, make_batch(draw(4, 3), torch.rand(4, 2)), Phase())


def test_heads_aside_do_not_embed():
    points, codes = clouds()
    net = lambda x: AuxiliaryLogits(x, (x[:, :2],), 0.3)  # noqa: E731
    out = MetricLearning(ROWS).training_step(net, make_batch(points, codes), Phase())
    assert out.predictions.shape == points.shape


def test_answers_are_unit_vectors():
    (answer,) = MetricLearning(ROWS).answers(torch.tensor([[3.0, 4.0]]))
    assert answer["embedding"] == pytest.approx([0.6, 0.8])


def test_a_map_keeps_what_is_apart_apart_and_stays_the_same():
    points, codes = clouds(40, spread=0.1)
    names = [f"class {code}" for code in codes.tolist()]
    first, again = maps(F.normalize(points, dim=1), names, 3), maps(F.normalize(points, dim=1), names, 3)
    assert first == again
    assert [shown["kind"] for shown in first] == ["scatter", "scatter"]
    for shown in first:
        flat = torch.tensor([shown["x"], shown["y"]]).T
        assert shown["groups"] == names
        near = torch.cdist(flat, flat).fill_diagonal_(torch.inf).argmin(1)
        assert (codes[near] == codes).float().mean() > 0.95
    assert first[0]["x_label"] == "component 1 (49%)" and not first[1]["x_label"]


def test_a_map_has_at_most_a_thousand_points_of_any_width(monkeypatch):
    monkeypatch.setattr("netwright.tasks.retrieval._neighbourly", lambda points, seed: None)
    shown = maps(F.normalize(draw(1500, 1), dim=1)[:, :1], ["a"] * 1500, 0)[0]
    assert len(shown["x"]) == len(shown["groups"]) == 1000 and set(shown["y"]) == {0.0}


def test_exhibits_of_pictures_show_the_worst_queries(tmp_path):
    pictures = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    points = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.95, 0.05], [0.0, 1.0], [0.1, 1.0], [0.0, 1.0]])
    codes = torch.tensor([0, 0, 1, 1, 1, 2])

    class Net(nn.Module):
        def forward(self, x):
            return points[[int(((pictures - row) ** 2).sum((1, 2, 3)).argmin()) for row in (x * 0.25 + 0.5)]]

    preprocess = ImagePreprocessor(PICTURES, [0.5], [0.25])
    normal = preprocess.normalise(pictures)
    source = Source(make_batch(normal[:4], codes[:4]), make_batch(normal[4:], codes[4:], 4))
    net = Net().train()
    *_, album = MetricLearning(PICTURES, preprocess).exhibits(net, source, tmp_path)
    assert net.training
    assert album["items"][0]["caption"] == "dog: its nearest are cat, cat, dog, owl, dog"
    with Image.open(tmp_path / album["items"][0]["file"]) as image:
        assert image.mode == "L" and image.size[0] > 6 * image.size[1] > 0
        assert abs(image.getpixel((4, 4)) - round(pictures[2, 0, 0, 0].item() * 255)) <= 1
    json.dumps(album)


def test_exhibits_of_rows_are_a_table(tmp_path):
    points = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.95, 0.05], [0.0, 1.0], [0.1, 1.0]])
    codes = torch.tensor([0, 0, 1, 1, 1])
    shown = MetricLearning(ROWS).exhibits(IDENTITY, Source(make_batch(points, codes)), tmp_path)
    assert shown[-1]["kind"] == "table" and shown[-1]["rows"][0][:2] == [2, "yes"]
    assert MetricLearning(ROWS).exhibits(IDENTITY, Source(), tmp_path) == []


def pictures_set(count=50):
    chance = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=chance)
    return TensorDataset(pixels, torch.arange(count) % 3, PICTURES, "pictures")


def test_two_views_are_a_pure_function_of_seed_epoch_and_index():
    preprocess = ImagePreprocessor(PICTURES, [0.5], [0.25])
    plain = build_augment(["flip", {"crop": {"padding": 2}}, "noise"], input_shape=(1, 8, 8))
    options = {"seed": 5, "augment": replace(plain, views=2)}
    whole = next(iter(Resident(pictures_set(), preprocess, batch_size=50, **options).epoch(3)))
    once = next(iter(Resident(pictures_set(), preprocess, batch_size=50, **options | {"augment": plain}).epoch(3)))
    assert torch.equal(whole.inputs[:50], once.inputs), "the first view is the one of every other task"
    views = dict(zip(whole.index.tolist(), zip(*whole.inputs.split(50), strict=True), strict=True))
    assert not any(torch.equal(*pair) for pair in views.values())
    for batch in Resident(pictures_set(), preprocess, batch_size=8, **options).epoch(3, 2):
        for row, first, second in zip(batch.index.tolist(), *batch.inputs.chunk(2), strict=True):
            assert torch.equal(first, views[row][0]) and torch.equal(second, views[row][1])
    other = next(iter(Resident(pictures_set(), preprocess, batch_size=50, **options).epoch(4)))
    assert not torch.equal(whole.inputs[whole.index.argsort()], other.inputs[:50][other.index.argsort()])


class TestBalanced:
    labels = torch.tensor([0] * 50 + [1] * 20 + [2] * 7 + [3] * 3)

    def order(self, **changed):
        return Balanced(80, **{"batch_size": 12, "seed": 1, "labels": self.labels, "per_class": 4} | changed)

    def test_every_batch_holds_equally_many_of_each_of_its_classes(self):
        seen = set()
        for epoch in range(4):
            batches = self.order().batches(epoch)
            assert len(batches) == self.order().steps == 6
            for batch in batches:
                counts = self.labels[batch].bincount(minlength=4)
                assert sorted(counts[counts > 0].tolist()) == [4, 4, 4]
                seen |= set(batch.tolist())
                big = batch[self.labels[batch] < 3]
                assert len(big.unique()) == len(big), "only a class with fewer examples than that repeats some"
        assert len(seen) > 70

    def test_it_is_a_pure_function_of_seed_and_epoch_and_starts_anywhere(self):
        assert torch.equal(self.order().indices(2), self.order().indices(2))
        assert not torch.equal(self.order().indices(2), self.order().indices(3))
        assert not torch.equal(self.order().indices(2), self.order(seed=2).indices(2))
        for late, early in zip(self.order().batches(2, 4), self.order().batches(2)[4:], strict=True):
            assert torch.equal(late, early)

    def test_examples_of_a_class_come_in_turn(self):
        drawn = torch.cat(self.order().batches(0))
        first = drawn[self.labels[drawn] == 0]
        assert len(first) <= 50 and len(first.unique()) == len(first)

    @pytest.mark.parametrize(("changed", "message"), [
        ({"per_class": 5}, "use 3, 4, 6"),
        ({"per_class": 2}, "use 3, 4, 6"),
        ({"batch_size": 11}, "use another train.batch_size"),
        ({"labels": torch.rand(80)}, "needs classes"),
        ({"labels": None}, "needs classes"),
    ])  # fmt: skip
    def test_what_does_not_come_out_even_is_refused(self, changed, message):
        with pytest.raises(ConfigError, match=message):
            self.order(**changed)


DIGITS = {
    "data": "digits",
    "task": {"name": "metric-learning", "embedding_size": 8},
    "model": {"name": "mlp", "hidden": [64]},
    "optimizer": {"name": "adamw", "lr": 5e-3},
    "train": {"epochs": 8, "batch_size": 60, "per_class": 6, "threads": 1},
    "expect": {"recall_at_1": 0.93},
}


def test_a_run_learns_reports_and_is_loaded(tmp_path):
    run = netwright.train(DIGITS, out=tmp_path / "run", quiet=True)
    assert run.expectations_met and not [found for found in run.findings if found.severity == "error"]
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "t-SNE" in page and "recall@1" in page and 'class="dots group g1 m-disc"' in page
    predict = netwright.load(tmp_path / "run" / "model")
    (answer,) = predict(torch.zeros(predict.schema.input_shape, dtype=getattr(torch, predict.schema.input_dtype)))
    assert len(answer["embedding"]) == 8 and sum(x * x for x in answer["embedding"]) == pytest.approx(1, rel=1e-5)


def test_an_untrained_network_finds_less(tmp_path):
    """The figure of the run above can be missed: eight random directions of the same network do worse."""
    still = {**DIGITS, "optimizer": {"name": "sgd", "lr": 1e-9}, "train": {**DIGITS["train"], "epochs": 1}}
    run = netwright.train(still, out=tmp_path / "run", quiet=True)
    assert not run.expectations_met and run.metrics["test"]["recall_at_1"] < 0.8


def test_views_need_an_augmentation(tmp_path):
    views = {**DIGITS, "task": {"name": "metric-learning", "alike": "views"}, "train": {"epochs": 1, "batch_size": 60}}
    with pytest.raises(ConfigError, match="two views"):
        netwright.train(views, out=tmp_path / "run", quiet=True)
    with pytest.raises(ConfigError, match="needs classes"):
        netwright.train({"data": "diabetes", "train": {"per_class": 4}}, out=tmp_path / "other", quiet=True)


def test_a_resumed_run_of_balanced_batches_and_views_ends_with_the_same_bits(tmp_path):
    chosen = {
        **DIGITS, "data": "fashion-mnist-small", "task": {"name": "metric-learning", "alike": "views"},
        "loss": "contrastive", "augment": ["resized-crop"], "expect": {}, "model": {"name": "mlp", "hidden": [8]},
        "train": {"epochs": 1, "batch_size": 60, "per_class": 6, "threads": 1, "steps": 12},
    }  # fmt: skip
    one = session(chosen, tmp_path / "one")
    loop.train(one)
    two = session(chosen, tmp_path / "two")
    leave_at(two, 5)
    with pytest.raises(Preempted):
        loop.train(two)
    two = session(chosen, tmp_path / "two")
    assert two.restore() and two.progress.step == 5
    loop.train(two)
    assert weights_hash(one.model) == weights_hash(two.model)


def test_recall_is_measured_at_any_depth():
    found = measured(
        MetricLearning(ROWS, metrics=["recall_at_3", "recall_at_60"]), IDENTITY, Source(make_batch(*clouds(spread=0.9)))
    )
    assert 0.3 < found["recall_at_1"] < found["recall_at_3"] <= found["recall_at_60"] == 1
    for name in ("recall_at_0", "recall_at_x", "recall_at_1.5"):
        with pytest.raises(ConfigError, match="does not fit embeddings"):
            Neighbours([name])


@pytest.mark.parametrize("loss", ["cross-entropy", "focal", "dice"])
def test_a_loss_that_compares_no_examples_is_refused(loss):
    with pytest.raises(ConfigError, match="compares no examples with each other"):
        MetricLearning(ROWS, loss=build_loss(loss))


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"train": {"epochs": 1, "batch_size": 1}}, "train.batch_size=1 leaves nothing to compare"),
     ({"augment": ["mixup"]}, "blend classes, which loss triplet cannot take")],
    ids=str,
)  # fmt: skip
def test_what_leaves_nothing_to_compare_is_refused_before_the_first_step(changed, message, tmp_path):
    config = {"data": "digits", "task": "metric-learning", "model": {"name": "mlp", "hidden": [8]}}
    with pytest.raises(ConfigError, match=message):
        netwright.train({**config, **changed}, out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
