"""Saying the input again: plain, out of spoilt inputs, by a sparse code; from a config to the model folder."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from task_helpers import PICTURES, ROWS, Source, leave_at, make_batch, measured, session
from torch import nn
from torch.nn import functional as F

import netwright
from netwright.core.errors import ConfigError, Preempted
from netwright.core.schemas import build
from netwright.data.normalising import ImagePreprocessor
from netwright.data.schema import Schema, Target
from netwright.experiment.model_folder import weights_hash
from netwright.losses import build_loss
from netwright.losses.coding import sparsity
from netwright.models import build as build_model
from netwright.tasks import TASKS, Phase
from netwright.tasks.reconstruction import Reconstruction
from netwright.training import loop

PREPROCESS = ImagePreprocessor(PICTURES, [0.0], [1.0])
PAIRS = Schema("array", (1, 8, 8), "float32", Target("number"), as_given=True)
IDENTITY = nn.Identity()


def pictures(count=20, seed=0):
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def labelled(x, first=0):
    return make_batch(x, torch.arange(first, first + len(x)) % 3, first)


def only(task, x, training=False, epoch=0, source=None):
    return next(iter(task.batches(source or Source(labelled(x)), training).epoch(epoch)))


def small(**more):
    return build_model("conv_autoencoder", image_shape=[1, 8, 8], widths=[4], code_size=3, **more)


def test_the_targets_are_the_inputs_whatever_the_data_s_are():
    x = pictures()
    batch = only(Reconstruction(PICTURES, PREPROCESS), x)
    assert torch.equal(batch.inputs, x) and torch.equal(batch.targets, x) and batch.index[3] == 3
    net = small()
    out = Reconstruction(PICTURES).training_step(net, batch, Phase())
    assert out.loss.item() == pytest.approx(F.mse_loss(out.predictions, x).item())


@pytest.mark.parametrize(("corruption", "amount"), [("gaussian", 0.5), ("masking", 0.3)])
def test_what_is_spoilt_is_the_input_alone_and_a_pure_function(corruption, amount):
    x, task = pictures(400), Reconstruction(PICTURES, PREPROCESS, seed=3, noise=amount, corruption=corruption)
    batch = only(task, x, training=True, epoch=2)
    assert torch.equal(batch.targets, x)
    if corruption == "gaussian":
        assert (batch.inputs - x).std().item() == pytest.approx(0.5, rel=0.02)
        assert abs((batch.inputs - x).mean().item()) < 0.01
    else:
        gone = batch.inputs == 0
        assert gone.float().mean().item() == pytest.approx(0.3, abs=0.01)
        assert torch.equal(batch.inputs[~gone], x[~gone])
    halves = Source(labelled(x[:150]), labelled(x[150:], 150))
    again = [part.inputs for part in task.batches(halves, True).epoch(2)]
    assert torch.equal(torch.cat(again), batch.inputs)
    assert not torch.equal(only(task, x, True, 3).inputs, batch.inputs)
    other = Reconstruction(PICTURES, PREPROCESS, seed=9, noise=amount, corruption=corruption)
    assert torch.equal(only(task, x).inputs, only(other, x, epoch=5).inputs), "evaluations are alike for all"


def test_figures_are_those_of_all_pixels_and_tell_how_spoilt_the_inputs_were():
    x, task = pictures(), Reconstruction(PICTURES, PREPROCESS, noise=0.5)
    source = task.batches(Source(labelled(x[:12]), labelled(x[12:], 12)), training=False)
    spoilt = torch.cat([batch.inputs for batch in source.epoch(0)])
    found = measured(task, IDENTITY, source)
    wanted = (spoilt - x).square().mean().item()
    assert found == pytest.approx(
        {"loss": wanted, "mse": wanted, "mae": (spoilt - x).abs().mean().item(), "input_error": wanted}, rel=1e-5
    )
    assert set(Reconstruction(PICTURES).measure().compute()) == {"mse", "mae"}


def test_scores_are_measured_as_the_values_that_they_stand_for():
    x, loss = pictures(), build_loss("bce")
    task = Reconstruction(PICTURES, PREPROCESS, loss=loss)
    scores = torch.logit(pictures(seed=1), 1e-6)

    class Net(nn.Module):
        def forward(self, x):
            return scores

    found = measured(task, Net(), task.batches(Source(labelled(x)), False))
    assert found["loss"] == pytest.approx(F.binary_cross_entropy_with_logits(scores, x).item(), rel=1e-5)
    assert found["mse"] == pytest.approx((scores.sigmoid() - x).square().mean().item(), rel=1e-5)
    assert task.decided() == {"scores": True} and Reconstruction(PICTURES).decided() == {"scores": False}
    assert torch.equal(task.predict(Net(), x), scores.sigmoid())


def test_a_sparse_code_is_paid_for():
    x, net = pictures(), small(code_activation="sigmoid")
    task = Reconstruction(PICTURES, PREPROCESS, sparsity=0.5, activity=0.1)
    net.eval()
    out = task.training_step(net, only(task, x), Phase())
    price = sparsity(net.encode(x), 0.1)
    assert out.loss.item() == pytest.approx((F.mse_loss(net(x), x) + 0.5 * price).item(), rel=1e-5)
    assert out.logs["sparsity"].item() == pytest.approx(price.item(), rel=1e-5)
    found = measured(task, net, task.batches(Source(labelled(x)), False))
    assert found["activity"] == pytest.approx(net.encode(x).mean().item(), rel=1e-5)


def test_pairs_that_somebody_hands_over_stay_pairs():
    noisy, clean, task = pictures(), pictures(seed=1), Reconstruction(PAIRS)
    batch = only(task, noisy, source=Source(make_batch(noisy, clean)))
    assert torch.equal(batch.targets, clean) and torch.equal(batch.inputs, noisy)
    numbers = only(task, noisy, source=Source(make_batch(noisy, torch.rand(20, 1))))
    assert torch.equal(numbers.targets, noisy)


WRONG = {
    "another shape of targets": (
        lambda: only(Reconstruction(PAIRS), pictures(), source=Source(make_batch(pictures(), torch.rand(20, 1, 4, 4)))),
        r"shape \(1, 4, 4\) beside inputs of \(1, 8, 8\)",
    ),
    "another shape of outputs": (
        lambda: Reconstruction(PICTURES).training_step(
            nn.Flatten(), only(Reconstruction(PICTURES), pictures()), Phase()
        ),
        r"gives \(64,\) for inputs of \(1, 8, 8\)",
    ),
    "no code": (
        lambda: Reconstruction(PICTURES, sparsity=1.0).training_step(
            IDENTITY, only(Reconstruction(PICTURES), pictures()), Phase()
        ),
        "no encode, decode, which task.sparsity needs",
    ),
    "a code of any size": (
        lambda: Reconstruction(PICTURES, sparsity=1.0).evaluation_step(
            small().eval(), only(Reconstruction(PICTURES), 99 * pictures())
        ),
        "code_activation: sigmoid",
    ),
    "no share": (lambda: Reconstruction(PICTURES, noise=1.5, corruption="masking"), "task.noise=1.5 is no share"),
    "scores of a table": (lambda: Reconstruction(ROWS, loss=build_loss("bce")), "use mse"),
    "an unknown metric": (lambda: Reconstruction(PICTURES, metrics=["msee"]), "did you mean mse"),
    "an unknown noise": (
        lambda: build(TASKS.load("reconstruction"), {"corruption": "salt"}, "task", {"schema": PICTURES}),
        "corruption",
    ),
    "an activity of none": (
        lambda: build(TASKS.load("reconstruction"), {"activity": 0.0}, "task", {"schema": PICTURES}), "activity",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "words"), WRONG.values(), ids=WRONG.keys())
def test_what_does_not_fit_is_refused_in_one_line(call, words):
    with pytest.raises(ConfigError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_exhibits_show_originals_what_was_given_and_what_became_of_it(tmp_path):
    x, net = pictures(12), small()
    task = Reconstruction(PICTURES, PREPROCESS, noise=0.2)
    source = task.batches(Source(labelled(x[:8]), labelled(x[8:], 8)), training=False)
    shown = task.exhibits(net.train(), source, tmp_path)
    assert net.training and [view["kind"] for view in shown] == ["pictures", "pictures", "scatter", "scatter"]
    with Image.open(tmp_path / shown[0]["items"][0]["file"]) as image:
        factor = image.size[0] // 90  # ten pictures of 8 pixels, each with a line
        assert factor and image.size == (90 * factor, 27 * factor)
        assert abs(image.getpixel((1, 1)) - round(x[0, 0, 0, 0].item() * 255)) <= 1
    assert shown[2]["groups"] == [("cat", "dog", "owl")[row % 3] for row in range(12)]
    json.dumps(shown)


CONFIG = {
    "data": "digits",
    "task": {"name": "reconstruction", "noise": 0.2},
    "model": {"name": "conv_autoencoder", "widths": [8], "code_size": 8},
    "train": {"epochs": 2, "batch_size": 64},
}


def test_a_run_from_the_config_to_the_answers(tmp_path):
    run = netwright.train({**CONFIG, "loss": "bce"}, out=tmp_path / "r", quiet=True)
    assert not [finding for finding in run.findings if finding.severity == "error"]
    assert {"mse", "mae", "input_error"} <= set(run.metrics["test"])
    predict = netwright.load(run.folder)
    picture = np.random.default_rng(0).integers(0, 256, (1, 8, 8), dtype=np.uint8)
    (told,) = predict([picture])
    assert told["reconstruction"].min() >= 0 and told["reconstruction"].max() <= 1 and len(told["code"]) == 8
    assert told["error"] == pytest.approx(((told["reconstruction"] - picture / 255) ** 2).mean(), rel=1e-4)
    assert predict.outputs([picture])[0].numpy() == pytest.approx(told["reconstruction"], abs=1e-6)


@pytest.mark.parametrize("data", ["wine", "diabetes"])
def test_the_rows_of_a_table_have_an_error_and_a_code(data, tmp_path):
    config = {"data": data, "task": "reconstruction", "model": {"name": "autoencoder", "hidden": [8], "code_size": 2}}
    run = netwright.train({**config, "train": {"epochs": 2}}, out=tmp_path / "r", quiet=True)
    predict = netwright.load(run.folder)
    (told,) = predict([{column.name: 1.0 for column in predict.schema.columns}])
    assert set(told) == {"error", "code"} and len(told["code"]) == 2


def test_a_run_that_left_and_was_resumed_ends_with_the_same_bits(tmp_path):
    whole = session(CONFIG, tmp_path / "whole")
    loop.train(whole)
    left = session(CONFIG, tmp_path / "left")
    leave_at(left, 7)
    with pytest.raises(Preempted):
        loop.train(left)
    resumed = session(CONFIG, tmp_path / "left")
    assert resumed.restore()
    loop.train(resumed)
    assert weights_hash(resumed.model) == weights_hash(whole.model) and resumed.last_metrics == whole.last_metrics


@pytest.mark.parametrize("paired", [False, True])
def test_fit_trains_anybody_s_autoencoder(paired, tmp_path):
    x = torch.rand(80, 1, 8, 8)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 64), nn.Unflatten(1, (1, 8, 8)))
    data = (x, x.clone()) if paired else (x, torch.arange(80) % 2)
    run = netwright.fit(net, data, task="reconstruction", epochs=2, batch_size=16, out=tmp_path / "r", quiet=True)
    assert not [finding for finding in run.findings if finding.severity == "error"]
    (told,) = netwright.load(run.folder, network=net)(x[:1])
    assert set(told) == {"error", "reconstruction"} and told["reconstruction"].shape == (1, 8, 8)
