"""Convolution, batch norm and activation as one operation, for as long as only predictions are asked of a network.

In evaluation a batch norm (Ioffe and Szegedy, 2015, algorithm 2) is a line a channel, w (x - mean) / sqrt(var + eps)
+ b, and a line after a convolution makes a convolution of other weights. In bf16 on a CPU oneDNN also keeps the weights
in its own layout, where it would find that anew for every batch, and applies the activation as it writes the output.
What it saves of a pass stands in docs/bench-zoo.md (`make bench`). ``C`` channels.
"""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, get_args

import torch
from torch import Tensor, nn

from netwright.blocks.activations import Hardswish, ReLU6
from netwright.doctor.watch.copies import Quiet
from netwright.training.placing import was_put

__all__ = ["folded"]

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
Step = Callable[[Tensor], Tensor]

_OPERATIONS = ("_convolution_pointwise", "_is_mkldnn_bf16_supported", "_reorder_convolution_weight")

_ONEDNN: Mapping[type[nn.Module], tuple[str, list[float]]] = {  # its names of activations, and their numbers
    Hardswish: ("hardswish", []),
    ReLU6: ("hardtanh", [0.0, 6.0]),
    nn.Hardswish: ("hardswish", []),
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
    nn.Sigmoid: ("sigmoid", []),
    nn.SiLU: ("swish", []),
    nn.Tanh: ("tanh", []),
}


@contextmanager
def folded(model: nn.Module) -> Iterator[None]:
    """Within, every `nn.Sequential` runs a convolution and the batch norm and activation after it as one.

    Nothing is changed but how a sequence runs its parts: who calls one of them alone, or has a hook on it, meets the
    plain one. The weights are those of the moment it is entered, in the precision of the autocast then in force. With
    gradients on, or in training, nothing is folded.
    """
    rows = {} if torch.is_grad_enabled() else {row: steps for row in _rows(model) if (steps := _steps(list(row)))}
    before = {row: vars(row).get("forward") for row in rows}
    for row, steps in rows.items():
        row.forward = partial(_through, steps)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for row, put in before.items():
            del row.forward
            if put is not None:
                row.forward = put  # type: ignore[method-assign]


def _rows(model: nn.Module) -> Iterator[nn.Sequential]:
    """The sequences that run their parts one after another and do nothing else."""
    for row in model.modules():
        plain = "forward" not in vars(row) or was_put(vars(row)["forward"])
        if plain and isinstance(row, nn.Sequential) and type(row).forward is nn.Sequential.forward:
            yield row


def _steps(parts: Sequence[nn.Module]) -> list[Step]:
    """What a sequence does in place of calling its parts; empty where there is nothing to gain."""
    steps: list[Step] = []
    place, gained = 0, False
    while place < len(parts):
        unit = _unit(parts[place : place + 3])
        steps.append(_as_one(unit) if unit else parts[place])
        place, gained = place + max(1, len(unit)), gained or bool(unit)
    return steps if gained else []


def _unit(parts: Sequence[nn.Module]) -> Sequence[nn.Module]:
    """As many of the parts as make one operation; none where that would be the convolution alone."""
    conv, *after = parts
    if not _is_one(conv, get_args(Convolution)):
        return []
    taken = 1
    if after and _is_one(norm := after[0], get_args(Norm)):
        taken += not norm.training and norm.running_mean is not None
    if _is_packable(conv) and len(parts) > taken:
        taken += _is_one(parts[taken], _ONEDNN)
    return parts[:taken] if taken > 1 else []


def _is_one(module: nn.Module, kinds: Container[type[nn.Module]]) -> bool:
    """Of one of these classes, and of no subclass that may do more; nobody has changed it or looks at it.

    The watch's hooks, which look at training alone, do not count: on which steps they sit must not change an answer.
    """
    hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    watched = any(not isinstance(hook, Quiet) for hook in hooks)
    return type(module) in kinds and not watched and "forward" not in vars(module)


def _is_packable(conv: nn.Module) -> bool:
    """Whether oneDNN takes it in its own layout: bf16 on a CPU, by an operation that torch keeps for its compiler."""
    if not isinstance(conv, nn.Conv2d) or conv.padding_mode != "zeros" or isinstance(conv.padding, str):
        return False
    bf16 = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") is torch.bfloat16
    return bf16 and conv.weight.device.type == "cpu" and _onednn_takes_bf16()


def _onednn_takes_bf16() -> bool:
    known = all(hasattr(torch.ops.mkldnn, name) for name in _OPERATIONS)
    return known and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@torch.no_grad()
def _as_one(unit: Sequence[nn.Module]) -> Step:
    conv, *after = unit
    assert isinstance(conv, Convolution)
    weight, bias = conv.weight, conv.bias
    if isinstance(after[0], Norm):
        weight, bias = _normed(conv, after.pop(0))
    dtype = conv.weight.dtype
    if torch.is_autocast_enabled(weight.device.type):
        dtype = torch.get_autocast_dtype(weight.device.type)
    weight, bias = weight.to(dtype), None if bias is None else bias.to(dtype)
    if not _is_packable(conv):
        return partial(_convolved, conv._conv_forward, weight, bias)
    return _Packed(unit, weight, bias, *(_ONEDNN[type(after[0])] if after else ("none", [])))


class _Packed:
    """A convolution and its activation by oneDNN, the weights laid out as it likes them for inputs of one shape."""

    def __init__(
        self, unit: Sequence[nn.Module], weight: Tensor, bias: Tensor | None, activation: str, numbers: list[float]
    ) -> None:
        self.unit, self.weight, self.bias, self.activation = unit, weight, bias, (activation, numbers, "")
        conv: Any = unit[0]
        self.told = list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups
        self.packed, self.shape = weight, torch.Size()

    def __call__(self, x: Tensor) -> Tensor:
        if x.ndim != 4:  # a picture without its batch, which the operation does not take
            return _through(self.unit, x)
        if x.shape != self.shape:
            self.shape = x.shape
            self.packed = torch.ops.mkldnn._reorder_convolution_weight(self.weight, *self.told, x.shape)
        x = x.to(self.weight.dtype)
        out: Tensor = torch.ops.mkldnn._convolution_pointwise(x, self.packed, self.bias, *self.told, *self.activation)
        return out


def _normed(conv: Convolution, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """The weights W s and the bias b + s (c - mean) of convolution and norm in one, s = w / sqrt(var + eps)."""
    assert isinstance(norm, Norm) and norm.running_mean is not None and norm.running_var is not None
    scale_C = torch.rsqrt(norm.running_var + norm.eps)
    if norm.weight is not None:
        scale_C = scale_C * norm.weight
    bias_C = scale_C * ((0 if conv.bias is None else conv.bias) - norm.running_mean)
    if norm.bias is not None:
        bias_C = norm.bias + bias_C
    return conv.weight * scale_C.reshape(-1, *[1] * (conv.weight.ndim - 1)), bias_C


def _convolved(run: Callable[..., Tensor], weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    return run(x, weight, bias)


def _through(steps: Sequence[Step], x: Tensor) -> Tensor:
    for step in steps:
        x = step(x)
    return x
