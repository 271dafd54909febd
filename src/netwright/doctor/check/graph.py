"""The executed graph of one batch, with what the rules ask about it.

Built on `metrics.architecture.Recorder`, with a few numbers kept of every tensor at the moment it was made (an in-place
activation later overwrites it).
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from netwright.doctor.check.ops import CONVOLUTIONS, DROPOUTS, PREPARED, RECURRENT, RESHAPES, SQUASHES, WEIGHTED
from netwright.metrics.architecture import Node, Recorder

__all__ = [
    "Graph",
    "Node",
    "Output",
    "Stats",
    "Watcher",
    "dimension",
    "gain",
    "loose_tensors",
    "measure",
    "named",
    "single",
]

_LIKE = {"view_as", "reshape_as", "expand_as", "type_as", "to"}
_CELLS = 50_000  # of a tensor that are measured
_PRODUCTS = CONVOLUTIONS | {"linear", "matmul", "mm", "bmm", "addmm", "einsum"}


@dataclass(frozen=True)
class Stats:
    """Numbers of one tensor. `spread`: how much it differs from example to example (root mean square)."""

    low: float
    high: float
    mean: float
    std: float
    spread: float
    finite: bool

    @property
    def rms(self) -> float:
        """Root mean square."""
        return math.hypot(self.mean, self.std)


@dataclass(frozen=True)
class Output:
    """What the network's last steps do to its scores: `kind` is "raw" or the squashing function's name.

    `path` are the nodes from the output back to the squashing one; `logged`: a logarithm was taken after it;
    `scaled`: the result was shifted or stretched by constants, so that its range is unknown.
    """

    kind: str
    node: Node | None
    dim: int | None
    logged: bool = False
    scaled: bool = False
    path: tuple[Node, ...] = ()


@dataclass
class Graph:
    """One recorded pass: `nodes` in order, `output` the last of interest, `first` what the first calls with weights on
    each way from an input were given, `loose` plain tensors of modules that were multiplied with.
    """

    net: nn.Module
    nodes: list[Node]
    output: Node | None
    strays: list[tuple[str, Tensor]]
    inputs: list[Node] = field(default_factory=list)
    first: dict[Node, Tensor] = field(default_factory=dict)
    loose: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, net: nn.Module, recorder: Recorder, watcher: "Watcher") -> "Graph":
        """The graph of a finished recording."""
        made = recorder.nodes, recorder.output, recorder.strays, recorder.inputs
        return cls(net, *made, watcher.first, watcher.seen_loose)

    def parameter(self, name: str) -> Tensor:
        """A parameter of the recorded copy by its name."""
        return self.net.get_parameter(name)

    def weight(self, node: Node) -> Tensor | None:
        """The matrix or kernel of a weighted call."""
        named = (self.parameter(name) for name in node.parameters)
        return next((tensor for tensor in named if tensor.dim() >= 2), None)

    def reaching(self) -> set[Node]:
        """Every node the output depends on."""
        seen: set[Node] = set()
        todo = [self.output] if self.output is not None else []
        while todo:
            node = todo.pop()
            if node not in seen:
                seen.add(node)
                todo += node.parents
        return seen

    def back(self, node: Node, through: set[str]) -> Iterator[Node]:
        """The producers of `node`, one after the other, as long as each is one of `through` and has a single
        producer.
        """
        before = single(node)
        while before is not None:
            yield before
            before = single(before) if before.op in through else None

    def source(self, node: Node, through: set[str]) -> Node | None:
        """The nearest producer of `node` that is not one of `through`; None where several tensors meet before."""
        last = next(iter(deque(self.back(node, through), maxlen=1)), None)
        return last if last is not None and last.op not in through else None

    def ending(self) -> Output:
        """What stands at the output, seen through reshaping, dropout, clamping, logarithms and constants."""
        node, logged, scaled, path = self.output, False, False, []
        while node is not None:
            path.append(node)
            if node.op in SQUASHES:
                return Output(node.op, node, dimension(node), logged, scaled, tuple(path))
            if node.op in {"log", "log2", "log10"}:
                logged = True
            elif node.op in {"add", "sub", "mul", "div", "neg"} and single(node) and not node.parameters:
                scaled = scaled or not _tiny_shift(node)
            elif node.op not in RESHAPES | DROPOUTS | {"clamp", "clamp_min", "clip"}:
                break
            node = single(node)
        return Output("raw", None, None, logged, scaled, tuple(path))


class Watcher:
    """What the recorder calls with each new tensor. `measuring` fills the nodes' stats; what the first calls with
    weights are given is kept, for up to `keep` ways from an input; `loose` are plain tensors to look out for.
    """

    def __init__(self, measuring: bool = True, keep: int = 8, loose: dict[str, Tensor] | None = None) -> None:
        self.first: dict[Node, Tensor] = {}
        self.seen_loose: dict[str, Tensor] = {}
        self._measuring, self._keep = measuring, keep
        self._loose = {id(tensor): (name, tensor) for name, tensor in (loose or {}).items()}

    def __call__(self, node: Node, made: Tensor, args: tuple[Any, ...]) -> None:
        with torch.no_grad():
            node.stats = measure(made) if self._measuring else None
            if node.op in WEIGHTED | RECURRENT and self._is_new(node) and isinstance(args[0], Tensor):
                self.first[node] = args[0].detach().clone()
        if self._loose and node.op in _PRODUCTS:
            for argument in args:
                if id(argument) in self._loose:
                    name, tensor = self._loose[id(argument)]
                    self.seen_loose[name] = tensor

    def _is_new(self, node: Node) -> bool:
        known = any(node.parents == before.parents for before in self.first)
        return not known and len(self.first) < self._keep and _meets_input(node)


def _meets_input(node: Node) -> bool:
    """Whether on some way back to an input there is only reshaping and arithmetic with constants."""
    todo = list(node.parents)
    while todo:
        before = todo.pop()
        if before.op == "input":
            return True
        if before.op in PREPARED and not before.parameters:
            todo += before.parents
    return False


def loose_tensors(net: nn.Module) -> dict[str, Tensor]:
    """Tensors that modules hold as plain attributes, neither parameters nor buffers, by their dotted names."""
    found = {}
    for path, module in net.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor) and value.is_floating_point() and value.dim() >= 2:
                found[f"{path}.{name}".lstrip(".")] = value
    return found


def measure(tensor: Tensor) -> Stats | None:
    """The numbers of a floating-point tensor, on a regular sample of its cells; None for others and empty ones."""
    if not tensor.is_floating_point() or not tensor.numel() or tensor.layout != torch.strided:
        return None
    values = _thinned(tensor.detach()).float()
    low, high = (float(v) for v in values.aminmax())
    finite = abs(low) < float("inf") and abs(high) < float("inf")  # NaN compares false
    std, mean = torch.std_mean(values, correction=0)
    many = values.dim() > 0 and values.shape[0] > 1
    spread = float(values.var(0, correction=0).mean().sqrt()) if many else 0.0
    return Stats(low, high, float(mean), float(std), spread, finite)


def _thinned(tensor: Tensor) -> Tensor:
    """Every k-th cell on each axis but the first, so that measuring costs little beside making the tensor."""
    if tensor.numel() <= _CELLS or tensor.dim() < 2:
        return tensor
    step = math.ceil((tensor.numel() / _CELLS) ** (1 / (tensor.dim() - 1)))
    return tensor[(slice(None), *(slice(None, None, min(step, size)) for size in tensor.shape[1:]))]


def gain(weight: Tensor) -> float:
    """By how much these weights change a signal's size: that of a row, root of the sum of squares; torch's default
    gives 1 / sqrt(3), or 0.58.
    """
    return float(weight.detach().float().square().mean().sqrt() * math.sqrt(weight[0].numel()))


def single(node: Node) -> Node | None:
    """What a call works on, where that is one tensor; another one may give it a shape or a type."""
    alone = len(node.parents) == 1 or (node.parents and node.op in _LIKE)
    return node.parents[0] if alone else None


def dimension(node: Node) -> int | None:
    """The axis a softmax-like call normalises, counted from 0."""
    dim = node.argument("dim", 1)
    if not isinstance(dim, int):
        return None
    return dim % len(node.shape) if node.shape else 0


def named(node: Node) -> str:
    """A place in words: the module's path with the call where they are not one and the same."""
    return f"{node.path} ({node.op})" if node.path else f"forward ({node.op})"


def _tiny_shift(node: Node) -> bool:
    """Adding an epsilon before a logarithm does not move the range."""
    constants = [value for value in node.args if isinstance(value, int | float)]
    return node.op in {"add", "sub"} and len(constants) == 1 and abs(constants[0]) <= 1e-3
