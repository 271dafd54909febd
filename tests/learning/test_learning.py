"""Every task must be able to learn a few batches by heart, in a loop as plain as training/loop.py."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from netwright.data.batching import Batch, SourceAround
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
from netwright.tasks.reconstruction import Reconstruction
from netwright.tasks.regression import Regression
from netwright.tasks.segmentation import Segmentation
from netwright.tasks.variational import Variational


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


def discs(count: int) -> Tensor:
    """White discs of one size at any place of a black picture: two numbers say all of it."""
    place = torch.stack(torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")).float()
    far = (place[None] - (2 + 3 * torch.rand(count, 2, 1, 1))).norm(dim=1)
    return (2.5 - far).clamp(0, 1)[:, None]


PLAIN = Schema("image", (1, 8, 8), "uint8", Target("none"))


def unlike(pictures: Tensor) -> float:
    """Squared error of the answer that ignores the input."""
    return (pictures - pictures.mean(0)).square().mean().item()


def test_noise_is_taken_off_of_pictures_never_seen():
    task = Reconstruction(PLAIN, ImagePreprocessor(PLAIN, [0.0], [1.0]), noise=0.3)
    model = build("conv_autoencoder", image_shape=(1, 8, 8), widths=[8, 16], code_size=8)
    batches = [batch for epoch in range(30) for batch in spoilt(task, discs(256), epoch)]
    train(task, model, batches, epochs=1, lr=5e-3)
    new = discs(200)
    found = figures(task, model, spoilt(task, new))
    assert found["mse"] < 0.35 * found["input_error"] and found["mse"] < 0.5 * unlike(new)


def spoilt(task: Task, pictures: Tensor, epoch: int | None = None) -> list[Batch]:
    """Pictures in batches as the task wants them, for training in an epoch or for an evaluation."""

    class Given(SourceAround):
        def epoch(self, epoch: int, start: int = 0) -> list[Batch]:  # type: ignore[override]
            return batched(pictures, torch.zeros(len(pictures)), 64)

    return list(task.batches(Given(None), training=epoch is not None).epoch(epoch or 0))  # type: ignore[arg-type]


def test_a_sparse_code_is_as_active_as_it_was_asked_to_be():
    task = Reconstruction(PLAIN, ImagePreprocessor(PLAIN, [0.0], [1.0]), sparsity=0.05, activity=0.1)
    sizes = {"image_shape": (1, 8, 8), "hidden": [32], "code_size": 40, "code_activation": "sigmoid"}
    model, pictures = build("autoencoder", **sizes), discs(256)
    before = figures(task, model, spoilt(task, pictures))
    train(task, model, spoilt(task, pictures), epochs=60, lr=5e-3)
    after = figures(task, model, spoilt(task, pictures))
    assert before["activity"] > 0.3 and 0.05 < after["activity"] < 0.15
    assert after["mse"] < 0.4 * unlike(pictures)


def test_a_vae_learns_what_discs_are_and_uses_few_units_for_it():
    pictures = discs(512)
    task = Variational(PLAIN, ImagePreprocessor(PLAIN, [0.0], [1.0]), likelihood="gaussian", deviation=0.5)
    model = build("vae", image_shape=(1, 8, 8), hidden=[64], code_size=8)
    before = figures(task, model, spoilt(task, pictures))
    train(task, model, spoilt(task, pictures), epochs=60, lr=3e-3)
    after = figures(task, model, spoilt(task, pictures))
    assert after["elbo"] > before["elbo"] + 20 and after["mse"] < 0.3 * unlike(pictures)
    assert 2 <= after["active_units"] <= 5, "two numbers say where a disc is, and each unit has its price"


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
