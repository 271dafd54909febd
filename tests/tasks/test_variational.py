"""The bound of a variational autoencoder: its terms, its warm-up, its figures; from a config to the model folder."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from task_helpers import PICTURES, Source, leave_at, make_batch, measured, session
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

import netwright
from netwright.core.errors import ConfigError, Preempted
from netwright.core.schemas import build
from netwright.data.normalising import ImagePreprocessor
from netwright.data.schema import Schema, Target
from netwright.data.sources.fashion import CLASSES
from netwright.experiment.model_folder import weights_hash
from netwright.metrics.latent import Evidence
from netwright.models import build as build_model
from netwright.tasks import TASKS, Phase
from netwright.tasks.variational import Variational
from netwright.training import loop

PREPROCESS = ImagePreprocessor(PICTURES, [0.0], [1.0])


def pictures(count=20, seed=0):
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def some(x, first=0):
    return make_batch(x, torch.arange(first, first + len(x)) % 3, first)


def small(**more):
    return build_model("vae", image_shape=[1, 8, 8], hidden=[9], code_size=3, **more)


def test_the_loss_is_surprise_and_divergence_by_torch_s_distributions():
    x, net = pictures(), small()
    torch.manual_seed(5)
    out = Variational(PICTURES, PREPROCESS, beta=4.0).training_step(net, some(x), Phase())
    torch.manual_seed(5)
    mean, log_variance = net.encode(x)
    code = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
    surprise = -Bernoulli(logits=net.scores(code), validate_args=False).log_prob(x).sum((1, 2, 3)).mean()
    kl = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1).mean()
    assert out.loss.item() == pytest.approx((surprise + 4 * kl).item(), rel=1e-5)
    assert out.logs["kl"].item() == pytest.approx(kl.item(), rel=1e-5)


def test_a_gaussian_likelihood_is_that_of_its_deviation():
    x, net = pictures(), small(output="identity")
    torch.manual_seed(5)
    task = Variational(PICTURES, PREPROCESS, likelihood="gaussian", deviation=0.3, beta=0.0)
    loss = task.training_step(net, some(x), Phase()).loss
    torch.manual_seed(5)
    mean, log_variance = net.encode(x)
    said = net.decode(mean + (0.5 * log_variance).exp() * torch.randn_like(mean))
    assert loss.item() == pytest.approx(-Normal(said, 0.3).log_prob(x).sum((1, 2, 3)).mean().item(), rel=1e-5)


def test_beta_rises_in_a_line_and_an_evaluation_takes_all_of_it():
    task, net, batch = Variational(PICTURES, PREPROCESS, beta=2.0, warmup=0.5, total_steps=8), small(), some(pictures())
    betas = [task.training_step(net, batch, Phase()).logs["beta"].item() for _ in range(6)]
    assert betas == pytest.approx([0, 0.5, 1, 1.5, 2, 2])
    fresh = Variational(PICTURES, PREPROCESS, beta=2.0, warmup=0.5, total_steps=8)
    assert fresh.evaluation_step(net, batch).loss.item() == task.evaluation_step(net, batch).loss.item()
    fresh.load_state(task.state())
    assert fresh.training_step(net, batch, Phase()).logs["beta"].item() == 2


def test_figures_are_those_of_all_examples_at_once():
    x, net = pictures(), small().eval()
    task = Variational(PICTURES, PREPROCESS, beta=3.0)
    before = torch.get_rng_state()
    whole = measured(task, net, Source(some(x)))
    parts = measured(task, net, Source(some(x[:7]), some(x[7:], 7)))
    assert whole == pytest.approx(parts, rel=1e-5) and torch.equal(before, torch.get_rng_state())
    assert set(whole) == {"loss", "elbo", "kl", "active_units", "mse"}
    assert whole["loss"] == pytest.approx(-whole["elbo"] + 2 * whole["kl"], rel=1e-5)
    assert whole["mse"] == pytest.approx((net(x) - x).square().mean().item(), rel=1e-5)


def test_units_are_active_whose_mean_varies():
    evidence = Evidence()
    assert all(math.isnan(value) for value in evidence.compute().values())
    means = torch.tensor([[1.0, 0.1, 5.0], [-1.0, -0.05, 5.0]])  # of variances 1, 0.0056 and 0
    evidence.update(torch.tensor([3.0, 5.0]), torch.full((2, 3), 0.5), means)
    assert evidence.compute() == pytest.approx({"elbo": -5.5, "kl": 1.5, "active_units": 1})


def test_new_pictures_are_judged_where_there_is_a_judge():
    schema = Schema("image", (1, 28, 28), "uint8", Target("class", CLASSES))
    task, net = Variational(schema, ImagePreprocessor(schema, [0.0], [1.0])), build_model("vae", hidden=[9])
    found = measured(task, net, Source(some(torch.rand(12, 1, 28, 28))))
    assert found["frechet"] > 0 and found["classifier_score"] >= 1
    assert set(found) == {"loss", *task.measure().compute()}


class Own(nn.Module):
    """Somebody's VAE, which does not know of scores."""

    def __init__(self, squash=torch.sigmoid):
        super().__init__()
        self.into, self.out, self.squash = nn.Linear(64, 4), nn.Linear(2, 64), squash

    def encode(self, x):
        return self.into(x.flatten(1)).chunk(2, 1)

    def decode(self, code):
        return self.squash(self.out(code)).unflatten(1, (1, 8, 8))

    def forward(self, x):
        return self.decode(self.encode(x)[0])


