"""Segmentation: loss and figures count the pixels whose truth is known, and what is shown is what was predicted."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from task_helpers import Source, make_batch, measured
from torch import Tensor, nn
from torch.nn import functional as F

import netwright as nw
from netwright.cli.main import main
from netwright.core.errors import ConfigError
from netwright.core.schemas import build
from netwright.data.masks import IGNORED, read_mask
from netwright.data.normalising import ImagePreprocessor
from netwright.data.schema import Schema, Target
from netwright.experiment.evaluating import evaluate_run
from netwright.losses import build_loss
from netwright.metrics import MetricSet
from netwright.models import build as build_network
from netwright.tasks import TASKS, Phase
from netwright.tasks.segmentation import Segmentation

IDENTITY = nn.Identity()
SCHEMA = Schema("image", (3, 8, 6), "uint8", Target("mask", ("sky", "Cloud 9", "sun")))


def scores(count: int = 4, classes: int = 3, size: tuple[int, int] = (8, 6), seed: int = 0) -> Tensor:
    return torch.randn(count, classes, *size, generator=torch.Generator().manual_seed(seed))


def masks(count: int = 4, ignored: bool = True, size: tuple[int, int] = (8, 6)) -> Tensor:
    codes = torch.randint(0, 3, (count, *size), generator=torch.Generator().manual_seed(1))
    if ignored:
        codes[:, 0] = IGNORED
    return codes


@pytest.mark.parametrize(
    "loss", [None, "cross-entropy", "dice", "focal", "dice + cross-entropy", {"name": "sum", "weights": [1, 0.5]},
             nn.CrossEntropyLoss(), nn.CrossEntropyLoss(ignore_index=IGNORED)],
    ids=str,
)  # fmt: skip
def test_ignored_pixels_change_neither_loss_nor_gradient(loss: object) -> None:
    made = build_loss(loss, bound={"ignore_index": IGNORED}) if loss is not None else None
    task, logits = Segmentation(SCHEMA, loss=made), scores().requires_grad_()
    value = task.training_step(IDENTITY, make_batch(logits, masks()), Phase()).loss
    value.backward()
    assert float(logits.grad[:, :, 0].abs().max()) == 0 and float(logits.grad[:, :, 1:].abs().sum()) > 0
    cut = scores()[:, :, 1:]
    alone = task.training_step(IDENTITY, make_batch(cut, masks()[:, 1:]), Phase()).loss
    assert value.item() == pytest.approx(alone.item(), rel=1e-5)


def test_dice_and_focal_are_the_formulas_over_pixels() -> None:
    logits, codes = scores(), masks(ignored=False)
    share, truth = logits.softmax(1).flatten(2), F.one_hot(codes, 3).movedim(3, 1).flatten(2)
    dice = 1 - (2 * (share * truth).sum(2) + 1) / (share.sum(2) + truth.sum(2) + 1)
    right = (share * truth).sum(1)
    focal = -((1 - right) ** 2) * right.log()
    for name, wanted in (("dice", dice), ("focal", focal)):
        assert build_loss(name)(logits, codes).item() == pytest.approx(wanted.mean().item(), rel=1e-5)
    both = build_loss({"name": "sum", "parts": ["dice", {"name": "focal", "gamma": 2.0}], "weights": [0.25, 2]})
    assert both(logits, codes).item() == pytest.approx((0.25 * dice.mean() + 2 * focal.mean()).item(), rel=1e-5)


def test_class_weights_reach_the_parts_of_a_sum() -> None:
    bound = {"class_counts": [70, 20, 10], "num_classes": 3, "ignore_index": IGNORED}
    parts = ["dice", {"name": "cross-entropy", "class_weights": "balanced"}]
    made = build_loss({"name": "sum", "parts": parts}, bound=bound)
    assert torch.allclose(made.parts[1].weight, torch.tensor([100 / 210, 100 / 60, 100 / 30]))


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ("dice + crossentrop", "did you mean cross-entropy"),
        ({"name": "sum", "parts": ["dice"]}, "1 losses; a sum takes two or more"),
        ({"name": "sum", "weights": [1]}, "1 numbers for 2 parts"),
        ("dice + mse", r"loss\.parts\[1\]=mse is no loss of raw scores"),
    ],
)
def test_mistakes_in_a_sum_are_named(loss: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build_loss(loss)


def test_figures_are_torchmetrics_over_all_pixels() -> None:
    batches = [make_batch(scores(4, seed=n), masks()) for n in range(3)]
    names = ["dice", "iou", "accuracy", "recall"]
    figures = measured(Segmentation(SCHEMA, metrics=names), IDENTITY, Source(*batches))
    wanted = MetricSet(names, "segmentation", 3, IGNORED)
    for batch in batches:
        wanted.update(batch.inputs, batch.targets)
    for name, value in wanted.compute().items():
        assert figures[name] == pytest.approx(value, rel=1e-5)
    assert figures["dice"] == pytest.approx(np.mean([figures[f"dice_{word}"] for word in ("sky", "cloud_9", "sun")]))


def test_the_background_can_be_left_out_of_the_means() -> None:
    source = Source(make_batch(scores(), masks()))
    figures = measured(Segmentation(SCHEMA, background=False), IDENTITY, source)
    assert figures["dice"] == pytest.approx((figures["dice_cloud_9"] + figures["dice_sun"]) / 2)
    assert figures["iou"] == pytest.approx((figures["iou_cloud_9"] + figures["iou_sun"]) / 2)


def test_a_class_that_does_not_occur_is_no_mistake() -> None:
    perfect = F.one_hot(masks(ignored=False) % 2, 3).movedim(3, 1).float()
    figures = measured(Segmentation(SCHEMA), IDENTITY, Source(make_batch(perfect, masks(ignored=False) % 2)))
    assert figures["dice"] == figures["iou"] == 1 and math.isnan(figures["dice_sun"])


def test_metrics_are_checked_at_once() -> None:
    with pytest.raises(ConfigError, match="did you mean dice"):
        Segmentation(SCHEMA, metrics=["dize"])
    with pytest.raises(ConfigError, match="does not fit segmentation"):
        Segmentation(SCHEMA, metrics=["auroc"])


@pytest.mark.parametrize("name", ["image-segmentation", "segmentation", "Semantic_Segmentation"])
def test_it_is_built_from_its_catalog_entry(name: str) -> None:
    assert isinstance(build(TASKS.load(name), {"background": False}, "task", {"schema": SCHEMA}), Segmentation)


def test_one_output_for_two_classes() -> None:
    schema = Schema("image", (1, 8, 6), "uint8", Target("mask", ("no", "yes")))
    codes = masks(ignored=False) % 2
    task = Segmentation(schema, loss=build_loss("bce"))
    figures = measured(task, IDENTITY, Source(make_batch((codes[:, None] * 2.0 - 1) * 9, codes)))
    assert figures["dice"] == 1 and figures["loss"] < 1e-3
    share = task.answers(codes[:1, None] * 2.0 - 1)[0]["shares"]["yes"]
    assert share == pytest.approx(float(codes[0].float().mean()), abs=1e-5)


def test_scores_of_the_middle_are_held_against_the_middle() -> None:
    whole, codes = scores(), masks(ignored=False)
    task = Segmentation(SCHEMA)
    middle = whole[..., 2:6, 1:5]
    got = task.training_step(IDENTITY, make_batch(middle, codes[:, 1:7]), Phase()).loss
    assert got.item() == pytest.approx(F.cross_entropy(middle, codes[:, 2:6, 1:5]).item(), rel=1e-6)
    answer = task.answers(middle[:1])[0]["mask"]
    assert answer.shape == (8, 6) and (answer[0] == IGNORED).all() and answer[2, 1] == int(middle[0, :, 0, 0].argmax())
    for wrong in (scores(size=(9, 6)), scores(size=(7, 5))[..., :4], torch.zeros(4, 3)):
        with pytest.raises(ConfigError, match=r"the network gives .* for masks of 8x6 pixels"):
            task.training_step(IDENTITY, make_batch(wrong, codes), Phase())


def test_exhibits_show_the_worst_overlaps_and_every_class(tmp_path: Path) -> None:
    pictures, codes = torch.rand(12, 3, 8, 6), masks(12)
    preprocess = ImagePreprocessor(SCHEMA, [0.5] * 3, [0.25] * 3)

    class Net(nn.Module):
        """Right but for the pictures 3 and 7, of which it says class 0 everywhere."""

        def forward(self, x: Tensor) -> Tensor:
            rows = [int(((pictures - one) ** 2).sum((1, 2, 3)).argmin()) for one in (x * 0.25 + 0.5)]
            said = torch.stack([torch.zeros_like(codes[row]) if row in (3, 7) else codes[row] for row in rows])
            return F.one_hot(said.clamp(max=2), 3).movedim(3, 1).float()

    normal = preprocess.normalise(pictures)
    source = Source(make_batch(normal[:7], codes[:7]), make_batch(normal[7:], codes[7:], 7))
    net = Net().train()
    confusion, table, album = Segmentation(SCHEMA, preprocess).exhibits(net, source, tmp_path)
    assert net.training and sum(map(sum, confusion["matrix"])) == 12 * 7 * 6
    assert confusion["labels"] == ["sky", "Cloud 9", "sun"] == [row[0] for row in table["rows"]]
    assert table["columns"][1:3] == ["Dice", "IoU"] and table["rows"][0][1] < 1
    assert sorted(item["caption"].split(":")[0] for item in album["items"]) == ["example 3", "example 7"]
    with Image.open(tmp_path / album["items"][0]["file"]) as image:
        assert image.mode == "RGB" and image.size[0] >= 3 * 6 and image.size[0] / image.size[1] == pytest.approx(22 / 8)
    json.dumps([confusion, table, album])


def test_without_mistakes_there_is_no_album(tmp_path: Path) -> None:
    codes = masks(ignored=False)
    perfect = F.one_hot(codes, 3).movedim(3, 1).float()
    shown = Segmentation(SCHEMA).exhibits(IDENTITY, Source(make_batch(perfect, codes)), tmp_path)
    assert [item["kind"] for item in shown] == ["confusion", "table"]


def shapes(count: int = 24, side: int = 16) -> tuple[Tensor, Tensor]:
    """Light squares on noise, of which the mask holds the place."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.zeros(count, side, side, dtype=torch.int64)
    for row, (top, left) in enumerate(torch.randint(0, side - 6, (count, 2), generator=generator).tolist()):
        codes[row, top : top + 6, left : left + 6] = 1
    light = codes[:, None] * 120 + torch.randint(0, 100, (count, 1, side, side), generator=generator)
    return light.to(torch.uint8), codes


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    """The line that a command prints."""
    capsys.readouterr()
    assert main([str(word) for word in arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_from_folders_to_a_predicted_mask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for row, (picture, codes) in enumerate(zip(*shapes(), strict=True)):
        for folder, pixels in (("images", picture[0]), ("masks", codes)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels.numpy().astype(np.uint8)).save(tmp_path / folder / f"{row:02d}.png")
    config = {
        "data": {"path": str(tmp_path), "classes": ["ground", "square"], "split": {"validation": 0.2, "test": 0.2}},
        "model": {"name": "unet", "width": 4, "depth": 2, "norm": "batch"},
        "loss": {"name": "sum", "parts": ["dice", {"name": "cross-entropy", "class_weights": "balanced"}]},
        "optimizer": {"name": "adam", "lr": 1e-2}, "augment": ["flip", {"crop": {"padding": 2}}, "cutmix"],
        "train": {"epochs": 30, "batch_size": 8},
    }  # fmt: skip
    run = nw.train(config, out=tmp_path / "run", quiet=True)
    assert run.metrics["test"]["dice"] > 0.9 and {"dice_ground", "iou_square"} <= set(run.metrics["test"])
    assert not [finding for finding in run.findings if finding.severity != "note"]
    assert evaluate_run(tmp_path / "run", data=str(tmp_path))["metrics"]["dice"] > 0.9
    answer = nw.load(tmp_path / "run")(str(tmp_path / "images" / "00.png"))[0]
    truth = read_mask(tmp_path / "masks" / "00.png").numpy()
    assert answer["mask"].dtype == np.uint8 and (answer["mask"] == truth).mean() > 0.95
    assert sum(answer["shares"].values()) == pytest.approx(1, abs=1e-4)
    line = said(capsys, "predict", tmp_path / "run", tmp_path / "images" / "00.png", "--out", tmp_path / "out")
    assert np.array_equal(read_mask(line["mask"]).numpy(), answer["mask"]) and line["size"] == [16, 16]
    assert "mask" not in said(capsys, "predict", tmp_path / "run", tmp_path / "images" / "00.png")
    large = Image.open(tmp_path / "images" / "00.png").resize((40, 48))
    assert nw.load(tmp_path / "run")(large)[0]["mask"].shape == (48, 40)


def build_small(classes: int = 2, **more: object) -> nn.Module:
    return build_network("unet", width=4, depth=1, num_classes=classes, norm="batch", **more)


def test_fit_takes_arrays_and_knows_the_task(tmp_path: Path) -> None:
    pictures, codes = shapes()
    net = build_small()
    run = nw.fit(net, (pictures[4:], codes[4:]), validation=(pictures[:4], codes[:4]), epochs=20, batch_size=8,
                 optimizer={"name": "adam", "lr": 1e-2}, out=tmp_path / "a", quiet=True)  # fmt: skip
    assert run.metrics["validation"]["dice"] > 0.8
    floats = pictures.float() / 128 - 1
    run = nw.fit(build_small(), (floats, codes.float()[:, None]), task="segmentation", loss=nn.CrossEntropyLoss(),
                 epochs=2, batch_size=8, out=tmp_path / "b", quiet=True)  # fmt: skip
    assert set(run.metrics["train"]) >= {"dice", "iou"}


@pytest.mark.parametrize(
    ("loss", "padding"),
    [("cross-entropy", "same"), ("dice", "same"), ("focal", "same"), ("dice + cross-entropy", "same"),
     (nn.CrossEntropyLoss(), "same"), (nn.CrossEntropyLoss(ignore_index=IGNORED), "same"), ("cross-entropy", "valid")],
    ids=str,
)  # fmt: skip
def test_the_doctor_raises_no_false_alarm(loss: object, padding: str, tmp_path: Path) -> None:
    pictures, codes = shapes(side=24)
    codes[:, 0] = IGNORED
    net = build_small(padding=padding)
    run = nw.fit(net, (pictures, codes), loss=loss, epochs=1, batch_size=8, out=tmp_path / "run", quiet=True)
    assert [finding.fault for finding in run.findings if finding.severity != "note"] == []


def test_too_few_outputs_for_the_classes_are_told(tmp_path: Path) -> None:
    pictures, codes = shapes()
    codes[codes == 1] = torch.arange(int((codes == 1).sum())) % 3
    with pytest.raises(ConfigError, match=r"(?i)labels|outputs|classes"):
        nw.fit(build_small(2), (pictures, codes), epochs=1, batch_size=8, out=tmp_path / "run", quiet=True)


def test_a_classifier_is_not_taken_for_a_segmenter(tmp_path: Path) -> None:
    pictures, codes = shapes()
    with pytest.raises(ConfigError, match=r"gives 2 for masks of 16x16 pixels; .* such as unet"):
        sections = {"data": {"x": pictures, "y": codes}, "train": {"batch_size": 8}}
        nw.train(sections | {"model": "lenet5"}, out=tmp_path / "run", quiet=True)


def double_dice(scores: Tensor, truth: Tensor) -> Tensor:
    """A loss as people write them: flattened, of floats."""
    share = scores.sigmoid().flatten()
    return 1 - (2 * (share * truth.flatten()).sum() + 1) / (share.sum() + truth.sum() + 1)


@pytest.mark.parametrize(
    "loss", ["bce", "dice", "focal", nn.BCEWithLogitsLoss(), double_dice, lambda z, y: F.mse_loss(z.sigmoid(), y)],
    ids=["bce", "dice", "focal", "torch's", "a function", "squares"],
)  # fmt: skip
def test_one_output_goes_with_losses_of_a_single_area(loss: object) -> None:
    schema = Schema("image", (1, 8, 6), "uint8", Target("mask", ("no", "yes")))
    task = Segmentation(schema, loss=build_loss(loss, bound={"ignore_index": IGNORED}))
    logits, codes = scores(classes=1).requires_grad_(), masks() % 2
    codes[:, 0] = IGNORED
    targets = task.loss_targets(IDENTITY, make_batch(logits.detach(), codes))
    assert targets.shape == logits.shape and targets.is_floating_point() and set(targets.unique().tolist()) == {0, 1}
    task.training_step(IDENTITY, make_batch(logits, codes), Phase()).loss.backward()
    assert float(logits.grad[:, :, 0].abs().max()) == 0 and float(logits.grad[:, :, 1:].abs().min()) > 0
    sure = torch.where(codes == 1, 20.0, -20.0)[:, None]
    assert task.evaluation_step(IDENTITY, make_batch(sure, codes)).loss < 1e-3
    assert task.evaluation_step(IDENTITY, make_batch(-sure, codes)).loss > 0.5


@pytest.mark.parametrize("loss", ["cross-entropy", nn.CrossEntropyLoss()], ids=str)
def test_one_output_and_a_softmax_are_refused(loss: object) -> None:
    task = Segmentation(SCHEMA, loss=build_loss(loss, bound={"ignore_index": IGNORED}))
    with pytest.raises(ConfigError, match="a softmax over one score"):
        task.training_step(IDENTITY, make_batch(scores(classes=1), masks() % 2), Phase())
