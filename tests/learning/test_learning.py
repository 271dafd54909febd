"""Every task must be able to learn a few batches by heart, in a loop as plain as training/loop.py."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from netwright.data.batching import Batch
from netwright.data.dataset import TensorDataset
from netwright.data.normalising import ImagePreprocessor
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Schema, Target
from netwright.data.textual import TextPreprocessor
from netwright.data.tokenizing import CharTokenizer
from netwright.models import build
from netwright.tasks import Task
from netwright.tasks.classification import Classification
from netwright.tasks.gan import AdversarialGeneration
from netwright.tasks.language import LanguageModeling
from netwright.tasks.q_learning import QLearning
from netwright.tasks.regression import Regression
from netwright.tasks.segmentation import Segmentation


def train(task: Task, model: nn.Module, batches: Sequence[Batch], epochs: int, lr: float, betas=(0.9, 0.999)) -> None:
    optimizers = {
        phase.name: torch.optim.Adam((model.get_submodule(phase.part) if phase.part else model).parameters(), lr, betas)
        for phase in task.phases
    }
    model.train()
    updates = 0
    for _ in range(epochs):
        for batch in batches:
            for phase in task.phases:
                out = task.training_step(model, batch, phase)
                optimizer = optimizers[phase.name]
                out.loss.backward(inputs=optimizer.param_groups[0]["params"])
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                updates += 1
                task.after_update(model, updates)


def figures(task: Task, model: nn.Module, batches: Sequence[Batch]) -> dict[str, float]:
    model.eval()
    measure = task.measure()
    with torch.inference_mode():
        for batch in batches:
            measure.update(task.evaluation_step(model, batch).predictions, batch.targets)
    return measure.compute()


def batched(inputs: Tensor, targets: Tensor, size: int) -> list[Batch]:
    parts = zip(inputs.split(size), targets.split(size), torch.arange(len(inputs)).split(size), strict=True)
    return [Batch(*part) for part in parts]


def test_pictures_with_random_labels_are_learnt_by_heart():
    schema = Schema("image", (1, 28, 28), "uint8", Target("class", tuple("abcdefghij")))
    batches = batched(torch.randn(96, 1, 28, 28), torch.randint(0, 10, (96,)), 32)
    task, model = Classification(schema), build("lenet5", variant="modern", norm="batch")
    before = figures(task, model, batches)["accuracy"]
    train(task, model, batches, epochs=25, lr=2e-3)
    assert before < 0.4 and figures(task, model, batches)["accuracy"] == 1.0


def test_areas_are_learnt_by_heart():
    schema = Schema("image", (1, 16, 16), "uint8", Target("mask", ("ground", "disc", "ring")))
    place = torch.stack(torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")).float()
    far = (place[None] - torch.randint(4, 12, (24, 2, 1, 1))).norm(dim=1)
    codes = torch.where(far < 3, 1, torch.where(far < 5, 2, 0))
    batches = batched((far < 5).float()[:, None] + 0.3 * torch.randn(24, 1, 16, 16), codes, 8)
    task, model = Segmentation(schema, background=False), build("unet", width=8, depth=2, num_classes=3, norm="batch")
    before = figures(task, model, batches)["dice"]
    train(task, model, batches, epochs=30, lr=1e-2)
    assert before < 0.5 and figures(task, model, batches)["dice"] > 0.97  # disc and ring are told by their place alone


def test_rows_are_told_apart_by_a_curved_border():
    schema = Schema("table", (2,), "float32", Target("class", ("in", "out")))
    points = torch.randn(256, 2)
    batches = batched(points, (points.norm(dim=1) > 1.2).long(), 64)
    task, model = Classification(schema), build("mlp", in_features=2, num_classes=2)
    train(task, model, batches, epochs=40, lr=3e-3)
    assert figures(task, model, batches)["accuracy"] > 0.97


def test_numbers_are_predicted_in_their_own_unit():
    schema = Schema("array", (3,), "float32", Target("number", names=("price",)))
    inputs = torch.randn(256, 3)
    prices = 5000 + 1000 * (inputs[:, :1] * inputs[:, 1:2])
    preprocess = Preprocessor.fit(TensorDataset(inputs, prices, schema, "prices"))
    batches = batched(inputs, preprocess.targets(prices), 64)
    task, model = Regression(schema, preprocess), build("mlp", in_features=3, num_classes=1)
    before = figures(task, model, batches)
    train(task, model, batches, epochs=60, lr=3e-3)
    after = figures(task, model, batches)
    assert before["rmse"] > 700 and after["rmse"] < 200 and after["r2"] > 0.95


def test_a_sentence_is_learnt_by_heart():
    text = "the quick brown fox jumps over the lazy dog. " * 4
    tokenizer = CharTokenizer("".join(sorted(set(text))))
    schema = Schema("text", (), "int64", Target("next-token"), vocab_size=len(tokenizer))
    tokens = tokenizer.encode(text)[:129]
    batches = batched(tokens[:-1].view(8, 16), tokens[1:].view(8, 16), 4)
    sizes = {"context": 16, "num_layers": 2, "num_heads": 2, "hidden_size": 32, "dropout": 0.0}
    model = build("gpt", vocab_size=len(tokenizer), **sizes)
    task = LanguageModeling(TextPreprocessor(schema, tokenizer))
    before = figures(task, model, batches)
    train(task, model, batches, epochs=80, lr=5e-3)
    after = figures(task, model, batches)
    assert before["perplexity"] > 15 and after["perplexity"] < 2 and after["bits_per_char"] < 1


@pytest.mark.parametrize(("kind", "epochs"), [("non-saturating", 80), ("hinge", 80), ("wasserstein-gp", 120)])
def test_a_generator_finds_where_the_real_ones_lie(kind, epochs):
    schema = Schema("image", (1, 2, 2), "uint8", Target("none"))
    goal = torch.tensor([[[0.7, -0.5], [-0.5, 0.7]]])
    real = goal + 0.1 * torch.randn(256, 1, 2, 2)
    sizes = {"noise_size": 2, "generator_hidden": [32], "discriminator_hidden": [32], "norm": "none", "dropout": 0.0}
    model = build("gan", image_shape=(1, 2, 2), **sizes)
    task = AdversarialGeneration(schema, ImagePreprocessor(schema, [0.5], [0.5]), kind=kind)
    before = (model.sample(200).mean(0) - goal).abs().max()
    train(task, model, [Batch(part, None, None) for part in real.split(64)], epochs=epochs, lr=2e-3, betas=(0.5, 0.9))
    made = model.sample(200)
    assert before > 0.4 and (made.mean(0) - goal).abs().max() < 0.25 and made.std(0).max() < 0.4


def test_values_of_a_corridor_are_those_of_the_discounted_end():
    # Five places in a row; action 1 goes right, action 0 left; the last place pays 1 and ends.
    schema = Schema("environment", (5,), "float32", Target("action", ("left", "right")))
    places, actions = torch.arange(4).repeat_interleave(2), torch.tensor([0, 1]).repeat(4)
    following = (places + 2 * actions - 1).clamp(0, 4)
    eye, done = torch.eye(5), following == 4
    moves = (eye[places], actions, done.float(), eye[following], done)
    model = build("dqn", in_features=5, num_actions=2, hidden=[32])
    task = QLearning(schema, gamma=0.5, target_update=20)
    train(task, model, [Batch(moves, None, None)], epochs=800, lr=5e-3)
    wanted = torch.tensor([[0.0625, 0.125], [0.0625, 0.25], [0.125, 0.5], [0.25, 1.0]])
    assert torch.allclose(model(eye[:4]), wanted, atol=0.05)
