import json

import pytest
import torch
from PIL import Image
from task_helpers import PICTURES, ROWS, Source, make_batch, measured
from torch import nn

import netwright
from netwright.blocks.heads import AuxiliaryLogits
from netwright.core.errors import ConfigError
from netwright.core.schemas import build
from netwright.data.normalising import ImagePreprocessor
from netwright.losses import build_loss
from netwright.tasks import TASKS, Phase
from netwright.tasks.classification import Classification
from netwright.tasks.pictures import pixels_of, write_grid

IDENTITY = nn.Identity()


def scores(*rows):
    return torch.tensor(rows, dtype=torch.float32)


def test_the_loss_of_a_step_is_that_of_the_formula():
    task = Classification(PICTURES)
    logits = scores([2, 0, 0], [0, 1, 0])
    out = task.training_step(IDENTITY, make_batch(logits, torch.tensor([0, 2])), Phase())
    wanted = -(logits.log_softmax(1)[0, 0] + logits.log_softmax(1)[1, 2]) / 2
    assert out.loss.item() == pytest.approx(wanted.item()) and out.predictions is logits and out.logs == {}


@pytest.mark.parametrize("targets", [torch.tensor([1]), scores([0.75, 0.25, 0])], ids=["codes", "shares"])
def test_heads_on_middle_layers_count_by_their_weight(targets):
    task = Classification(PICTURES)
    main, first, second = scores([2, 0, 0]), scores([0, 1, 0]), scores([3, 1, -2])

    class Net(nn.Module):
        def forward(self, x):
            return AuxiliaryLogits(main, (first, second), 0.3)

    out = task.training_step(Net(), make_batch(main, targets), Phase())
    of_main, *aside = (nn.functional.cross_entropy(logits, targets).item() for logits in (main, first, second))
    assert out.loss.item() == pytest.approx(of_main + 0.3 * sum(aside)) and out.predictions is main


def test_mixed_targets_are_shares_of_classes():
    task = Classification(PICTURES)
    logits, shares = scores([2, 0, 0]), scores([0.75, 0.25, 0])
    out = task.training_step(IDENTITY, make_batch(logits, shares), Phase())
    assert out.loss.item() == pytest.approx(-(shares * logits.log_softmax(1)).sum().item())


def test_a_loss_of_the_user_s_is_used():
    task = Classification(PICTURES, loss=nn.MultiMarginLoss())
    logits, targets = scores([2, 0, 0], [0, 1, 0]), torch.tensor([0, 2])
    out = task.training_step(IDENTITY, make_batch(logits, targets), Phase())
    assert out.loss.item() == pytest.approx(nn.MultiMarginLoss()(logits, targets).item())


def test_figures_over_batches_are_those_of_all_examples():
    logits = torch.randn(30, 3)
    targets = torch.randint(0, 3, (30,))
    task = Classification(PICTURES)
    source = Source(make_batch(logits[:20], targets[:20]), make_batch(logits[20:], targets[20:], 20))
    figures = measured(task, IDENTITY, source)
    assert figures["accuracy"] == pytest.approx((logits.argmax(1) == targets).float().mean().item())
    assert figures["loss"] == pytest.approx(nn.functional.cross_entropy(logits, targets).item(), rel=1e-5)
    assert {"f1", "auroc", "ece"} <= set(figures)


def test_metrics_are_chosen_and_checked_at_once():
    assert set(
        measured(
            Classification(ROWS, metrics=["f1"]),
            IDENTITY,
            Source(make_batch(scores([2, 0], [0, 1]), torch.tensor([0, 1]))),
        )
    ) == {"loss", "accuracy", "f1"}
    with pytest.raises(ConfigError, match="acuracy"):
        Classification(ROWS, metrics=["acuracy"])


@pytest.mark.parametrize("name", ["image-classification", "tabular-classification"])
def test_it_is_built_from_its_catalog_entry(name):
    assert isinstance(build(TASKS.load(name), {}, "task", {"schema": ROWS, "seed": 3}), Classification)


