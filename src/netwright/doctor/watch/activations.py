"""Hooks for a sampled step: what reaches each weighted layer, what goes into the network and what comes out of it.
Functional activations are seen too, since the input of the next layer is looked at and not the output of a module.

Of a batch a few numbers are enough; what they say adds up over the samples. A sampled step only copies them; they are
reckoned with some steps at a time, since on a small network each call of torch counts. All of it stays on the device.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from netwright.doctor.watch.copies import Quiet
from netwright.doctor.watch.signals import Layer

__all__ = ["Activations"]

_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_END = 0.97
_EXAMPLES, _CELLS = 32, 8192  # of a batch: examples at most, numbers of a layer at most
_ROWS, _WIDTH, _BATCHES = 16, 256, 10  # of what goes in and comes out; batches that are looked at
_HELD = 8  # samples that are reckoned with at once


class Activations:
    """`layers`, `answers` and `inputs` turn what was copied into numbers."""

    def __init__(self, net: nn.Module) -> None:
        weighted = [(name, module) for name, module in net.named_modules() if isinstance(module, _WEIGHTED)]
        self._places = [(module, Quiet(self._hook(name, module))) for name, module in weighted[1:]]  # first: the data
        # of the last one, what comes out: a hook on the network itself could not be taken off from within its own hooks
        self._last, self._output = [module for name, module in weighted[-1:] if name], Quiet(self._leaving)
        self._held: dict[str, list[Tensor]] = {}
        self._alive: dict[str, Tensor] = {}
        self._first: dict[str, Tensor] = {}
        self._ends: dict[str, list[Tensor]] = {}
        self._out: list[Tensor] = []
        self._answers: list[float] = []
        self._inputs: list[Tensor] = []
        self.classes = self.batch = 0

    def attach(self) -> list[RemovableHandle]:
        """Put the hooks on; the caller takes them off after the step."""
        handles = [module.register_forward_pre_hook(hook) for module, hook in self._places]
        return [*handles, *(module.register_forward_hook(self._output) for module in self._last)]

    def entering(self, value: object) -> None:
        """The network's first argument, in a sampled step."""
        if not isinstance(value, Tensor) or value.dim() < 2:
            return
        self.batch = min(self.batch or value.shape[0], value.shape[0])
        if value.shape[0] > 1 and len(self._inputs) < _BATCHES:
            rows = value.detach()[:_ROWS]
            self._inputs.append((rows[1:] == rows[:1]).all())

    def _leaving(self, _: nn.Module, __: Any, output: Any) -> None:
        value = output
        if isinstance(value, Tensor) and torch.is_grad_enabled() and value.dim() > 0 and value.shape[0] > 1:
            self.classes = value.shape[1] if value.dim() == 2 else 0
            rows = value.detach()[:_ROWS]
            self._out.append((rows.flatten(1)[:, :_WIDTH] if rows.dim() > 1 else rows[:, None]).clone())
            if len(self._out) >= 4 * _HELD:
                self._settle()

    def _hook(self, name: str, module: nn.Module) -> Callable[[nn.Module, tuple[object, ...]], None]:
        spatial = not isinstance(module, nn.Linear)

        def look(_: nn.Module, args: tuple[object, ...]) -> None:
            value = args[0] if args else None
            if isinstance(value, Tensor) and value.is_floating_point() and value.dim() > 1 and torch.is_grad_enabled():
                with torch.no_grad():
                    self._take(name, value.detach(), spatial)

        return look

    def _take(self, name: str, value: Tensor, spatial: bool) -> None:
        held = self._held.setdefault(name, [])
        held.append(_few(value, spatial))
        if len(held) >= _HELD:
            self._reckon(name)

    def _reckon(self, name: str) -> None:
        """What the copies held of a layer say. Shapes: each (N, C), of units that may differ in number by then."""
        for flat in _joined(self._held.pop(name)):
            alive = (flat != 0).any(1)
            self._first.setdefault(name, alive[0])
            if self._first[name].shape != alive.shape[1:]:
                continue
            before = self._alive.get(name)
            now = alive.any(0)
            self._alive[name] = now if before is None else before | now
            self._ends.setdefault(name, []).append(_ends(flat))

    def layers(self) -> dict[str, Layer]:
        """Numbers by layer."""
        for name in list(self._held):
            self._reckon(name)
        found = {}
        for name, ends in self._ends.items():
            alive, first, shares = self._alive[name], self._first[name], torch.cat(ends)
            found[name] = Layer(
                1 - float(alive.float().mean()), 1 - float(first.float().mean()), float(shares.median()),
                alive.numel(), len(shares),
            )  # fmt: skip
        return found

    def answers(self) -> list[float]:
        """By sampled step, how far the outputs of a batch lie apart, over their size."""
        self._settle()
        return list(self._answers)

    def _settle(self) -> None:
        for rows in self._out:
            low, high = rows.float().aminmax(dim=0)
            size = float(torch.maximum(high.abs(), low.abs()).max())
            self._answers.append(float((high - low).max()) / max(size, 1e-30))
        self._out = []

    def inputs(self) -> list[bool]:
        """By sampled step, whether all examples of the batch were the same."""
        return [bool(same) for same in self._inputs]


def _few(value: Tensor, spatial: bool) -> Tensor:
    """A copy of some numbers of every unit. Shapes: (B, C) or (B, ..., C), or with `spatial` (B, C, ...), to (N, C)."""
    if value.shape[0] > _EXAMPLES:
        value = value[:: value.shape[0] // _EXAMPLES]
    if value.dim() > 2:
        apart = max(1, value.numel() // _CELLS)
        value = value.flatten(2).movedim(1, -1) if spatial else value.flatten(1, -2)
        value = value[:, ::apart].flatten(0, 1)
    if value.numel() > 2 * _CELLS:
        value = value[:: max(1, value.numel() // _CELLS)]
    return value.clone(memory_format=torch.contiguous_format)


def _joined(copies: list[Tensor]) -> list[Tensor]:
    """Shapes: (N, C) each, to (S, N, C), in one where they are alike."""
    alike = all(one.shape == copies[0].shape and one.dtype == copies[0].dtype for one in copies)
    return [torch.stack(copies)] if alike else [one[None] for one in copies]


def _ends(flat: Tensor) -> Tensor:
    """The share of activations at the ends of a tanh, or of a sigmoid; a ReLU's zeros are no sigmoid's end.

    Shapes: (S, N, C), to (S,).
    """
    flat = flat.flatten(1).float()
    low, high = flat.aminmax(dim=1)
    size = flat.abs()
    above = (size > _END).float().mean(1)
    inside = (high <= 1) & (high > 0.5)
    tanh = inside & (low >= -1) & (low < -0.5)
    zeros = (flat == 0).float().mean(1)
    under = (size < 1 - _END).float().mean(1) - zeros
    return above * tanh + (above + under) * (inside & (low >= 0) & (zeros < 0.1))
