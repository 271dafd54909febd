"""MobileNet v1 held to timm, v2 and v3 to torchvision, with shared random weights; their weights' layouts with them."""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pytest
import torch
from references import TOLERANCE, difference, perturbed, torchvision
from torch import Tensor, nn

from netwright.models import build
from netwright.models.weights.layout import Layout
from netwright.models.weights.mobilenet import LAYOUTS

CLASSES = 7
BY_SOURCE = {layout.source: layout for layout in LAYOUTS}


def _timm() -> ModuleType:
    torchvision()
    return pytest.importorskip("timm")


VARIANTS: Mapping[str, tuple[str, Callable[[], nn.Module], dict[str, Any]]] = {  # source, theirs, our arguments
    "mobilenet_v1": ("timm", lambda: _timm().create_model("mobilenetv1_100", num_classes=CLASSES), {}),
    "mobilenet_v1 x1.25": (
        "timm", lambda: _timm().create_model("mobilenetv1_125", num_classes=CLASSES, in_chans=1),
        {"width": 1.25, "in_channels": 1},
    ),
    "mobilenet_v2": (
        "torchvision", lambda: torchvision().models.mobilenet_v2(num_classes=CLASSES, dropout=0.0), {}
    ),
    "mobilenet_v2 x0.35": (
        "torchvision", lambda: torchvision().models.mobilenet_v2(num_classes=CLASSES, dropout=0.0, width_mult=0.35),
        {"width": 0.35},
    ),
    "mobilenet_v2 x1.4": (
        "torchvision", lambda: torchvision().models.mobilenet_v2(num_classes=CLASSES, dropout=0.0, width_mult=1.4),
        {"width": 1.4},
    ),
    "mobilenet_v3_small": (
        "torchvision", lambda: torchvision().models.mobilenet_v3_small(num_classes=CLASSES, dropout=0.0), {}
    ),
    "mobilenet_v3_large": (
        "torchvision", lambda: torchvision().models.mobilenet_v3_large(num_classes=CLASSES, dropout=0.0), {}
    ),
    "mobilenet_v3_large x0.75": (
        "torchvision",
        lambda: torchvision().models.mobilenet_v3_large(num_classes=CLASSES, dropout=0.0, width_mult=0.75),
        {"width": 0.75},
    ),
}  # fmt: skip
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def _pair(variant: str) -> tuple[nn.Module, nn.Module, Layout]:
    """Our network and the reference with the same weights."""
    source, make, arguments = VARIANTS[variant]
    torch.manual_seed(0)
    theirs = perturbed(make())
    given = {} if variant.startswith("mobilenet_v1") else {"dropout": 0.0}
    ours = build(variant.partition(" ")[0], num_classes=CLASSES, **given, **arguments)
    ours.load_state_dict(BY_SOURCE[source].rename(theirs.state_dict()))
    return ours, theirs, BY_SOURCE[source]


def _images(net: Any, count: int, height: int, width: int) -> Tensor:
    return torch.randn(count, net.in_channels, height, width, generator=torch.Generator().manual_seed(1))


@every_variant
@torch.no_grad()
def test_the_same_numbers_in_eval(variant: str) -> None:
    ours, theirs, _ = _pair(variant)
    image = _images(ours, 2, 64, 75)
    assert difference(ours.eval()(image), theirs.eval()(image)) <= TOLERANCE


@every_variant
@torch.no_grad()
def test_the_same_numbers_and_statistics_in_training(variant: str) -> None:
    ours, theirs, layout = _pair(variant)
    image = _images(ours, 8, 64, 64)
    assert difference(ours.train()(image), theirs.train()(image)) <= TOLERANCE
    after = layout.rename(theirs.state_dict())
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(
            value, after[name], rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
        )


@every_variant
def test_the_layout_knows_the_network_and_its_sizes(variant: str) -> None:
    source, make, arguments = VARIANTS[variant]
    tensors = make().state_dict()
    layout = BY_SOURCE[source]
    assert [one.identify(tensors, {}) for one in LAYOUTS if one is not layout] == [None]
    assert layout.identify(tensors, {}) == variant.partition(" ")[0]
    assert layout.sizes(tensors, {}) == {"num_classes": CLASSES, **arguments}


def test_other_families_are_not_taken_for_a_mobilenet() -> None:
    models = torchvision().models
    with torch.device("meta"):
        others = [models.resnet18(), models.densenet121(), models.vgg11_bn(), models.efficientnet_b0()]
        others += [_timm().create_model(name) for name in ("mobilenetv2_100", "efficientnet_b0", "mobilenetv1_100h")]
    for other in others:
        assert [layout.identify(other.state_dict(), {}) for layout in LAYOUTS] == [None, None]


def test_what_is_no_part_of_the_network_keeps_its_name() -> None:
    tensors = dict(torchvision().models.mobilenet_v3_small(num_classes=2).state_dict())
    tensors["ema.decay"] = torch.ones(1)
    assert "ema.decay" in BY_SOURCE["torchvision"].rename(tensors)


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"])
@torch.no_grad()
def test_the_small_stem_keeps_four_times_the_size(name: str) -> None:
    """The same weights at strides of their own: the last map of 32 pixels is that of 128 with the published stem."""
    sides = []
    for stem, size in (("imagenet", 128), ("small", 32)):
        net = build(name, width=0.1, num_classes=2, in_channels=1, stem=stem).eval()
        sides.append(net.stages(net.stem(torch.randn(1, 1, size, size))).shape)
    assert sides[0] == sides[1]
    assert sides[0][-2:] == (4, 4)
