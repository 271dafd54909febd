import json
import math

import pytest
import torch
from PIL import Image
from task_helpers import PICTURES, Source, make_batch, measured
from torch import nn

from netwright.core.errors import ConfigError
from netwright.core.schemas import build
from netwright.data.normalising import ImagePreprocessor
from netwright.data.schema import Schema, Target
from netwright.data.sources.fashion import CLASSES, load_small
from netwright.models import build as build_model
from netwright.tasks import TASKS
from netwright.tasks.gan import AdversarialGeneration
from netwright.tasks.judging import bundled_judge

DISCRIMINATOR, GENERATOR = AdversarialGeneration.phases
PREPROCESS = ImagePreprocessor(PICTURES, [0.5], [0.5])
FASHION = Schema("image", (1, 28, 28), "uint8", Target("class", CLASSES))


def small(image_shape=(1, 8, 8), **more):
    sizes = {"noise_size": 4, "generator_hidden": [8], "discriminator_hidden": [8]}
    return build_model("gan", image_shape=image_shape, **sizes, **more)


def real(count=16, shape=(1, 8, 8)):
    return make_batch(torch.rand(count, *shape) * 2 - 1, torch.zeros(count, dtype=torch.int64))


@pytest.mark.parametrize("kind", ["non-saturating", "hinge", "wasserstein-gp"])
def test_each_phase_moves_its_own_part(kind):
    net, task = small(), AdversarialGeneration(PICTURES, PREPROCESS, kind=kind)
    for phase in task.phases:
        out = task.training_step(net, real(), phase)
        own = list(net.get_submodule(phase.part).parameters())
        out.loss.backward(inputs=own)
        assert math.isfinite(out.loss.item())
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in own if p.dim() > 1)
    assert set(out.logs) == {"discriminator_loss", "generator_loss"}
    assert all(not log.requires_grad for log in out.logs.values())


def convolutional(**more):
    return build_model("dcgan", image_shape=[1, 8, 8], noise_size=4, width=4, depth=2, **more)


@pytest.mark.parametrize("norm", ["layer", "instance", "none"])
def test_a_convolutional_critic_learns_by_its_slope(norm):
    net = convolutional(discriminator_norm=norm).train()
    task = AdversarialGeneration(PICTURES, PREPROCESS, kind="wasserstein-gp")
    for phase in (DISCRIMINATOR, GENERATOR):
        own = [p for p in net.get_submodule(phase.part).parameters() if p.dim() > 1]
        task.training_step(net, real(), phase).loss.backward(inputs=own)
        assert all(p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in own)


def test_a_critic_with_batch_norm_is_refused_and_a_discriminator_is_not():
    task = AdversarialGeneration(PICTURES, PREPROCESS, kind="wasserstein-gp")
    with pytest.raises(ConfigError, match="discriminator_norm: layer"):
        task.training_step(convolutional(), real(), DISCRIMINATOR)
    with pytest.raises(ConfigError, match="discriminator_norm: layer"):
        task.evaluation_step(convolutional(), real())
    task = AdversarialGeneration(PICTURES, PREPROCESS, kind="hinge")
    assert task.training_step(convolutional(), real(), DISCRIMINATOR).loss.isfinite()


def test_a_picture_is_scored_by_the_discriminator():
    net, task, batch = small().eval(), AdversarialGeneration(PICTURES, PREPROCESS), real(3)
    told = task.answers(task.predict(net, batch.inputs))
    assert [answer["score"] for answer in told] == pytest.approx(net.discriminator(batch.inputs).tolist())


def test_a_critic_has_more_updates():
    task = AdversarialGeneration(PICTURES, PREPROCESS, kind="wasserstein-gp")
    assert [phase.name for phase in task.phases] == ["discriminator"] * 5 + ["generator"]
    assert len(AdversarialGeneration(PICTURES, PREPROCESS, discriminator_updates=2).phases) == 3


class Fixed(nn.Module):
    """A pair whose scores are known: everything real is +2 and everything made -1."""

    noise_size = 1

    def noise(self, n, generator=None):
        return torch.zeros(n, 1)

    def generator(self, noise):
        return torch.full((len(noise), 1, 8, 8), -0.5)

    def discriminator(self, x):
        return torch.where(x.mean((1, 2, 3)) > 0, 2.0, -1.0)


