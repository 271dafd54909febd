"""Depthwise-separable convolution, squeeze-and-excitation, the inverted residual and the rounding of widths."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from netwright.blocks.inverted_residual import InvertedResidual
from netwright.blocks.separable import rounded_channels, separable_conv, separable_unit
from netwright.blocks.squeeze_excite import SqueezeExcite
from netwright.models.layers import LayerStack


def _count(net: nn.Module) -> int:
    return sum(weight.numel() for weight in net.parameters())


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_the_pair_is_a_full_convolution_of_a_factored_kernel(dims: int) -> None:
    """pointwise[o, c] * depthwise[c, k] is the kernel [o, c, k] of one full convolution."""
    pair = separable_conv(3, 5, kernel=(3,) * dims, stride=(2,) * dims, padding=(1,) * dims)
    depthwise, pointwise = pair.depthwise.weight, pair.pointwise.weight
    full = (F.conv1d, F.conv2d, F.conv3d)[dims - 1]
    x = torch.randn(2, 3, *(7, 6, 5)[:dims])
    wanted = full(x, pointwise * depthwise.transpose(0, 1), pair.pointwise.bias, stride=2, padding=1)
    torch.testing.assert_close(pair(x), wanted, rtol=1e-4, atol=1e-5)


def test_a_separable_unit_costs_what_the_paper_says() -> None:
    full, pair = 512 * 512 * 9, separable_unit(512, 512)
    convolutions = sum(part.weight.numel() for part in pair.modules() if isinstance(part, nn.Conv2d))
    assert convolutions / full == pytest.approx(1 / 512 + 1 / 9)
    assert pair(torch.randn(2, 512, 5, 4)).shape == (2, 512, 5, 4)
    assert separable_unit(4, 6, kernel=5, stride=2)(torch.randn(2, 4, 7, 6)).shape == (2, 6, 4, 3)


def test_hand_made_layers_use_the_same_pair() -> None:
    net = LayerStack([{"separable-conv": 5, "kernel": [3, 1], "stride": 2}], (4, 9, 8))
    assert net.layers[0].depthwise.groups == 4
    assert net.layers[0].depthwise.bias is None and net.layers[0].pointwise.bias is not None
    assert net.output_shape == net(torch.randn(2, 4, 9, 8)).shape[1:] == (5, 5, 4)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("gate", ["sigmoid", "hardsigmoid"])
def test_squeeze_and_excitation_is_its_formula(dims: int, gate: str) -> None:
    block, x = SqueezeExcite(6, 3, gate=gate), torch.randn(2, 6, *(4, 3, 5)[:dims])
    mean = x.flatten(2).mean(2)
    hidden = (mean @ block.squeeze.weight.T + block.squeeze.bias).clamp(min=0)
    z = hidden @ block.excite.weight.T + block.excite.bias
    scale = 1 / (1 + (-z).exp()) if gate == "sigmoid" else (z + 3).clamp(0, 6) / 6
    torch.testing.assert_close(block(x), x * scale.reshape(2, 6, *[1] * dims), rtol=1e-5, atol=1e-6)


def test_squeeze_and_excitation_sees_every_place_of_its_own_example_only() -> None:
    torch.manual_seed(0)
    block, x = SqueezeExcite(4, 32), torch.randn(3, 4, 5, 5)
    changed = x.clone()
    changed[0, :, 0, 0] += 50
    differs = (block(changed) != block(x)).flatten(1)
    assert differs[0].float().mean() > 0.9 and not differs[1:].any()


def test_an_inverted_residual_joins_only_equal_shapes() -> None:
    x = torch.randn(2, 8, 6, 6)
    for block, joined, shape in (
        (InvertedResidual(8, 48, 8), True, (2, 8, 6, 6)),
        (InvertedResidual(8, 48, 8, stride=2), False, (2, 8, 3, 3)),
        (InvertedResidual(8, 48, 16), False, (2, 16, 6, 6)),
        (InvertedResidual(8, 8, 8, kernel=5, squeezed=2), True, (2, 8, 6, 6)),
    ):
        out = block.eval()(x)
        assert out.shape == shape
        torch.testing.assert_close(out, block.branch(x) + x if joined else block.branch(x))


def test_an_inverted_residual_ends_linearly() -> None:
    assert [type(part) for part in InvertedResidual(8, 48, 8).branch.project] == [nn.Conv2d, nn.BatchNorm2d]
    assert hasattr(InvertedResidual(8, 48, 8).branch, "expand")
    assert not hasattr(InvertedResidual(8, 8, 16).branch, "expand"), "nothing to expand"
    assert _count(InvertedResidual(8, 48, 8)) == 2 * 8 * 48 + 9 * 48 + 2 * (48 + 48 + 8)


@pytest.mark.parametrize(
    ("channels", "rounded"),
    [
        (3.2, 8),
        (8, 8),
        (11.2, 16),
        (12, 16),
        (11.9, 16),
        (19, 24),
        (24 * 1.3, 32),
        (33.6, 32),
        (1344.0, 1344),
        (20, 24),
    ],
)
def test_channels_are_rounded_to_eights_but_never_a_tenth_down(channels: float, rounded: int) -> None:
    assert rounded_channels(channels) == rounded
    assert rounded_channels(channels) >= 0.9 * channels
