"""ResNet and DropPath held to torchvision's with the same random weights, number for number."""

import pytest
import torch
from references import TOLERANCE, difference, perturbed, torchvision
from torch import nn

from netwright.blocks.drop_path import DropPath
from netwright.models import build, card
from netwright.models.weights.resnet import LAYOUTS

LAYOUT = LAYOUTS[0]
NAMES = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
QUICK_ONES = [*NAMES[:4], pytest.param("resnet152", marks=pytest.mark.slow)]


def _twins(theirs: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Our network, built from what the layout reads in their weights, and theirs, with the same numbers."""
    tensors = perturbed(theirs).state_dict()
    name = LAYOUT.identify(tensors, {})
    assert name is not None
    ours = build(name, **LAYOUT.sizes(tensors, {}))
    ours.load_state_dict(LAYOUT.rename(tensors))
    return ours, theirs


def _one_step(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    out = net.train()(x)
    (out * torch.linspace(-1, 1, out.numel()).view_as(out)).mean().backward()
    torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9).step()
    return out.detach()


@pytest.mark.parametrize("name", QUICK_ONES)
def test_evaluation(name: str) -> None:
    ours, theirs = _twins(getattr(torchvision().models, name)(num_classes=7))
    x = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert difference(ours.eval()(x), theirs.eval()(x)) <= TOLERANCE


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_training_step_with_its_statistics(name: str) -> None:
    ours, theirs = _twins(getattr(torchvision().models, name)(num_classes=7))
    x = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert difference(_one_step(ours, x), _one_step(theirs, x)) <= TOLERANCE
    after, wanted = ours.state_dict(), LAYOUT.rename(theirs.state_dict())
    assert after.keys() == wanted.keys()
    for key, tensor in wanted.items():
        torch.testing.assert_close(after[key], tensor, rtol=2e-5, atol=2e-5 * tensor.abs().max().item(), msg=key)


def test_a_small_stem_and_sizes_of_ones_own() -> None:
    resnet = torchvision().models.resnet
    theirs = resnet.ResNet(resnet.Bottleneck, [1, 2, 1, 1], num_classes=5)
    theirs.conv1, theirs.maxpool = nn.Conv2d(1, 64, 3, 1, 1, bias=False), nn.Identity()
    tensors = theirs.state_dict()
    assert LAYOUT.identify(tensors, {}) == "resnet"
    sizes = {"block": "bottleneck", "depths": (1, 2, 1, 1), "width": 64, "in_channels": 1, "stem": "small"}
    assert LAYOUT.sizes(tensors, {}) == {**sizes, "num_classes": 5}
    ours, theirs = _twins(theirs)
    x = torch.randn(2, 1, 16, 16)
    with torch.no_grad():
        assert difference(ours.eval()(x), theirs.eval()(x)) <= TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_has_its_place(name: str) -> None:
    with torch.device("meta"):
        theirs, ours = getattr(torchvision().models, name)(), build(name)
    tensors = theirs.state_dict()
    assert (LAYOUT.identify(tensors, {}), LAYOUT.sizes(tensors, {})) == (name, {})
    shapes = {key: tensor.shape for key, tensor in LAYOUT.rename(tensors).items()}
    assert shapes == {key: tensor.shape for key, tensor in ours.state_dict().items()}
    assert card(name).parameters == sum(weight.numel() for weight in theirs.parameters())


@pytest.mark.parametrize("name", ["resnext50_32x4d", "wide_resnet50_2", "densenet121", "vgg11", "googlenet"])
def test_other_families_are_not_taken_for_a_resnet(name: str) -> None:
    with torch.device("meta"):
        tensors = getattr(torchvision().models, name)(**{"init_weights": False} if name == "googlenet" else {})
    assert LAYOUT.identify(tensors.state_dict(), {}) is None


def test_drop_path_draws_as_stochastic_depth_does() -> None:
    theirs = torchvision().ops.StochasticDepth(0.3, "row")
    x = torch.randn(64, 2, 3, 3)
    drawn = []
    for net in (DropPath(0.3), theirs):
        torch.manual_seed(3)
        drawn.append(net.train()(x))
    torch.testing.assert_close(*drawn)
