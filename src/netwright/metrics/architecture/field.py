"""Receptive field and depth, carried along the graph of one forward pass.

For a window of kernel k, dilation d and stride s over a map whose cells are `step` input cells apart, the reach grows
by (k - 1) d step and the step by s (Araujo, Norris & Sim, "Computing Receptive Fields of Convolutional Neural
Networks", Distill 2019). Where paths meet (residuals, Inception) the larger reach counts. Reach ends where positions
end: global pooling, flattening, attention, and a sum with what attention gave. Gates computed from a globally pooled
map (squeeze-excite) do not count. A network with attention or recurrence looks farther than its windows, so as a whole
it has no reach.
"""

import math
from dataclasses import dataclass

from netwright.metrics.architecture.flow import kind_of
from netwright.metrics.architecture.node import Node

__all__ = ["Field", "depths", "fields", "widest"]

_GLOBAL = {"matmul", "bmm", "einsum", "scaled_dot_product_attention", "multi_head_attention_forward", "lstm", "gru"}
_GLOBAL |= {"rnn_tanh", "rnn_relu", "embedding", "bilinear"}
_RESHAPES = {
    "view",
    "reshape",
    "flatten",
    "unflatten",
    "squeeze",
    "unsqueeze",
    "mean",
    "sum",
    "amax",
    "max",
    "getitem",
    "select",
}
WEIGHTED = {
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "matmul",
}
WEIGHTED |= {
    "bmm",
    "einsum",
    "lstm",
    "gru",
    "rnn_tanh",
    "rnn_relu",
    "multi_head_attention_forward",
    "bilinear",
    "addmm",
}
WEIGHTED |= {"lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"}


@dataclass(frozen=True)
class Field:
    """How many input cells a cell sees, and how far apart neighbours are, on each spatial axis; `seen`: a window was
    met.
    """

    reach: tuple[float, ...]
    step: tuple[float, ...]
    seen: bool = False


def fields(nodes: list[Node]) -> dict[Node, Field]:
    """The receptive field after every call that still has positions."""
    found: dict[Node, Field] = {}
    ended: set[Node] = set()  # calls that follow the input, and no longer have a reach
    for node in nodes:
        field = _input(node) if node.op == "input" else _after(node, [found[p] for p in node.parents if p in found])
        if field is None or (node.op == "add" and any(p in ended and p.shape == node.shape for p in node.parents)):
            if node.op == "input" or any(parent in found or parent in ended for parent in node.parents):
                ended.add(node)
        else:
            found[node] = field
    return found


def widest(nodes: list[Node], found: dict[Node, Field]) -> int | None:
    """The reach of a whole network; None where it has none."""
    if kind_of(nodes) in ("attention", "recurrence"):
        return None
    return max((int(max(field.reach)) for field in found.values() if field.seen), default=None)


def depths(nodes: list[Node]) -> dict[Node, int]:
    """How many layers with weights lie on the longest way from an input to each call."""
    found: dict[Node, int] = {}
    for node in nodes:
        weighted = node.op in WEIGHTED and bool(node.parameters)
        found[node] = max((found[parent] for parent in node.parents), default=0) + weighted
    return found


def _input(node: Node) -> Field | None:
    axes = len(node.shape) - 2
    return Field((1.0,) * axes, (1.0,) * axes) if axes > 0 else None


def _after(node: Node, before: list[Field]) -> Field | None:
    axes = max((len(field.reach) for field in before), default=0)
    before = [field for field in before if len(field.reach) == axes]
    if not before or node.op in _GLOBAL or len(node.shape) < axes + 1:
        return None
    joined = Field(
        tuple(max(column) for column in zip(*(field.reach for field in before), strict=True)),
        tuple(max(column) for column in zip(*(field.step for field in before), strict=True)),
        any(field.seen for field in before),
    )
    return _window(node, joined, axes)


def _window(node: Node, field: Field, axes: int) -> Field | None:
    op = node.op
    if op.startswith("conv_transpose"):
        return _transposed(node, field, axes)
    if op in {"conv1d", "conv2d", "conv3d"} and len(node.input_shapes[1]) == axes + 2:
        return _slide(field, node.input_shapes[1][2:], node.argument("stride", 3, 1), node.argument("dilation", 5, 1))
    if op.startswith(("max_pool", "avg_pool", "lp_pool")):
        kernel = node.argument("kernel_size", 1)
        dilation = node.argument("dilation", 4, 1) if op.startswith("max") else 1
        return _slide(field, kernel, node.argument("stride", 2, None) or kernel, dilation)
    if op.startswith("adaptive_") or op in {"interpolate", "upsample"}:
        return _resized(node, field, axes)
    moved = op in _RESHAPES and node.shape[-axes:] != node.input_shapes[0][-axes:]
    return None if moved or (op == "linear" and len(node.shape) < 3) else field


def _slide(field: Field, kernel: object, stride: object, dilation: object) -> Field:
    axes = len(field.reach)
    k, s, d = _each(kernel, axes), _each(stride, axes), _each(dilation, axes)
    reach = tuple(field.reach[i] + (k[i] - 1) * d[i] * field.step[i] for i in range(axes))
    return Field(reach, tuple(field.step[i] * s[i] for i in range(axes)), True)


def _transposed(node: Node, field: Field, axes: int) -> Field:
    finer = Field(
        field.reach, tuple(a / b for a, b in zip(field.step, _each(node.argument("stride", 3, 1), axes), strict=True))
    )
    kernel, stride = node.input_shapes[1][2:], _each(node.argument("stride", 3, 1), axes)
    # A cell of the finer map is fed by ceil(k / s) cells of the coarser one.
    reach = tuple(finer.reach[i] + (math.ceil(kernel[i] / stride[i]) - 1) * field.step[i] for i in range(axes))
    return Field(reach, finer.step, True)


def _resized(node: Node, field: Field, axes: int) -> Field | None:
    before, after = node.input_shapes[0][-axes:], node.shape[-axes:]
    if before == after:
        return field
    if all(size == 1 for size in after):
        return None
    ratio = tuple(a / b for a, b in zip(before, after, strict=True))
    if node.op.startswith("adaptive_"):
        return _slide(field, tuple(math.ceil(r) for r in ratio), tuple(max(1, int(r)) for r in ratio), 1)
    return Field(field.reach, tuple(s * r for s, r in zip(field.step, ratio, strict=True)), field.seen)


def _each(value: object, axes: int) -> tuple[int, ...]:
    if isinstance(value, tuple | list):
        return tuple(int(v) for v in value) if len(value) == axes else (int(value[0]),) * axes
    return (int(value),) * axes  # type: ignore[call-overload,no-any-return]