def test_exhibits_of_pictures_show_the_surest_mistakes(tmp_path):
    pictures = torch.rand(6, 1, 8, 8)
    logits = scores([9, 0, 0], [0, 9, 0], [5, 0, 0], [0, 0, 2], [0, 9, 0], [0, 0, 1])
    targets = torch.tensor([0, 1, 1, 0, 1, 2])

    class Net(nn.Module):
        def forward(self, x):
            return logits[[int(((pictures - row) ** 2).sum((1, 2, 3)).argmin()) for row in (x * 0.25 + 0.5)]]

    preprocess = ImagePreprocessor(PICTURES, [0.5], [0.25])
    normal = preprocess.normalise(pictures)
    source = Source(make_batch(normal[:4], targets[:4]), make_batch(normal[4:], targets[4:], 4))
    net = Net().train()
    shown = Classification(PICTURES, preprocess).exhibits(net, source, tmp_path)
    assert net.training
    confusion, curve, album = shown
    assert confusion["matrix"] == [[1, 0, 1], [1, 2, 0], [0, 0, 1]] and confusion["labels"] == ["cat", "dog", "owl"]
    assert curve["kind"] == "curve" and all(0 <= value <= 1 for value in curve["x"] + curve["y"])
    assert [item["caption"] for item in album["items"]] == [
        "true dog, said cat (0.99)", "true cat, said owl (0.79)",
    ]  # fmt: skip
    with Image.open(tmp_path / album["items"][0]["file"]) as image:
        assert image.size == (80, 80) and image.mode == "L"
        assert image.getpixel((5, 5)) == round(pictures[2, 0, 0, 0].item() * 255)
    json.dumps(shown)


def test_exhibits_of_rows_are_a_table(tmp_path):
    source = Source(make_batch(scores([3, 0], [0, 3], [1, 0]), torch.tensor([0, 0, 1])))
    table = Classification(ROWS).exhibits(IDENTITY, source, tmp_path)[-1]
    assert table["kind"] == "table" and [row[:3] for row in table["rows"]] == [[1, "no", "yes"], [2, "yes", "no"]]


def test_no_mistakes_no_album(tmp_path):
    source = Source(make_batch(scores([3, 0], [0, 3]), torch.tensor([0, 1])))
    shown = Classification(ROWS).exhibits(IDENTITY, source, tmp_path)
    assert [item["kind"] for item in shown] == ["confusion", "curve"]


def test_answers_are_in_words():
    answer = Classification(PICTURES).answers(scores([0, 0, 100.0]))[0]
    assert answer["label"] == "owl" and answer["probability"] == pytest.approx(1)
    assert list(answer["probabilities"]) == ["cat", "dog", "owl"]


def test_pixels_come_back_from_normalised_inputs():
    schema = PICTURES
    pictures = torch.rand(3, 1, 8, 8)
    preprocess = ImagePreprocessor(schema, [0.3], [0.7])
    assert torch.allclose(pixels_of(preprocess.normalise(pictures), preprocess), pictures, atol=1e-6)
    own_range = pixels_of(preprocess.normalise(pictures * 255), preprocess)
    assert own_range.amin() == 0 and own_range.amax() == 1


def test_a_grid_has_its_pictures_in_rows(tmp_path):
    write_grid(torch.arange(5).float()[:, None, None, None].expand(5, 1, 8, 8) / 5, tmp_path / "grid.png", 2)
    with Image.open(tmp_path / "grid.png") as image:
        factor = image.size[0] // 18
        assert image.size == (18 * factor, 27 * factor)
        assert image.getpixel((9 * factor + 1, 1)) == 51 and image.getpixel((1, 9 * factor + 1)) == 102


@pytest.mark.parametrize("loss", ["triplet", "contrastive"])
def test_a_loss_of_embeddings_is_refused(loss):
    with pytest.raises(ConfigError, match="use task: metric-learning"):
        Classification(PICTURES, loss=build_loss(loss))


def test_mixed_classes_and_a_loss_of_whole_ones_are_refused_before_the_first_step(tmp_path):
    """Focal loss would have taken the shares for answers of yes and no, and the network would be read otherwise."""
    config = {"data": "digits", "model": {"name": "mlp", "hidden": [8]}, "train": {"epochs": 1}}
    for changed in ({"loss": "focal", "augment": ["mixup"]}, {"loss": "focal + cross-entropy", "augment": ["cutmix"]}):
        with pytest.raises(ConfigError, match="mixup and cutmix blend classes, which loss"):
            netwright.train({**config, **changed}, out=tmp_path / "run", quiet=True)
