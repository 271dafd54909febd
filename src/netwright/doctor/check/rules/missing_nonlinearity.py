"""NW110: linear layers with nothing between them collapse into one."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from netwright.core.messages import few, say
from netwright.doctor.check.case import Case
from netwright.doctor.check.graph import Graph, Node
from netwright.doctor.check.ops import CONVOLUTIONS, DROPOUTS, NORMS, RESHAPES, WEIGHTED
from netwright.doctor.findings import Finding

CODE, FAULT = "NW110", "missing-nonlinearity"

_STRAIGHT = 1e-3

# Averages are linear, and so is a batch norm once its statistics are fixed.
_LINEAR = (
    RESHAPES
    | DROPOUTS
    | {"batch_norm", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool2d", "adaptive_avg_pool1d"}
)
_ARITHMETIC = _LINEAR | WEIGHTED | {"input", "add", "sub", "neg", "mean", "sum", "cat", "stack", "interpolate", "pad"}


def rule(case: Case) -> Iterator[Finding]:
    """Chains in which each layer feeds only the next, and the middle is no bottleneck."""
    graph = case.graph
    if graph is None:
        return
    used = graph.reaching()
    pairs = [pair for node in graph.nodes if node in used and (pair := _pair(graph, node)) is not None]
    layers = [node for node in graph.nodes if node in used and node.op in WEIGHTED]
    if not pairs:
        if len(layers) >= 3 and not _narrow(layers) and all(node.op in _ARITHMETIC | NORMS for node in used):
            yield from _straight(case, layers)
        return
    merged = len({node for pair in pairs for node in pair})
    everything = len(layers) >= 2 and merged == len(layers) and not _narrow(layers)
    places = few([f"{first.where} → {second.where}" for first, second in pairs])
    evidence = say(
        "{count} of {all} layers with weights follow each other without an activation: {places}.",
        count=merged,
        all=len(layers),
        places=places,
    )
    why = say(
        "The product of two linear maps is one linear map, so the second "
        "layer adds weights but nothing that can be expressed."
    )
    remedy = say("Put an activation (ReLU, GELU) between them, or drop one of the layers.")
    yield Finding(
        CODE, FAULT, "error" if everything else "warning", pairs[0][1].where, evidence, why, remedy, proven=everything
    )


def _straight(case: Case, layers: list[Node]) -> Iterator[Finding]:
    """Nothing but sums, averages and norms in the whole network; where no norm bends it, that is measured."""
    off = _bend(case)
    if off is not None and off < _STRAIGHT:
        yield _affine(layers, off)
    elif off is not None:
        evidence = say(
            "The network of {count} layers with weights has norms, but no activation anywhere.", count=len(layers)
        )
        why = say("A norm rescales each example and bends little, so the layers do nearly what one of them could do.")
        remedy = say("Put an activation (ReLU, GELU) after each layer but the last.")
        yield Finding(CODE, FAULT, "warning", layers[0].where, evidence, why, remedy)


def _bend(case: Case) -> float | None:
    """How far the whole network is from a straight line on this batch: f(x - 3 d) - f(x) plus 3 (f(x + d) - f(x))."""
    if case.rerun is None or len(case.few_inputs) != 1 or not isinstance(case.few_inputs[0], Tensor):
        return None
    given = case.few_inputs[0]
    if not given.is_floating_point() or not given.dim() or len(given) < 2 or not bool(torch.isfinite(given).all()):
        return None
    way = given.roll(1, 0) - given
    at, near, far = (case.rerun((given + step * way,)) for step in (0.0, 1.0, -3.0))
    if at is None or near is None or far is None or not float((near - at).abs().max()):
        return None
    return float((far - at + 3 * (near - at)).double().norm() / (3 * (near - at).double().norm()))


def _narrow(layers: list[Node]) -> bool:
    """A linear autoencoder or a low-rank map is meant to be linear."""
    widths = [math.prod(node.input_shapes[1][1:]) for node in layers] + [layers[-1].input_shapes[1][0]]
    return min(widths[1:-1], default=0) < min(widths[0], widths[-1])


def _affine(layers: list[Node], off: float) -> Finding:
    evidence = say(
        "The whole network of {count} layers with weights is a straight line in its input: "
        "three steps change the output by three times one step, up to {off:.1e}.",
        count=len(layers),
        off=off,
    )
    why = say("Sums, averages and residuals of linear maps are one linear map, so depth adds nothing here.")
    remedy = say("Put an activation (ReLU, GELU) after each layer but the last.")
    return Finding(CODE, FAULT, "error", layers[0].where, evidence, why, remedy, proven=True)


def _pair(graph: Graph, node: Node) -> tuple[Node, Node] | None:
    """The linear layer that `node` directly follows, unless the two mean more than one layer could."""
    if node.op not in WEIGHTED or _special(node):
        return None
    way = [node]
    for before in graph.back(node, _LINEAR):
        if len(before.children) != 1:
            return None
        way.append(before)
    first = way[-1]
    if (
        len(way) < 2
        or first.op not in WEIGHTED
        or _special(first)
        or (first.op in CONVOLUTIONS) != (node.op in CONVOLUTIONS)
    ):
        return None
    return None if _bottleneck(first, node) else (first, node)


def _special(node: Node) -> bool:
    """Depthwise convolutions are halves of separable ones, transposed ones of up-samplings: made to be followed
    linearly.
    """
    if "transpose" in node.op or len(node.input_shapes) < 2:
        return True
    return node.op in CONVOLUTIONS and int(node.argument("groups", 6, 1)) > 1


def _bottleneck(first: Node, second: Node) -> bool:
    """Low-rank pairs (LoRA, inverted residuals, the code of an autoencoder) are meant to be linear in the middle."""
    a, b = first.input_shapes[1], second.input_shapes[1]
    middle, least = a[0], min(_width(a), b[0])
    pointwise = len(a) > 2 and math.prod(a[2:]) == math.prod(b[2:]) == 1
    return middle < least or (pointwise and middle == least)


def _width(weight: tuple[int, ...]) -> int:
    return int(weight[1])
