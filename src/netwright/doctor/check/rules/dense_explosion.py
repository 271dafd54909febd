"""NW115: one fully connected layer holds most of the network."""

import math
from collections.abc import Iterator

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.graph import Graph, Node
from netwright.doctor.check.ops import CONVOLUTIONS, RESHAPES
from netwright.doctor.findings import Finding

CODE, FAULT = "NW115", "dense-parameter-explosion"

_LARGE, _SHARE = 3_000_000, 0.8


def rule(case: Case) -> Iterator[Finding]:
    """A layer fed by a flattened map; an MLP is nothing but dense layers and has its reasons."""
    graph = case.graph
    if graph is None:
        return
    total = sum(parameter.numel() for parameter in case.net.parameters())
    convolutional = any(node.op in CONVOLUTIONS for node in graph.nodes)
    for node in graph.nodes:
        if node.op != "linear" or len(node.input_shapes) < 2:
            continue
        size = math.prod(node.input_shapes[1])
        if size < _LARGE or size < _SHARE * total or not convolutional or not _flattened(graph, node):
            continue
        outs, ins = node.input_shapes[1]
        evidence = say(
            "{ins:,} inputs to {outs:,} units: {size:,} of {total:,} parameters ({share:.0%}).",
            ins=ins,
            outs=outs,
            size=size,
            total=total,
            share=size / total,
        )
        why = say(
            "The layer reads a whole feature map position by position, learns no shift invariance, and overfits first."
        )
        remedy = say("Pool the map before it (global average pooling), or add strides.")
        yield Finding(CODE, FAULT, "warning", node.where, evidence, why, remedy)
        return


def _flattened(graph: Graph, node: Node) -> bool:
    steps = [node, *graph.back(node, RESHAPES | {"dropout", "relu"})]
    return any(len(step.input_shapes[0]) > 2 and len(step.shape) == 2 for step in steps if step.input_shapes)
