"""Where the first number that is none came from: asked once, at the moment it shows, while the weights are still whole.

On a CPU one small gradient is looked at before every step, which waits for nothing there. On an accelerator it would,
so nothing is looked at.
"""

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from netwright.core.seeds import undisturbed
from netwright.metrics.architecture import private_copy, tensors_in

__all__ = ["Guard"]

_LITTLE = 65_536  # numbers of a gradient that is quickly summed


class Guard:
    """`where` is empty until a NaN or infinity has shown: then "inputs", a module's path, "weights", "loss", or
    "batch" where the next one passes well.
    """

    def __init__(self, net: nn.Module, named: Sequence[tuple[str, nn.Parameter]]) -> None:
        self._net, self._named = net, named
        little = [parameter for _, parameter in named if parameter.is_cpu and parameter.numel() <= _LITTLE]
        self._sentry = little[0] if little else None  # near the inputs: whatever goes wrong behind it reaches it
        self._twin: nn.Module | None = None
        self.given: tuple[tuple[Any, ...], Mapping[str, Any]] | None = None  # of this step's pass, where it was seen
        self.where = ""
        self.asks = False  # for the next pass, which a copy with the weights of the one that failed is to make

    @property
    def on(self) -> bool:
        """Whether there is something that may be looked at on every step."""
        return self._sentry is not None

    def look(self) -> None:
        """Ahead of an optimizer's step."""
        gradient = self._sentry.grad if self._sentry is not None else None
        if gradient is None or self.where or gradient.layout != torch.strided:
            return
        if not math.isfinite(gradient.sum().item()):
            self.find()

    def hear(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        """A training pass begins."""
        self.given = args, named
        if self._twin is not None:
            twin, self._twin, self.asks = self._twin, None, False
            self._name(twin, "batch")

    def find(self) -> None:
        """Name the place. The network runs again, as a copy; on the next batch where this one was not seen."""
        if self.where:
            return
        self.where = self._in_weights() or self._in_backward() or "loss"
        if self.where != "weights":
            twin = private_copy(self._net)
            if self.given is not None:
                self._name(twin, "loss")
            else:
                self._twin, self.asks = twin, True

    def _name(self, twin: nn.Module, otherwise: str) -> None:
        with contextlib.suppress(Exception):  # the user's own network, called once more
            found = self._in_forward(twin)
            self.where = found or (otherwise if self.where == "loss" else self.where)
        self.given = None

    def _in_weights(self) -> str:
        bad = [name for name, parameter in self._named if not _finite(parameter)]
        return "weights" if bad else ""

    def _in_backward(self) -> str:
        """Where gradients come in finite and go out otherwise: the last module whose gradient is none, if not all."""
        reached = [(name, _finite(p.grad)) for name, p in self._named if p.grad is not None]
        bad = [name for name, finite in reached if not finite]
        return bad[-1].rpartition(".")[0] if 0 < len(bad) < len(reached) else ""

    def _in_forward(self, twin: nn.Module) -> str:
        """The first module that gets finite numbers and gives others, or, between modules, the one that gets them."""
        args, named = self.given or ((), {})
        if any(map(_spoilt, tensors_in([*args, *named.values()]))):
            return "inputs"
        bad: list[str] = []
        with undisturbed(), torch.no_grad():
            for name, module in twin.named_modules():
                if name and not list(module.children()):
                    module.register_forward_hook(_noting(name, bad))
            out = twin(*args, **named)
        return bad[0] if bad else "" if all(map(_finite, tensors_in(out))) else "output"


def _noting(name: str, bad: list[str]) -> Callable[..., None]:
    def hook(_: nn.Module, args: Any, output: Any) -> None:
        if not bad and (any(map(_spoilt, tensors_in(args))) or not all(map(_finite, tensors_in(output)))):
            bad.append(name)

    return hook


def _finite(tensor: Tensor) -> bool:
    if not (tensor.is_floating_point() or tensor.is_complex()) or tensor.layout != torch.strided:
        return True
    return bool(torch.isfinite(tensor.detach()).all())


def _spoilt(tensor: Tensor) -> bool:
    """Minus infinity alone is how a mask is told."""
    return not _finite(tensor) and not _finite(tensor.detach().clamp_min(torch.finfo(tensor.dtype).min))