def test_a_vae_of_anybody_s_has_the_same_bound():
    net, x = Own(), pictures()
    with_scores = Own()
    with_scores.load_state_dict(net.state_dict())
    with_scores.scores = lambda code: with_scores.out(code).unflatten(1, (1, 8, 8))
    task = Variational(PICTURES, PREPROCESS)
    losses = [task.evaluation_step(one, some(x)).loss.item() for one in (net, with_scores)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


WRONG = {
    "no code": (lambda: Variational(PICTURES, PREPROCESS).evaluation_step(nn.Identity(), some(pictures())),
                "no encode, decode, which task variational needs"),
    "pictures out of range": (
        lambda: Variational(PICTURES, PREPROCESS).evaluation_step(Own(torch.tanh), some(pictures())),
        r"needs pictures in \[0, 1\]",
    ),
    "another shape": (
        lambda: Variational(PICTURES, PREPROCESS).training_step(
            build_model("vae", image_shape=[1, 8, 8], hidden=[9]), some(torch.rand(4, 1, 4, 4)), Phase()
        ),
        "takes 64 numbers an example, got 16",
    ),
    "a judge's path": (lambda: Variational(PICTURES, PREPROCESS, judge="runs/x"), r"task\.judge='runs/x'"),
    "a negative beta": (
        lambda: build(
            TASKS.load("variational"), {"beta": -1.0}, "task", {"schema": PICTURES, "preprocess": PREPROCESS}
        ),
        "beta",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "words"), WRONG.values(), ids=WRONG.keys())
def test_what_does_not_fit_is_refused_in_one_line(call, words):
    with pytest.raises(ConfigError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_exhibits_show_new_pictures_reconstructions_units_and_maps(tmp_path):
    x, net = pictures(12), small()
    task = Variational(PICTURES, PREPROCESS, columns=3, seed=2)
    source = task.batches(Source(some(x[:8]), some(x[8:], 8)), training=False)
    shown = task.exhibits(net.train(), source, tmp_path)
    assert net.training
    assert [view["kind"] for view in shown] == ["pictures"] * 4 + ["table", "scatter", "scatter"]
    files = [tmp_path / view["items"][0]["file"] for view in shown[:4]]
    first = files[0].read_bytes()
    task.exhibits(net, source, tmp_path)
    assert files[0].read_bytes() == first, "the same codes every time"
    with Image.open(files[3]) as image:  # three units, nine steps
        assert image.size[0] == 3 * image.size[1]
    assert len(shown[4]["rows"]) == 3 and shown[4]["rows"][0][1] == max(row[1] for row in shown[4]["rows"])
    json.dumps(shown)


CONFIG = {
    "data": "digits",
    "task": {"name": "variational", "warmup": 0.5},
    "model": {"name": "conv_vae", "widths": [8], "code_size": 4},
    "train": {"epochs": 2, "batch_size": 64},
}


def test_a_run_from_the_config_to_the_answers(tmp_path):
    run = netwright.train(CONFIG, out=tmp_path / "r", quiet=True)
    assert not [finding for finding in run.findings if finding.severity == "error"]
    assert {"elbo", "kl", "active_units", "mse"} <= set(run.metrics["test"])
    predict = netwright.load(run.folder)
    (told,) = predict([np.zeros((1, 8, 8), dtype=np.uint8)])
    assert len(told["code"]) == 4 and told["reconstruction"].shape == (1, 8, 8) and told["error"] >= 0
    assert predict.network.sample(2).shape == (2, 1, 8, 8)


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