@pytest.mark.parametrize(
    ("kind", "discriminator", "generator"),
    [
        ("non-saturating", math.log1p(math.exp(-2)) + math.log1p(math.exp(-1)), math.log1p(math.exp(1))),
        ("hinge", 0.0, 1.0),
    ],
)
def test_losses_are_those_of_the_papers(kind, discriminator, generator):
    task, batch = AdversarialGeneration(PICTURES, PREPROCESS, kind=kind), make_batch(torch.ones(4, 1, 8, 8), None)
    assert task.training_step(Fixed(), batch, DISCRIMINATOR).loss.item() == pytest.approx(discriminator)
    assert task.training_step(Fixed(), batch, GENERATOR).loss.item() == pytest.approx(generator)
    figures = measured(task, Fixed(), Source(batch, batch))
    assert figures == pytest.approx(
        {"loss": generator, "generator_loss": generator, "discriminator_loss": discriminator}
    )


def test_the_gradient_penalty_is_what_the_slope_lacks_to_one():
    class Linear(Fixed):
        def discriminator(self, x):
            return 3 / 8 * x.sum((1, 2, 3))  # slope 3 everywhere: 64 pixels of 3/8 each

    task = AdversarialGeneration(PICTURES, PREPROCESS, kind="wasserstein-gp", penalty=10.0)
    loss = task.training_step(Linear(), make_batch(torch.ones(4, 1, 8, 8), None), DISCRIMINATOR).loss.item()
    assert loss == pytest.approx(-12 - 24 + 10 * (3 - 1) ** 2, rel=1e-5)


def test_one_sided_smoothing_touches_only_the_real_ones():
    task = AdversarialGeneration(PICTURES, PREPROCESS, label_smoothing=0.1)
    loss = task.training_step(Fixed(), make_batch(torch.ones(4, 1, 8, 8), None), DISCRIMINATOR).loss.item()
    real_part = 0.9 * math.log1p(math.exp(-2)) + 0.1 * math.log1p(math.exp(2))
    assert loss == pytest.approx(real_part + math.log1p(math.exp(-1)))


def test_evaluation_noise_is_fixed_and_leaves_the_generator_of_chance_alone():
    net, task, batch = small().eval(), AdversarialGeneration(PICTURES, PREPROCESS), real()
    before = torch.get_rng_state()
    first, again = (task.evaluation_step(net, batch).loss.item() for _ in range(2))
    assert first == again and torch.equal(before, torch.get_rng_state())
    halves = [make_batch(batch.inputs[:6], None), make_batch(batch.inputs[6:], None, 6)]
    assert measured(task, net, Source(*halves))["loss"] == pytest.approx(first, rel=1e-5)


def test_without_a_judge_it_says_so(tmp_path):
    task = build(TASKS.load("gan"), {"columns": 3}, "task", {"schema": PICTURES, "preprocess": PREPROCESS, "seed": 1})
    assert task.monitor == "loss"
    shown = task.exhibits(small(), Source(real()), tmp_path)
    assert "task.judge" in shown[1]["items"][0]
    for item in shown[0]["items"]:
        with Image.open(tmp_path / item["file"]) as image:
            assert image.size[0] == image.size[1] >= 27
    json.dumps(shown)


def test_a_judge_s_path_needs_its_network():
    with pytest.raises(ConfigError, match=r"task\.judge='runs/x' was not loaded"):
        AdversarialGeneration(PICTURES, PREPROCESS, judge="runs/x")


def test_a_network_without_the_two_parts_is_refused():
    with pytest.raises(ConfigError, match="no generator, discriminator, noise, noise_size"):
        AdversarialGeneration(PICTURES, PREPROCESS).training_step(nn.Linear(2, 2), real(), DISCRIMINATOR)


def test_the_bundled_judge_knows_clothes_and_only_them():
    assert bundled_judge(PICTURES) is None
    judge, data = bundled_judge(FASHION), load_small()
    raw, labels = data.dataset.tensors()
    rows = torch.arange(6000, 7000)  # of the official test split
    with torch.no_grad():
        said = judge(ImagePreprocessor(FASHION, [0.5], [0.5]).inputs(raw[rows])).argmax(1)
    assert (said == labels[rows]).float().mean() > 0.88


def test_the_judge_tells_real_from_noise():
    raw, _ = load_small().dataset.tensors()
    pictures = ImagePreprocessor(FASHION, [0.5], [0.5]).inputs(raw[:1000])
    task, net = AdversarialGeneration(FASHION, PREPROCESS), small((1, 28, 28))
    assert task.monitor == "frechet" and task.sense == "min"
    untrained = measured(task, net, Source(make_batch(pictures[:500], None)))
    net.generator.forward = lambda noise: pictures[500:][: len(noise)]
    true = measured(task, net, Source(make_batch(pictures[:500], None)))
    assert true["frechet"] < 0.1 * untrained["frechet"]
    assert true["classifier_score"] > 4 > untrained["classifier_score"]
