"""The parts of a recorded pass: what a call and a module's call keep, and how calls are named."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Call", "Node", "Shape", "call_name", "literal", "main_tensor", "tensors_in"]

Shape = tuple[int, ...]

# Attribute reads that give a tensor; what else is read (shape, dtype, device) is no step of the network.
_VIEWS = dict.fromkeys(("T", "mT", "H", "mH"), "transpose") | {"data": "detach", "real": "real", "imag": "imag"}
_QUIET = {
    "size",
    "dim",
    "numel",
    "stride",
    "is_floating_point",
    "requires_grad_",
    "retain_grad",
    "backward",
    "register_hook",
}
_NAMES = {
    **dict.fromkeys(["truediv", "true_divide", "divide", "rtruediv", "rdiv", "itruediv", "idiv"], "div"),
    **dict.fromkeys(["multiply", "rmul", "imul"], "mul"),
    **dict.fromkeys(["subtract", "rsub", "isub"], "sub"),
    **dict.fromkeys(["radd", "iadd"], "add"),
    **dict.fromkeys(["rpow", "ipow"], "pow"),
    **dict.fromkeys(["concat", "concatenate"], "cat"),
    **{"floordiv": "floor_divide", "rmatmul": "matmul", "special_expit": "sigmoid"},
    **{"swapaxes": "transpose", "movedim": "permute"},
}


@dataclass(eq=False)
class Node:
    """One call. `path` is the module at work; `parents` made its tensors; `parameters` are the net's own that it
    used.
    """

    index: int
    op: str
    path: str
    parents: list["Node"]
    parameters: list[str]
    input_shapes: list[Shape]
    shape: Shape
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)
    stats: Any = None

    def argument(self, name: str, position: int, default: Any = None) -> Any:
        """The value the call was given by name or position; tensors stand there as their shapes."""
        if name in self.kwargs:
            return self.kwargs[name]
        return self.args[position] if position < len(self.args) else default

    @property
    def where(self) -> str:
        """A place a reader finds: the module's path, and the call's name where it is not the module's own."""
        return self.path or f"forward: {self.op}"

    def __repr__(self) -> str:
        return f"Node({self.index} {self.op} @{self.path or '.'} {self.shape})"


@dataclass(eq=False)
class Call:
    """One call of one module; `flops` and `bytes` are filled by a meter and include the modules inside."""

    path: str
    module: nn.Module
    depth: int
    input_shapes: list[Shape]
    output_shapes: list[Shape] = field(default_factory=list)
    inputs: list[Node] = field(default_factory=list)
    outputs: list[Node] = field(default_factory=list)
    flops: int = 0
    bytes: int = 0


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor inside tuples, lists, dicts and dataclass-like outputs, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, torch.distributions.Distribution):
        for name in ("logits", "probs", "loc", "scale"):
            if isinstance(part := vars(value).get(name), Tensor):
                yield part


def main_tensor(output: Any) -> Tensor | None:
    """The tensor a loss would look at: the output itself, its `logits`, or the first floating-point tensor inside."""
    if isinstance(output, Tensor):
        return output
    parts = output if isinstance(output, Mapping) else getattr(output, "__dict__", {})
    for name in ("logits", "out", "output", "prediction", "predictions", "reconstruction"):
        if isinstance(part := parts.get(name), Tensor):
            return part
    return next((tensor for tensor in tensors_in(output) if tensor.is_floating_point()), None)


def call_name(func: Any) -> str | None:
    """A call's plain name: in-place, dunder and reflected forms become the same word; None for what makes no tensor."""
    name = getattr(func, "__name__", "") or type(func).__name__
    if name == "__get__":
        return _VIEWS.get(getattr(getattr(func, "__self__", None), "__name__", ""))
    if name == "__set__" or name in _QUIET:
        return None
    name = name.strip("_")
    return _NAMES.get(name, name)


def literal(value: Any) -> Any:
    if isinstance(value, Tensor):
        return tuple(value.shape)
    if isinstance(value, tuple | list):
        return tuple(literal(item) for item in value)
    if isinstance(value, dict):
        return {key: literal(item) for key, item in value.items()}
    return value
