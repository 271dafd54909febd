"""What `place` puts on strided convolutions for a CPU: the same outputs and gradients, whole ones, taken off again."""

import copy
import math
import pickle

import pytest
import torch
from torch import Tensor, nn

from netwright.core.devices import choose_precision
from netwright.training.placing import place, release

CPU = torch.device("cpu")


def gradients(conv: nn.Conv2d, x: Tensor, bf16: bool = False) -> tuple[Tensor, ...]:
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        out = conv(x)
    generator = torch.Generator().manual_seed(1)
    back = torch.randn(out.shape, generator=generator).to(out.dtype)
    return out, *torch.autograd.grad(out, [x, *conv.parameters()], back)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [
        ((9, 8), 3, 2, 1), ((12, 7), 5, 2, 2), ((8, 8), 3, (2, 1), (0, 2)), ((7, 10), (3, 5), 3, (1, 0)),
        ((5, 1), 3, 2, 1), ((9, 9), 7, 1, 3), ((6, 8), (4, 2), 1, 1),
    ],
)
def test_depthwise_gradients_are_those_of_torch(size, kernel, stride, padding, bf16, channels_last):
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 6, kernel, stride, padding, groups=6)
    mended = place(copy.deepcopy(plain), CPU, channels_last)
    x = torch.randn(3, 6, *size)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    for ours, theirs in zip(gradients(mended, x, bf16), gradients(plain, x, bf16), strict=True):
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs, atol=2e-2 if bf16 else 1e-5, rtol=2e-2 if bf16 else 1e-5)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("size", [3, 40])
def test_small_maps_of_1x1_are_a_product(size: int, bias: bool, channels_last: bool) -> None:
    """On both sides of the border: outputs and gradients are those of the convolution, in the memory it would use."""
    torch.manual_seed(0)
    plain = nn.Conv2d(24, 40, 1, bias=bias)
    mended = place(copy.deepcopy(plain), CPU, channels_last)
    x = torch.randn(2, 24, size, size)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    for ours, theirs in zip(gradients(mended, x, True), gradients(plain, x, True), strict=True):
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs, atol=0.1, rtol=2e-2)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(mended(x), plain(x), atol=2e-2, rtol=2e-2)
        assert not channels_last or mended(x).is_contiguous(memory_format=torch.channels_last)


def test_second_derivatives() -> None:
    torch.manual_seed(0)
    conv = place(nn.Conv2d(2, 2, 3, 2, 1, groups=2).double(), CPU, False)
    x = torch.randn(1, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(conv, (x,)) and torch.autograd.gradgradcheck(conv, (x,))


@pytest.mark.parametrize(("kernel", "stride", "width"), [(3, 2, 1), (7, 2, 1), (5, 3, 2)])
def test_the_bf16_gradient_of_a_map_narrower_than_the_stride_is_whole(kernel: int, stride: int, width: int) -> None:
    """Where the window meets padding alone the gradient is zero, and not what the freed memory held."""
    conv = place(nn.Conv2d(32, 64, kernel, stride, kernel // 2, bias=False), CPU, True)
    maps = torch.randn(4, 32, 1, width)
    for _ in range(5):
        rubbish = [torch.full_like(conv.weight, math.nan, dtype=d) for d in (torch.bfloat16, torch.float32) * 8]
        del rubbish
        with torch.autocast("cpu", torch.bfloat16):
            out = conv(maps)
        assert out.shape == (4, 64, 1, 1)
        (gradient,) = torch.autograd.grad(out.float().sum(), conv.weight)
        rows = gradient.abs().amax((0, 1, 3))
        assert torch.isfinite(gradient).all() and rows.nonzero().flatten().tolist() == [kernel // 2]


def test_it_is_taken_off_again_and_copies_have_it() -> None:
    net = place(nn.Sequential(nn.Conv2d(4, 4, 3, 2, 1, groups=4), nn.Conv2d(4, 8, 3, 2)), CPU, False)
    x = torch.randn(2, 4, 12, 12)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert all("_conv_forward" in vars(conv) for conv in twin) and torch.equal(twin(x), net(x))
    before = net(x)
    release(net)
    assert not any("_conv_forward" in vars(conv) for conv in net) and torch.equal(net(x), before)
    torch.jit.script(net)


def test_it_exports_while_it_is_on() -> None:
    net = place(nn.Sequential(nn.Conv2d(4, 4, 3, 2, 1, groups=4)), CPU, False)
    x = torch.randn(2, 4, 12, 12)
    assert torch.equal(torch.export.export(net, (x,)).module()(x), net(x))


def test_depthwise_networks_train_in_bf16_where_the_machine_has_it() -> None:
    plain, depthwise = nn.Conv2d(8, 8, 3, 2), nn.Conv2d(8, 8, 3, 2, groups=8)
    assert choose_precision("auto", CPU, depthwise).dtype == choose_precision("auto", CPU, plain).dtype
    assert choose_precision("auto", CPU, nn.Conv1d(8, 8, 3, groups=8)).dtype is None
