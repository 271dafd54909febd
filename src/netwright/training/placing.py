"""A network on its device, laid out and helped along for the time of a run."""

from functools import partial

import torch
from torch import nn

from netwright.training import convolutions, pooling

__all__ = ["place", "release", "was_put"]


def place(model: nn.Module, device: torch.device, channels_last: bool) -> nn.Module:
    """The network on its device, laid out as it runs fastest there; `release` takes off what was put on for that."""
    model = model.to(device)
    if channels_last:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if device.type == "cpu":
        convolutions.quicken(model)
        pooling.quicken(model, channels_last)
    return model


def release(model: nn.Module) -> None:
    """Undo of what `place` put on a network."""
    for module in model.modules():
        for name in ("_conv_forward", "forward"):
            if was_put(vars(module).get(name)):
                delattr(module, name)


def was_put(function: object) -> bool:
    """Whether `place` put this on a module."""
    ours = convolutions.__name__, pooling.__name__
    return isinstance(function, partial) and function.func.__module__ in ours
