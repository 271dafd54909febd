"""Swin held to torchvision's with the same random weights: any image size, evaluation, training, and backwards."""

from typing import Any

import pytest
import torch
from references import TOLERANCE, difference, perturbed, torchvision
from torch import Tensor, nn

from netwright.models import build
from netwright.models.weights.swin import LAYOUTS

(TORCHVISION,) = LAYOUTS


def images(height: int, width: int, channels: int = 3, batch: int = 2) -> Tensor:
    return torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(5))


def _lively(net: nn.Module) -> nn.Module:
    """Perturbed, with weights far enough from 0.02 that positions and masks weigh in."""
    perturbed(net)
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if name.endswith("qkv.weight"):
                weight.mul_(2)
            elif name.endswith("relative_position_bias_table"):
                weight.mul_(30)
    return net


def _pair(name: str = "", **more: Any) -> tuple[nn.Module, nn.Module]:
    models = torchvision().models
    if name:
        theirs = _lively(getattr(models, name)(num_classes=5))
    else:
        sizes = {"patch_size": [2, 2], "embed_dim": 12, "depths": [2, 3], "num_heads": [2, 3], "window_size": [3, 3]}
        theirs = _lively(models.SwinTransformer(**{**sizes, "stochastic_depth_prob": 0.0, "num_classes": 5, **more}))
    tensors = theirs.state_dict()
    found = TORCHVISION.identify(tensors, {})
    assert found == (name or "swin")
    ours = build(found, drop_path=0.0, **TORCHVISION.sizes(tensors, {}))
    ours.load_state_dict(TORCHVISION.rename(tensors))
    return ours, theirs


@pytest.mark.parametrize("name", ["swin_t", "swin_s", pytest.param("swin_b", marks=pytest.mark.slow)])
def test_every_size_is_torchvisions(name: str) -> None:
    ours, theirs = (net.eval() for net in _pair(name))
    x = images(64, 96, batch=1)  # the windows pad at every stage
    with torch.no_grad():
        assert difference(ours(x), theirs(x)) <= TOLERANCE


@pytest.mark.parametrize(
    ("height", "width"),
    [(12, 12), (24, 36), (13, 30), (4, 24), (2, 2), (25, 7)],
    ids=["whole", "many windows", "padded", "one row of windows", "one place", "odd merges"],
)
def test_any_image_size_is_torchvisions(height: int, width: int) -> None:
    ours, theirs = (net.eval() for net in _pair())
    x = images(height, width)
    with torch.no_grad():
        assert difference(ours(x), theirs(x)) <= TOLERANCE


@pytest.mark.parametrize("window", [2, 4, 7])
def test_other_windows_are_torchvisions(window: int) -> None:
    ours, theirs = (net.eval() for net in _pair(window_size=[window, window], depths=[2, 2, 2], num_heads=[1, 2, 4]))
    assert difference(ours(images(40, 28)), theirs(images(40, 28))) <= TOLERANCE


def test_training_without_dropout_and_gradients_are_torchvisions() -> None:
    ours, theirs = (net.train() for net in _pair())
    x = images(13, 24)
    outs = [net(x) for net in (ours, theirs)]
    assert difference(*outs) <= TOLERANCE
    weight = torch.randn(outs[0].shape)
    for out in outs:
        (out * weight).sum().backward()
    wanted = TORCHVISION.rename({name: p.grad for name, p in theirs.named_parameters()})
    for name, parameter in ours.named_parameters():
        scale = wanted[name].abs().max()
        torch.testing.assert_close(parameter.grad / scale, wanted[name] / scale, rtol=1e-3, atol=1e-4)


def test_in_bfloat16_the_other_way_of_attention_is_near() -> None:
    ours, _ = _pair()
    ours.eval()
    x = images(13, 24)
    exact = ours(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert difference(ours(x).float(), exact) <= 0.05


def test_names_are_read_from_the_tensors() -> None:
    models = torchvision().models
    with torch.device("meta"):
        assert TORCHVISION.sizes(models.swin_b().state_dict(), {}) == {}
        assert TORCHVISION.sizes(models.swin_s(num_classes=3).state_dict(), {}) == {"num_classes": 3}
        assert TORCHVISION.identify(models.swin_v2_t().state_dict(), {}) is None
        assert TORCHVISION.identify(models.vit_b_32().state_dict(), {}) is None
