"""Convolution, norm and activation as one in evaluation: the same answers, of the weights in force, then gone."""

import copy

import pytest
import torch
from torch import Tensor, nn

from netwright import models
from netwright.blocks.activations import activation
from netwright.training import folding
from netwright.training.folding import folded

NETWORKS = {
    "densenet": {"depths": (2, 2), "growth_rate": 8, "stem": "small"},
    "googlenet": {"width": 0.125, "stem": "small"},
    "mobilenet_v1": {"width": 0.25, "stem": "small"},
    "mobilenet_v2": {"width": 0.25, "stem": "small"},
    "mobilenet_v3_small": {"width": 0.5, "stem": "small"},
    "resnet": {"depths": (1, 1), "width": 16, "stem": "small"},
    "unet": {"in_channels": 3, "width": 8, "depth": 2, "norm": "batch"},
    "vgg11_bn": {},
}


def learnt(net: nn.Module) -> nn.Module:
    """As after training: no statistic, scale or shift at its first value."""
    generator = torch.Generator().manual_seed(1)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            for name, tensor in part.state_dict().items():
                if tensor.is_floating_point():
                    low = 0.5 if name in ("weight", "running_var") else -0.5
                    tensor.copy_(torch.rand(tensor.shape, generator=generator) + low)
    return net.eval()


def small() -> nn.Sequential:
    torch.manual_seed(0)
    convolutions = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, bias=False, padding=1, padding_mode="reflect")
    first, second = convolutions
    return nn.Sequential(first, nn.BatchNorm2d(8), nn.ReLU(), second, nn.BatchNorm2d(8, affine=False), nn.Tanh())


@pytest.mark.parametrize("name", NETWORKS)
def test_answers_are_the_same(name: str) -> None:
    torch.manual_seed(0)
    net = learnt(models.build(name, num_classes=5, **NETWORKS[name]))
    x = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        plain = net(x)
        with folded(net):
            assert any("forward" in vars(part) for part in net.modules())
            together = net(x)
    assert not any("forward" in vars(part) for part in net.modules())
    scale = plain.abs().max()
    assert (together - plain).abs().max() <= 2e-5 * scale


@pytest.mark.parametrize("name", NETWORKS)
def test_bf16_loses_no_more_than_without(name: str) -> None:
    """Sizes change from batch to batch, memory is channels-last or not: the error is that of bf16."""
    torch.manual_seed(0)
    net = learnt(models.build(name, num_classes=5, **NETWORKS[name]))
    errors: dict[bool, list[Tensor]] = {True: [], False: []}
    for batch, layout in ((4, torch.channels_last), (3, torch.contiguous_format), (4, torch.channels_last)):
        x = torch.randn(batch, 3, 32, 32).contiguous(memory_format=layout)
        with torch.inference_mode():
            true = net(x)
            for fold in (True, False):
                with torch.autocast("cpu", torch.bfloat16):
                    if fold:
                        with folded(net):
                            found = net(x)
                    else:
                        found = net(x)
                errors[fold].append((found - true).norm() / true.norm())
    assert sum(errors[True]) <= 1.3 * sum(errors[False]) + 1e-3


def test_what_nobody_else_should_notice() -> None:
    """A tap between the parts, a hook on one, training, gradients: all see the plain parts."""
    net, x = learnt(small()), torch.randn(2, 3, 9, 9)
    with torch.no_grad():
        conv, plain = net[0](x), net(x)
        with folded(net):
            assert torch.equal(net[0](x), conv) and "forward" in vars(net)
        seen: list[Tensor] = []
        net[1].register_forward_hook(lambda part, inputs, output: seen.append(output))
        with folded(net):
            torch.testing.assert_close(net(x), plain)
        assert len(seen) == 1
    with folded(net):
        assert "forward" not in vars(net)
        net(x).sum().backward()
    with torch.no_grad(), folded(net.train()):
        assert "forward" not in vars(net)


@pytest.mark.parametrize("name", ["relu6", "hardswish"])
def test_an_activation_in_place_keeps_no_copy_where_a_gradient_is_asked(name: str) -> None:
    shape = activation(name)
    shape.inplace = True  # type: ignore[assignment]
    x = torch.linspace(-8.0, 8.0, 65)
    told = {"relu6": nn.ReLU6, "hardswish": nn.Hardswish}[name]()(x)
    with torch.no_grad():
        kept = x.clone()
        assert shape(kept) is kept and torch.equal(kept, told)
    asked = x.clone().requires_grad_()
    assert torch.equal(shape(asked * 1.0), told)
    middle = asked * 1.0
    shape(middle)
    assert torch.equal(middle, x)


def test_the_weights_of_the_moment_and_gone_after_an_error() -> None:
    net, x = learnt(small()), torch.randn(2, 3, 9, 9)
    with torch.no_grad():
        with pytest.raises(KeyError), folded(net):
            raise KeyError
        net[0].weight.mul_(2.0)
        plain = net(x)
        with folded(net):
            torch.testing.assert_close(net(x), plain)
    assert copy.deepcopy(net)(x).requires_grad


def test_a_picture_without_a_batch() -> None:
    net, x = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()).eval(), torch.randn(3, 9, 9)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        plain = net(x)
        with folded(net):
            assert "forward" in vars(net) and torch.equal(net(x), plain)


def test_where_onednn_has_no_bf16_norms_are_folded_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "_onednn_takes_bf16", lambda: False)
    net, x = learnt(small()), torch.randn(2, 3, 9, 9)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        plain = net(x)
        with folded(net):
            assert "forward" in vars(net)
            torch.testing.assert_close(net(x), plain, atol=0.05, rtol=0.05)


def test_own_classes_are_left_alone() -> None:
    class Noisy(nn.Conv2d):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input) + 1.0

    class Turned(nn.Sequential):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input.flip(-1))

    x = torch.randn(2, 3, 9, 9)
    for net in (nn.Sequential(Noisy(3, 8, 3), nn.BatchNorm2d(8)), Turned(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))):
        learnt(net)
        with torch.no_grad():
            plain = net(x)
            with folded(net):
                assert torch.equal(net(x), plain)


@pytest.mark.parametrize("kind", [1, 3])
def test_other_dimensions(kind: int) -> None:
    torch.manual_seed(0)
    conv, norm = {1: (nn.Conv1d, nn.BatchNorm1d), 3: (nn.Conv3d, nn.BatchNorm3d)}[kind]
    net, x = nn.Sequential(conv(2, 4, 3), norm(4)), torch.randn(3, 2, *[6] * kind)
    net(x)
    net.eval()
    with torch.no_grad():
        plain = net(x)
        with folded(net):
            assert "forward" in vars(net)
            torch.testing.assert_close(net(x), plain)
