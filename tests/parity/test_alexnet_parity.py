"""AlexNet held to torchvision's, and its classroom variant to the textbook's stack, with the same random weights."""

import pytest
import torch
from references import TOLERANCE, difference, perturbed, torchvision
from torch import nn

from netwright.core.errors import ConfigError
from netwright.models import build
from netwright.models.weights.alexnet import LAYOUTS

LAYOUT = LAYOUTS[0]


def _reference() -> nn.Module:
    """torchvision's, with narrower dense layers so that the test is quick."""
    theirs = torchvision().models.alexnet(num_classes=7)
    theirs.classifier[1], theirs.classifier[4] = nn.Linear(9216, 96), nn.Linear(96, 96)
    theirs.classifier[6] = nn.Linear(96, 7)
    return theirs


def _twins(theirs: nn.Module) -> tuple[nn.Module, nn.Module]:
    tensors = perturbed(theirs).state_dict()
    assert LAYOUT.identify(tensors, {}) == "alexnet"
    ours = build("alexnet", **LAYOUT.sizes(tensors, {}))
    ours.load_state_dict(LAYOUT.rename(tensors))
    return ours, theirs


@pytest.mark.parametrize("size", [(63, 63), (224, 224), (100, 290)])
def test_evaluation(size: tuple[int, int]) -> None:
    ours, theirs = _twins(_reference())
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert difference(ours.eval()(x), theirs.eval()(x)) <= TOLERANCE


@pytest.mark.slow
def test_the_published_size() -> None:
    ours, theirs = _twins(torchvision().models.alexnet())
    assert LAYOUT.sizes(theirs.state_dict(), {}) == {}
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert difference(ours.eval()(x), theirs.eval()(x)) <= TOLERANCE


def test_training_drops_the_same_units() -> None:
    ours, theirs = _twins(_reference())
    x = torch.randn(4, 3, 80, 80, generator=torch.Generator().manual_seed(1))
    outs = []
    for net in (ours, theirs):
        torch.manual_seed(5)
        out = net.train()(x)
        (out * torch.linspace(-1, 1, out.numel()).view_as(out)).mean().backward()
        outs.append(out.detach())
    assert difference(*outs) <= TOLERANCE
    ours_grad, theirs_grad = ours.convs.conv1.weight.grad, theirs.features[0].weight.grad
    assert difference(ours_grad, theirs_grad) <= TOLERANCE


def _textbook(hidden: int) -> nn.Module:
    """Zhang et al., Dive into Deep Learning, section 8.1."""
    return nn.Sequential(
        nn.Conv2d(1, 96, 11, stride=4, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten(),
        nn.Linear(6400, hidden), nn.ReLU(), nn.Dropout(0.5), nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(hidden, 10),
    )  # fmt: skip


@pytest.mark.parametrize("training", [False, True])
def test_classroom(training: bool) -> None:
    theirs = perturbed(_textbook(64))
    ours = build("alexnet_classroom", hidden=64)
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    x, outs = torch.randn(2, 1, 224, 224, generator=torch.Generator().manual_seed(1)), []
    for net in (ours, theirs):
        torch.manual_seed(5)
        with torch.no_grad():
            outs.append(net.train(training)(x))
    assert difference(*outs) <= TOLERANCE


def test_classroom_has_the_textbooks_layers() -> None:
    with torch.device("meta"):
        ours, theirs = build("alexnet_classroom"), _textbook(4096)
    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]


@pytest.mark.parametrize(("stem", "least"), [("imagenet", 63), ("classroom", 65), ("small", 15)])
def test_the_least_size_is_the_least(stem: str, least: int) -> None:
    net = build("alexnet", stem=stem, widths=[2, 2, 2, 2, 2], hidden=4, num_classes=3)
    assert net.convs(torch.randn(1, 3, least, least)).shape[-2:] == (1, 1)
    with pytest.raises(RuntimeError, match="too small"):
        net.convs(torch.randn(1, 3, least, least - 1))
    with pytest.raises(ConfigError, match=f"{least}x{least}"):
        net(torch.randn(1, 3, least, least - 1))
