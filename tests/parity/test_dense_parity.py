"""MLP, LeNet-5, the dense GAN and the Q-network held to hand-built PyTorch networks with the same weights."""

import pytest
import torch
from torch import nn

from netwright.models import build
from netwright.models.layers import LayerStack


def _count(net: nn.Module) -> int:
    return sum(weight.numel() for weight in net.parameters())


def _share(ours: nn.Module, theirs: nn.Module) -> None:
    """Give the reference our weights and statistics, in order."""
    values = ours.state_dict().values()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), values, strict=True)))


def _same(ours: nn.Module, theirs: nn.Module, x: torch.Tensor) -> None:
    _share(ours, theirs)
    for net in (ours, theirs):
        net.eval()
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-6)


def test_mlp() -> None:
    reference = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 64), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(64, 10),
    )  # fmt: skip
    _same(build("mlp", hidden=[128, 64], dropout=0.5), reference, torch.randn(4, 1, 28, 28))


def test_mlp_with_batch_norm_trains_like_the_reference() -> None:
    ours = build("mlp", in_features=6, num_classes=2, hidden=[5, 4], norm="batch", activation="tanh")
    reference = nn.Sequential(
        nn.Linear(6, 5, bias=False), nn.BatchNorm1d(5), nn.Tanh(),
        nn.Linear(5, 4, bias=False), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2),
    )  # fmt: skip
    _share(ours, reference)
    x = torch.randn(16, 6)
    for net in (ours, reference):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            net(x).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(ours(x), reference(x))


def test_mlp_counts() -> None:
    assert _count(build("mlp", hidden=[128])) == 101_770  # 784-128-10, of every textbook
    assert _count(build("mlp", hidden=[256])) == 203_530  # Zhang et al., Dive into Deep Learning, section 5.2
    assert _count(build("mlp", hidden=[])) == 7_850  # softmax regression


@pytest.mark.parametrize(
    ("size", "channels", "padding", "parameters"), [(28, 1, 2, 61_706), (32, 1, 0, 61_706), (32, 3, 0, 62_006)]
)
@pytest.mark.parametrize("variant", ["classic", "modern"])
def test_lenet(size: int, channels: int, padding: int, parameters: int, variant: str) -> None:
    act, pool = (nn.Tanh, nn.AvgPool2d) if variant == "classic" else (nn.ReLU, nn.MaxPool2d)
    reference = nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=padding), act(), pool(2), nn.Conv2d(6, 16, 5), act(), pool(2), nn.Flatten(),
        nn.Linear(400, 120), act(), nn.Linear(120, 84), act(), nn.Linear(84, 10),
    )  # fmt: skip
    ours = build("lenet5", image_size=size, in_channels=channels, variant=variant)
    assert _count(ours) == parameters
    _same(ours, reference, torch.randn(3, channels, size, size))


def test_dense_gan() -> None:
    gan = build("gan", image_shape=(1, 4, 4), noise_size=5, generator_hidden=[6, 7], discriminator_hidden=[8])
    generator = nn.Sequential(
        nn.Linear(5, 6, bias=False), nn.BatchNorm1d(6), nn.ReLU(),
        nn.Linear(6, 7, bias=False), nn.BatchNorm1d(7), nn.ReLU(),
        nn.Linear(7, 16), nn.Tanh(), nn.Unflatten(1, (1, 4, 4)),
    )  # fmt: skip
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1), nn.Flatten(0))
    _same(gan.generator, generator, torch.randn(3, 5))
    _same(gan.discriminator, discriminator, torch.randn(3, 1, 4, 4))


def test_q_network() -> None:
    reference = nn.Sequential(nn.Linear(4, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 2))
    _same(build("dqn"), reference, torch.randn(5, 4))


def test_dueling_head_is_its_formula() -> None:
    net = build("dqn", head="dueling", num_actions=3).eval()
    observation = torch.randn(5, 4)
    hidden = net.features(observation)
    value, advantage = net.head.value(hidden), net.head.advantage(hidden)
    torch.testing.assert_close(net(observation), value + (advantage - advantage.mean(1, keepdim=True)))


def test_a_stack_of_layers() -> None:
    layers = [
        {"conv": 4, "kernel": 3, "padding": 1}, "norm", "relu", {"pool": "avg", "kernel": 2}, "flatten",
        {"linear": 5}, "tanh", {"linear": 2},
    ]  # fmt: skip
    reference = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(64, 5), nn.Tanh(), nn.Linear(5, 2),
    )  # fmt: skip
    _same(LayerStack(layers, (1, 8, 8)), reference, torch.randn(3, 1, 8, 8))
