"""Pooling on a CPU in less time than torch 2.13 takes, from outside, for the time of a run (`placing`).

The mean over windows side by side: in bf16 a depthwise convolution of equal weights is quicker.
The gradient of max pooling: where it comes in another layout than the map's, as it does from a flattened map, torch
copies the map and what it makes of it; the gradient alone is less to copy.
A ReLU before max pooling: the largest of what is cut off below zero is the largest, cut off below zero, and so for
gradients; pooled first there is a quarter of the map to cut. ``B`` batch, ``C`` channels, ``H`` and ``W`` height and
width, ``k`` window.
"""

import math
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["quicken"]

Pair = tuple[int, ...]

_LAST = torch.channels_last


def quicken(model: nn.Module, channels_last: bool) -> None:
    """Give the pools of a network, which is on a CPU, and the sequences they stand in a quicker `forward`."""
    for module in model.modules():
        if "forward" in vars(module):  # its owner's, or ours
            continue
        if type(module) is nn.AvgPool2d and channels_last and (kernel := _side_by_side(module)):
            module.forward = partial(_averaged, kernel)  # type: ignore[method-assign]
        elif type(module) is nn.MaxPool2d and channels_last and not module.return_indices:
            told = module.kernel_size, module.stride, module.padding, module.dilation, module.ceil_mode
            module.forward = partial(_largest, *told)  # type: ignore[method-assign]
        elif isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward and _pairs(module):
            module.forward = partial(_pooled_first, module)  # type: ignore[method-assign]


def _side_by_side(pool: nn.AvgPool2d) -> Pair | None:
    """The window, where windows neither overlap nor reach beyond the map, and bf16 holds a part of 1 exactly."""
    kernel, stride, padding = (_pair(value) for value in (pool.kernel_size, pool.stride, pool.padding))
    plain = kernel == stride and not any(padding) and not pool.ceil_mode and pool.divisor_override is None
    return kernel if plain and math.prod(kernel).bit_count() == 1 else None


def _pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else value


def _pairs(row: nn.Sequential) -> list[int]:
    """The places of ReLUs that max pooling follows."""
    kinds = [type(part) for part in row]
    return [place for place, two in enumerate(pairwise(kinds)) if two == (nn.ReLU, nn.MaxPool2d)]


def _pooled_first(row: nn.Sequential, x: Tensor) -> Tensor:
    """The sequence with each ReLU and the pool after it in turn.

    As it stands where one of the two is special, and for the compiler, which has its own way.
    """
    parts = list(row)
    for place in () if torch.compiler.is_compiling() else _pairs(row):
        relu, pool = parts[place : place + 2]
        if not (_is_special(relu) or _is_special(pool) or pool.return_indices):
            parts[place : place + 2] = pool, relu
    for part in parts:
        x = part(x)
    return x


def _is_special(module: nn.Module) -> bool:
    """Whether somebody looks on, or has made something else of it."""
    put = vars(module).get("forward")
    changed = put is not None and not (isinstance(put, partial) and put.func is _largest)
    hooks = module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks
    return changed or any(hooks)


def _largest(
    kernel: int | Pair, stride: int | Pair, padding: int | Pair, dilation: int | Pair, ceil_mode: bool, x: Tensor
) -> Tensor:
    out = F.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)
    plain = not out.requires_grad or x.ndim != 4 or torch.compiler.is_compiling()
    if not plain and x.is_contiguous(memory_format=_LAST):
        out.register_hook(_laid_out)
    return out


def _laid_out(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=_LAST)


def _averaged(kernel: Pair, x: Tensor) -> Tensor:
    plain = x.dtype != torch.bfloat16 or x.device.type != "cpu" or x.ndim != 4 or torch.compiler.is_compiling()
    if plain or any(n % k or n < k for n, k in zip(x.shape[2:], kernel, strict=True)):
        return F.avg_pool2d(x, kernel)
    out: Tensor = _Mean.apply(x, kernel)  # type: ignore[no-untyped-call]
    return out


class _Mean(torch.autograd.Function):
    """The mean over windows side by side.

    Shapes:
        [B, C, H, W] -> [B, C, H // k, W // k]
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, kernel: Pair) -> Tensor:
        channels = x.shape[1]
        return F.conv2d(x, x.new_full((channels, 1, *kernel), 1 / math.prod(kernel)), None, kernel, groups=channels)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Pair], output: Tensor) -> None:
        ctx.kernel = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        down, across = ctx.kernel
        of_window_BHWC = gradients[0].movedim(1, -1) / (down * across)
        batch, height, width, channels = of_window_BHWC.shape
        found = of_window_BHWC.new_empty(batch, height, down, width, across, channels)
        for place in range(across):
            found[:, :, 0, :, place] = of_window_BHWC
        for place in range(1, down):
            found[:, :, place] = found[:, :, 0]
        return found.reshape(batch, height * down, width * across, channels).movedim(-1, 1), None
