"""NW110: linear layers with nothing between them collapse into one."""

from collections.abc import Iterator

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.graph import Graph, Node
from netwright.doctor.check.ops import CONVOLUTIONS, DROPOUTS, RESHAPES, WEIGHTED
from netwright.doctor.findings import Finding

CODE, FAULT = "NW110", "missing-nonlinearity"

# Averages are linear, and so is a batch norm once its statistics are fixed.
_LINEAR = (
    RESHAPES
    | DROPOUTS
    | {"batch_norm", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool2d", "adaptive_avg_pool1d"}
)


def rule(case: Case) -> Iterator[Finding]:
    """Chains in which each layer feeds only the next, and the middle is no bottleneck."""
    graph = case.graph
    if graph is None:
        return
    used = graph.reaching()
    pairs = [pair for node in graph.nodes if node in used and (pair := _pair(graph, node)) is not None]
    if not pairs:
        return
    layers = [node for node in graph.nodes if node in used and node.op in WEIGHTED]
    merged = len({node for pair in pairs for node in pair})
    everything = len(layers) >= 2 and merged == len(layers)
    places = ", ".join(f"{first.where} → {second.where}" for first, second in pairs[:4])
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
    middle = a[0]
    return middle < min(_width(a), b[0])


def _width(weight: tuple[int, ...]) -> int:
    return int(weight[1])
