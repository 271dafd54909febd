"""Hooks for a sampled step: what reaches each weighted layer. Functional activations are seen too, since the input of
the next layer is looked at and not the output of an activation module.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from netwright.doctor.watch.signals import Layer

__all__ = ["Activations"]

_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_END = 0.97
_CELLS = 100_000


class Activations:
    """Collects small tensors on the device; `layers` turns them into numbers at the end."""

    def __init__(self, net: nn.Module) -> None:
        weighted = [(name, module) for name, module in net.named_modules() if isinstance(module, _WEIGHTED)]
        self._places = weighted[1:]  # the first one sees the data
        self._alive: dict[str, Tensor] = {}
        self._first: dict[str, Tensor] = {}
        self._ends: dict[str, list[Tensor]] = {}

    def attach(self) -> list[RemovableHandle]:
        """Put the hooks on; the caller takes them off after the step."""
        return [module.register_forward_pre_hook(self._hook(name, module)) for name, module in self._places]

    def _hook(self, name: str, module: nn.Module) -> Callable[[nn.Module, tuple[object, ...]], None]:
        axis = -1 if isinstance(module, nn.Linear) else 1

        def look(_: nn.Module, args: tuple[object, ...]) -> None:
            value = args[0] if args else None
            if isinstance(value, Tensor) and value.is_floating_point() and value.dim() > 1 and torch.is_grad_enabled():
                with torch.no_grad():
                    self._take(name, value.detach(), axis)

        return look

    def _take(self, name: str, value: Tensor, axis: int) -> None:
        flat = value.movedim(axis, -1).reshape(-1, value.shape[axis])
        if flat.numel() > _CELLS:
            flat = flat[:: max(1, flat.numel() // _CELLS)]
        alive = (flat != 0).any(0)
        if name not in self._first:
            self._first[name] = self._alive[name] = alive
        elif self._alive[name].shape == alive.shape:
            self._alive[name] = self._alive[name] | alive
        low, high = flat.aminmax()
        tanh = (low >= -1) & (high <= 1) & (low < -0.5) & (high > 0.5)
        sigmoid = (low >= 0) & (high <= 1) & (high > 0.5)
        far = (flat.abs() > _END).float().mean() * tanh
        zeros = (flat == 0).float().mean()  # a ReLU's zeros are no sigmoid's end
        edge = ((flat > _END) | ((flat < 1 - _END) & (flat > 0))).float().mean() * (sigmoid & (zeros < 0.1))
        self._ends.setdefault(name, []).append(torch.maximum(far, edge))

    def layers(self) -> dict[str, Layer]:
        """Numbers by layer."""
        found = {}
        for name, ends in self._ends.items():
            alive, first = self._alive[name], self._first[name]
            saturated = float(torch.stack(ends).median())
            found[name] = Layer(
                1 - float(alive.float().mean()), 1 - float(first.float().mean()), saturated, alive.numel(), len(ends)
            )
        return found
