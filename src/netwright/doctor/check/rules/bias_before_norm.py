"""NW112: a bias that the next norm removes."""

from collections.abc import Iterator

from netwright.core.messages import few, say
from netwright.doctor.check.case import Case
from netwright.doctor.check.graph import Graph, Node
from netwright.doctor.check.ops import DROPOUTS, RESHAPES, WEIGHTED
from netwright.doctor.findings import Finding

CODE, FAULT = "NW112", "bias-before-norm"


def rule(case: Case) -> Iterator[Finding]:
    """Told once for the whole network: it is waste, not harm."""
    graph = case.training
    if graph is None:
        return
    places, wasted = [], 0
    for node in graph.nodes:
        bias = _bias(graph, node)
        if bias and _feeds_a_norm(node):
            places.append(node.where)
            wasted += bias
    if not places:
        return
    evidence = say(
        "{count} layer(s) with a bias directly before a norm that subtracts the mean: {shown} ({wasted:,} parameters).",
        count=len(places),
        shown=few(places),
        wasted=wasted,
    )
    why = say(
        "The norm takes each channel's mean away, and the bias with it. It gets no gradient and costs memory and time."
    )
    remedy = say("Build these layers with bias=False; the norm has a shift of its own.")
    yield Finding(CODE, FAULT, "note", places[0], evidence, why, remedy)


def _bias(graph: Graph, node: Node) -> int:
    if node.op not in WEIGHTED:
        return 0
    return sum(graph.parameter(name).numel() for name in node.parameters if graph.parameter(name).dim() == 1)


def _feeds_a_norm(node: Node) -> bool:
    """Directly, or after reshaping and dropout that is off."""
    while len(node.children) == 1:
        node = node.children[0]
        idle = node.op in DROPOUTS and not node.argument("p", 1, 0.5)
        if not (node.op in RESHAPES or idle):
            return _removes_mean(node)
    return False


def _removes_mean(node: Node) -> bool:
    """Batch norm on batch statistics and instance norm do so channel by channel; layer and group norm only on
    average.
    """
    if node.op == "batch_norm":
        return bool(node.argument("training", 5, False))
    return node.op == "instance_norm" or (node.op == "group_norm" and node.argument("num_groups", 1) == node.shape[1])
