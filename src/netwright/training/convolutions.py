"""Convolutions on a CPU that torch 2.13 computes slowly in bf16, or not whole.

Depthwise ones: the gradient for the inputs takes far longer than all else where the stride is not 1, and so does that
for the weights where the kernel is larger than 3 x 3, which alone makes MobileNets slower than in float32.
Those of 1 x 1 on small maps: most of their time goes into laying out the weights, which a matrix product does without.
And on a map narrower than the stride the gradient for the weights is not written everywhere: noise at best, NaN at
worst. All are mended from outside, for the time of a run (`placing`): networks stay plain. ``B`` batch, ``C`` channels,
``H`` and ``W`` height and width, ``k`` kernel, ``s`` stride, ``p`` padding.
"""

from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["quicken"]

Pair = tuple[int, ...]

_QUICK = 3  # the longest side of a depthwise kernel whose gradient has a kernel of its own in oneDNN
_FEW = 1024  # up to so many places (B H W) a 1 x 1 convolution was never quicker than the product of two matrices


def quicken(model: nn.Module) -> None:
    """Give the convolutions of a network, which is on a CPU, a `_conv_forward` that is quick and whole in bf16."""
    for conv in model.modules():
        if type(conv) is nn.Conv2d and conv.padding_mode == "zeros" and not isinstance(conv.padding, str):
            told = conv.stride, conv.padding, conv.dilation, conv.groups
            large = conv.groups > 1 and max(conv.kernel_size) > _QUICK
            if max(conv.stride) > 1 or large or _is_product(conv.weight, *told):
                conv._conv_forward = partial(_convolved, *told)  # type: ignore[method-assign]


def _convolved(
    stride: Pair, padding: Pair, dilation: Pair, groups: int, x: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    bf16 = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    few = _is_product(weight, stride, padding, dilation, groups) and x.numel() <= _FEW * weight.shape[1]
    plain = bf16 != torch.bfloat16 or x.device.type != "cpu" or x.ndim != 4 or torch.compiler.is_compiling()
    if plain or not (few or torch.is_grad_enabled()):
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    x, weight, bias = x.to(bf16), weight.to(bf16), None if bias is None else bias.to(bf16)
    if few:
        return F.linear(x.movedim(1, -1), weight[:, :, 0, 0], bias).movedim(-1, 1)
    if (lacking := stride[-1] - x.shape[-1]) > 0:
        x = F.pad(x, (0, lacking))  # zeros beside the map; the output is the same
    if not _is_depthwise(weight, groups, padding, dilation):
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    out: Tensor = _Depthwise.apply(x, weight, stride, padding)  # type: ignore[no-untyped-call]
    return out if bias is None else out + bias[:, None, None]


def _is_product(weight: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> bool:
    """Whether each place of the output is the same product with one place of the input."""
    return weight.shape[2:] == (1, 1) and set(stride) == {1} and set(padding) == {0} and groups == 1


def _is_depthwise(weight: Tensor, groups: int, padding: Pair, dilation: Pair) -> bool:
    """A kernel a channel, and none that could stand wholly in the padding."""
    fits = all(p < k for p, k in zip(padding, weight.shape[2:], strict=True))
    return weight.shape[0] == groups > 1 and weight.shape[1] == 1 and set(dilation) == {1} and fits


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution with gradients put together from convolutions that are quick.

    Shapes:
        [B, C, H, W], [C, 1, k, k] -> [B, C, (H + 2 p - k) // s + 1, (W + 2 p - k) // s + 1]
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
        return F.conv2d(x, weight, None, stride, padding, groups=weight.shape[0])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Pair, Pair], output: Tensor) -> None:
        x, weight, ctx.stride, ctx.padding = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        told = gradients[0], *ctx.saved_tensors, ctx.stride, ctx.padding
        for_inputs = _for_inputs(*told) if ctx.needs_input_grad[0] else None
        for_weights = _for_weights(*told) if ctx.needs_input_grad[1] else None
        return for_inputs, for_weights, None, None


def _for_inputs(gradient: Tensor, x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
    """A convolution at stride 1 of the spread gradient.

    That of output (i, j) stands at (s i, s j), zeros between; with the kernel turned by half a circle and k - 1 - p
    zeros around, that sums over each input the same products as the transposed convolution does.
    """
    kernel = weight.shape[2:]
    if max(stride) > 1:
        height, width = (n + 2 * p - k + 1 for n, p, k in zip(x.shape[2:], padding, kernel, strict=True))
        spread = torch.zeros_like(gradient[:, :, :1, :1].expand(-1, -1, height, width), memory_format=_layout(x))
        spread[:, :, :: stride[0], :: stride[1]] = gradient
        gradient = spread
    around = [k - 1 - p for k, p in zip(kernel, padding, strict=True)]
    return F.conv2d(gradient, weight.flip(2, 3), None, 1, around, groups=weight.shape[0])


def _for_weights(gradient: Tensor, x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
    """The kernel's gradient, a large one's tile by tile: each as that of a small kernel on a shifted map."""
    kernel = weight.shape[2:]
    if max(kernel) <= _QUICK:
        return _small(gradient, x, weight, stride, padding)
    around = F.pad(x, (padding[1], padding[1], padding[0], padding[0]))
    sides = [min(_QUICK, k) for k in kernel]
    needed = [(n - 1) * s + side for n, s, side in zip(gradient.shape[2:], stride, sides, strict=True)]
    found = torch.empty_like(weight)
    for top, left in product(_starts(kernel[0]), _starts(kernel[1])):
        tile = ..., slice(top, top + sides[0]), slice(left, left + sides[1])
        seen = around[:, :, top : top + needed[0], left : left + needed[1]].contiguous(memory_format=_layout(x))
        found[tile] = _small(gradient, seen, weight[tile], stride, (0, 0))
    return found


def _small(gradient: Tensor, x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
    wanted = (False, True, False)
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, stride, padding, (1, 1), False, (0, 0), len(weight), wanted
    )
    return found[1]


def _starts(kernel: int) -> list[int]:
    """Where tiles of at most three places begin that cover the kernel; the last two may share some."""
    return sorted({max(0, min(start, kernel - _QUICK)) for start in range(0, kernel, _QUICK)})


def _layout(x: Tensor) -> torch.memory_format:
    last = torch.channels_last
    return last if x.is_contiguous(memory_format=last) else torch.contiguous_format
