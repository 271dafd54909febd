"""Laws of the vision catalog: images of any fitting size, memory formats, published work, and images too small.

Whatever `test_models.py` asks of every network holds here too; its cases are the small builds. The default builds are
looked at on the meta device, where a ViT-L weighs nothing.
"""

import copy
import re
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from test_models import CASES, Case, default_build
from torch import Tensor, nn

from netwright.core import schemas
from netwright.core.errors import ConfigError
from netwright.metrics.architecture import trace
from netwright.models import MODELS, build, card, catalog

WITHIN = 0.01  # of the published multiply-accumulates


def _takes(name: str, argument: str) -> bool:
    return argument in schemas.parameters(catalog().load(name))


def _is_vision(name: str) -> bool:
    return name in catalog() and card(name).family == "vision" and _takes(name, "in_channels")


VISION = [name for name in MODELS if _is_vision(name)]
OF_ONE_SIZE = {name for name in VISION if _takes(name, "image_size")}
SMALL = {key: case for key, case in CASES.items() if _is_vision(case.name)}

every_small_build = pytest.mark.parametrize("case", SMALL.values(), ids=SMALL.keys())
small_builds_of_any_size = pytest.mark.parametrize(
    "case", [pytest.param(case, id=key) for key, case in SMALL.items() if case.name not in OF_ONE_SIZE]
)


def _sized(case: Case) -> Iterator[tuple[Case, int, int]]:
    """The case at three sizes of image: built for each where the network is made for one size."""
    side = case.input[-1]
    if case.name in OF_ONE_SIZE:
        for size in (side, 2 * side, 3 * side):
            yield replace(case, arguments=case.arguments | {"image_size": size}), size, size
    else:
        height = case.input[-2]
        for size in case.sizes or ((height, side), (height + 3, side + 1), (2 * height, side + 6)):
            yield case, *size


def _images(case: Case, height: int, width: int, count: int = 1) -> Tensor:
    return torch.randn(count, case.input[0], height, width, generator=torch.Generator().manual_seed(5))


@every_small_build
@torch.no_grad()
def test_three_sizes_and_a_batch_of_one(case: Case) -> None:
    for sized, height, width in _sized(case):
        image = _images(case, height, width)
        out = sized.build().eval()(image)
        assert torch.isfinite(out).all()
        assert out.shape[:2] == (1, case.output[0]) and out.dim() == 1 + len(case.output)
        if case.output[1:] == case.input[1:]:  # a score for every pixel
            assert out.shape[2:] == image.shape[2:]


@every_small_build
@torch.no_grad()
def test_channels_last_gives_the_same_numbers(case: Case) -> None:
    net, image = case.build().eval(), _images(case, *case.input[1:], count=4)
    wanted = net(image)
    got = _channels_last(net)(image.to(memory_format=torch.channels_last))
    assert (got - wanted).abs().max() <= 2e-5 * wanted.abs().max()


@every_small_build
def test_channels_last_trains_in_the_same_way(case: Case) -> None:
    """In float64: a norm over few places blows up the roundings of float32, and would hide a real difference."""
    net, image = case.build().double().train(), _images(case, *case.input[1:], count=4).double()
    for part in net.modules():
        if isinstance(part, nn.Dropout):  # draws its mask in the order of memory
            part.p = 0.0
    losses = []
    twin = _channels_last(net)
    for module, given in ((net, image), (twin, image.to(memory_format=torch.channels_last))):
        torch.manual_seed(7)  # the same paths dropped
        losses.append(module(given).square().mean())
        losses[-1].backward()
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-9, atol=0)
    for one, two in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(two.grad, one.grad, rtol=1e-6, atol=1e-9)


def _channels_last(net: nn.Module) -> nn.Module:
    return copy.deepcopy(net).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@pytest.mark.parametrize("name", [name for name in VISION if card(name).gmacs])
def test_the_work_is_the_published_work(name: str) -> None:
    """The tracer counts a multiply-accumulate as 2, and no norms, pooling or activations; so do the publications."""
    published = card(name).gmacs
    assert published is not None
    assert trace(default_build(name), input_shape=card(name).input).flops / 2e9 == pytest.approx(published, rel=WITHIN)


@pytest.mark.parametrize("name", VISION)
def test_other_channels_are_refused_in_one_line(name: str) -> None:
    channels, *size = card(name).input
    said = _refusal(default_build(name), torch.empty(2, channels + 1, *size, device="meta"))
    assert said and "\n" not in said
    assert str(channels) in said and str(channels + 1) in said


@pytest.mark.parametrize("name", [name for name in VISION if name not in OF_ONE_SIZE])
def test_an_image_too_small_for_a_published_network(name: str) -> None:
    _holds_to_its_least_size(default_build(name), card(name).input[0], "meta")


@small_builds_of_any_size
@torch.no_grad()
def test_an_image_too_small_for_a_small_build(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """The least size really works, and without the check one pixel less would not."""
    net, channels = case.build().eval(), case.input[0]
    least = _holds_to_its_least_size(net, channels, "cpu")
    monkeypatch.setattr(sys.modules[type(net).__module__], "require_size", lambda *args, **named: None)
    try:
        out = net(torch.randn(2, channels, least - 1, least - 1))
    except (ConfigError, RuntimeError, ValueError):
        return
    assert not out.numel() or not torch.isfinite(out).all(), f"{least - 1} pixels are refused for no reason"


@pytest.mark.parametrize("name", sorted(OF_ONE_SIZE))
def test_a_network_of_one_size_says_which_sizes_it_can_be_built_for(name: str) -> None:
    def refused(size: int) -> str:
        with torch.device("meta"):
            try:
                build(name, image_size=size)(torch.empty(2, card(name).input[0], size, size))
            except ConfigError as error:
                return str(error)
        return ""

    said = refused(1)
    assert said and "\n" not in said
    if found := re.search(r"at least (\d+)", said):
        least = int(found[1])
        assert not refused(least) and refused(least - 1)


def _holds_to_its_least_size(net: nn.Module, channels: int, device: str) -> int:
    """Nothing at all is refused with a layer and the least size; that size works, one pixel less on a side does not."""
    said = _refusal(net, torch.empty(2, channels, 0, 0, device=device))
    found = re.search(r"nothing is left at (\S+); use images of at least (\d+)x\2$", said or "")
    assert found, said
    layer, least = found[1], int(found[2])
    assert any(f".{path}".endswith(f".{layer}") for path, _ in net.named_modules()), f"there is no layer {layer}"
    generator = torch.Generator().manual_seed(3)
    out = net(torch.randn(2, channels, least, least, generator=generator).to(device))
    assert out.numel() and (out.is_meta or torch.isfinite(out).all())
    for height, width in ((least - 1, least), (least, least - 1)):
        said = _refusal(net, torch.empty(2, channels, height, width, device=device))
        assert said and said.startswith(f"images of {height}x{width} pixels are too small for ") and "\n" not in said
    return least


def _refusal(net: nn.Module, image: Tensor) -> str | None:
    try:
        net(image)
    except ConfigError as error:
        return str(error)
    return None
