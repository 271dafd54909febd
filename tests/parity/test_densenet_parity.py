"""DenseNet held to torchvision's with the same random weights, number for number."""

import re

import pytest
import torch
from references import TOLERANCE, difference, perturbed, torchvision
from torch import nn

from netwright.models import build, card
from netwright.models.weights.densenet import LAYOUTS

LAYOUT = LAYOUTS[0]
NAMES = ["densenet121", "densenet161", "densenet169", "densenet201"]
QUICK_ONES = [NAMES[0], NAMES[2], *(pytest.param(name, marks=pytest.mark.slow) for name in (NAMES[1], NAMES[3]))]


def _twins(theirs: nn.Module, **more: float) -> tuple[nn.Module, nn.Module]:
    """Our network, built from what the layout reads in their weights, and theirs, with the same numbers."""
    tensors = perturbed(theirs).state_dict()
    name = LAYOUT.identify(tensors, {})
    assert name is not None
    ours = build(name, **LAYOUT.sizes(tensors, {}), **more)
    ours.load_state_dict(LAYOUT.rename(tensors))
    return ours, theirs


def _small(drop_rate: float = 0.0) -> nn.Module:
    """A densenet of torchvision with every kind of its layers and sizes that no default has."""
    return torchvision().models.DenseNet(8, (2, 1, 3), 12, bn_size=3, drop_rate=drop_rate, num_classes=5)


def _one_step(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(5)  # for the dropout
    out = net.train()(x)
    (out * torch.linspace(-1, 1, out.numel()).view_as(out)).mean().backward()
    torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9).step()
    return out.detach()


def _hold_a_step(ours: nn.Module, theirs: nn.Module, x: torch.Tensor) -> None:
    assert difference(_one_step(ours, x), _one_step(theirs, x)) <= TOLERANCE
    after, wanted = ours.state_dict(), LAYOUT.rename(theirs.state_dict())
    assert after.keys() == wanted.keys()
    for key, tensor in wanted.items():
        torch.testing.assert_close(after[key], tensor, rtol=2e-5, atol=2e-5 * tensor.abs().max().item(), msg=key)


@pytest.mark.parametrize("name", QUICK_ONES)
def test_evaluation(name: str) -> None:
    ours, theirs = _twins(getattr(torchvision().models, name)(num_classes=7))
    x = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert difference(ours.eval()(x), theirs.eval()(x)) <= TOLERANCE


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_training_step_with_its_statistics(dropout: float) -> None:
    _hold_a_step(*_twins(_small(dropout), dropout=dropout), torch.randn(4, 3, 33, 40))


@pytest.mark.slow
def test_a_training_step_of_a_published_size() -> None:
    _hold_a_step(*_twins(torchvision().models.densenet121(num_classes=7)), torch.randn(4, 3, 64, 64))


def test_a_small_stem_and_sizes_of_ones_own() -> None:
    theirs = _small()
    theirs.features.conv0, theirs.features.pool0 = nn.Conv2d(1, 12, 3, 1, 1, bias=False), nn.Identity()
    tensors = theirs.state_dict()
    assert LAYOUT.identify(tensors, {}) == "densenet"
    sizes = {"growth_rate": 8, "depths": (2, 1, 3), "initial_channels": 12, "bottleneck": 3, "num_classes": 5}
    assert LAYOUT.sizes(tensors, {}) == {**sizes, "in_channels": 1, "stem": "small"}
    ours, theirs = _twins(theirs)
    x = torch.randn(2, 1, 9, 13)
    with torch.no_grad():
        assert difference(ours.eval()(x), theirs.eval()(x)) <= TOLERANCE


def test_the_least_size_is_torchvisions() -> None:
    ours, theirs = _twins(torchvision().models.DenseNet(4, (1, 1, 1, 1), 8))
    for net in (ours, theirs):
        assert net.eval()(torch.randn(1, 3, 29, 29)).shape == (1, 1000)
    with pytest.raises(RuntimeError):
        theirs(torch.randn(1, 3, 28, 28))


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_has_its_place(name: str) -> None:
    with torch.device("meta"):
        theirs, ours = getattr(torchvision().models, name)(), build(name)
    # As published, before module names could no longer hold a dot.
    tensors = {re.sub(r"(layer\d+\.(?:norm|conv))(\d)", r"\1.\2", key): t for key, t in theirs.state_dict().items()}
    assert any("denselayer1.norm.1.weight" in key for key in tensors)
    assert (LAYOUT.identify(tensors, {}), LAYOUT.sizes(tensors, {})) == (name, {})
    shapes = {key: tensor.shape for key, tensor in LAYOUT.rename(tensors).items()}
    assert shapes == {key: tensor.shape for key, tensor in ours.state_dict().items()}
    assert card(name).parameters == sum(weight.numel() for weight in theirs.parameters())


@pytest.mark.parametrize("name", ["resnet18", "vgg11", "squeezenet1_0", "mobilenet_v2"])
def test_other_families_are_not_taken_for_a_densenet(name: str) -> None:
    with torch.device("meta"):
        tensors = getattr(torchvision().models, name)().state_dict()
    assert LAYOUT.identify(tensors, {}) is None
