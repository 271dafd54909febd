"""Every VGG held to torchvision's with the same random weights, number for number."""

import pytest
import torch
from references import TOLERANCE, difference, perturbed, torchvision
from torch import nn

from netwright.core.errors import ConfigError
from netwright.models import build
from netwright.models.weights.vgg import LAYOUTS

LAYOUT = LAYOUTS[0]
NAMES = [f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")]


def _narrow(name: str) -> nn.Module:
    """torchvision's, with narrower dense layers so that the test is quick; all convolutions are whole."""
    theirs = getattr(torchvision().models, name)(num_classes=7, init_weights=False)
    theirs.classifier[0], theirs.classifier[3] = nn.Linear(512 * 49, 24), nn.Linear(24, 20)
    theirs.classifier[6] = nn.Linear(20, 7)
    return theirs


def _twins(theirs: nn.Module, name: str) -> tuple[nn.Module, nn.Module]:
    tensors = perturbed(theirs).state_dict()
    assert LAYOUT.identify(tensors, {}) == name
    ours = build(name, **LAYOUT.sizes(tensors, {}))
    ours.load_state_dict(LAYOUT.rename(tensors))
    return ours, theirs


@pytest.mark.parametrize("name", NAMES)
def test_evaluation(name: str) -> None:
    ours, theirs = _twins(_narrow(name), name)
    x = torch.randn(2, 3, 40, 33, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert difference(ours.eval()(x), theirs.eval()(x)) <= TOLERANCE


@pytest.mark.parametrize("name", ["vgg11", "vgg13_bn"])
def test_a_training_step_with_dropout_and_statistics(name: str) -> None:
    ours, theirs = _twins(_narrow(name), name)
    x, outs = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)), []
    for net in (ours, theirs):
        torch.manual_seed(5)
        out = net.train()(x)
        (out * torch.linspace(-1, 1, out.numel()).view_as(out)).mean().backward()
        outs.append(out.detach())
    assert difference(*outs) <= TOLERANCE
    assert difference(ours.blocks[0].conv1.weight.grad, theirs.features[0].weight.grad) <= TOLERANCE
    for key, tensor in LAYOUT.rename(theirs.state_dict()).items():
        torch.testing.assert_close(ours.state_dict()[key], tensor, rtol=2e-5, atol=1e-6, msg=key)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_published_size(name: str) -> None:
    ours, theirs = _twins(getattr(torchvision().models, name)(init_weights=False), name)
    assert LAYOUT.sizes(theirs.state_dict(), {}) == {}
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert difference(ours.eval()(x), theirs.eval()(x)) <= TOLERANCE


def test_sizes_of_ones_own() -> None:
    """A checkpoint in torchvision's layout that is no published VGG."""
    theirs = nn.Module()
    theirs.features = torchvision().models.vgg.make_layers([4, "M", 6, 6, "M"], batch_norm=True)
    theirs.classifier = nn.Sequential(nn.Linear(6 * 4, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 5))
    tensors = perturbed(theirs).state_dict()
    assert LAYOUT.identify(tensors, {}) == "vgg"
    sizes = LAYOUT.sizes(tensors, {})
    own = {"depths": (1, 2), "widths": (4, 6), "norm": "batch", "hidden": (8,), "pool_size": 2, "num_classes": 5}
    assert sizes == own
    ours = build("vgg", **sizes).eval()
    ours.load_state_dict(LAYOUT.rename(tensors))
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert difference(ours(x), theirs.eval().classifier(theirs.features(x).flatten(1))) <= TOLERANCE


@pytest.mark.parametrize("other", ["alexnet", "resnet18", "densenet121", "mobilenet_v2"])
def test_other_families_are_not_taken_for_vgg(other: str) -> None:
    with torch.device("meta"):
        assert LAYOUT.identify(getattr(torchvision().models, other)().state_dict(), {}) is None


def test_the_least_size_is_the_least() -> None:
    net = build("vgg", widths=[2] * 5, hidden=[4], pool_size=1, num_classes=3)
    assert net.blocks(torch.randn(1, 3, 32, 32)).shape[-2:] == (1, 1)
    with pytest.raises(ConfigError, match=r"blocks\.4\.pool; use images of at least 32x32"):
        net(torch.randn(1, 3, 32, 31))
