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
_HUGE, _WIDE = 10_000_000, 4096
_SPARSE = 0.8


def rule(case: Case) -> Iterator[Finding]:
    """A layer fed by a flattened map; or, wherever it stands, one of ten million weights over thousands of inputs."""
    graph = case.graph
    if graph is None or _sparse(case):
        return
    total = sum(parameter.numel() for parameter in case.net.parameters())
    convolutional = any(node.op in CONVOLUTIONS for node in graph.nodes)
    for node in graph.nodes:
        if node.op != "linear" or len(node.input_shapes) < 2 or len(node.input_shapes[1]) != 2:
            continue
        size, (outs, ins) = math.prod(node.input_shapes[1]), node.input_shapes[1]
        if size < _LARGE or size < _SHARE * total:
            continue
        of_map = _flattened(graph, node)
        if (of_map and convolutional) or (size >= _HUGE and ins >= _WIDE and outs < ins) or (of_map and ins >= _WIDE):
            yield _finding(node, size, total, of_map)
            return


def _sparse(case: Case) -> bool:
    """Bags of words and one-hot codes need a row of weights a word."""
    sample = case.sample
    return sample is not None and sample.dim() == 2 and float((sample == 0).double().mean()) >= _SPARSE


def _flattened(graph: Graph, node: Node) -> bool:
    steps = [node, *graph.back(node, RESHAPES | {"dropout", "relu"})]
    return any(len(step.input_shapes[0]) > 2 and len(step.shape) == 2 for step in steps if step.input_shapes)


def _finding(node: Node, size: int, total: int, of_map: bool) -> Finding:
    outs, ins = node.input_shapes[1]
    evidence = say(
        "{ins:,} inputs to {outs:,} units: {size:,} of {total:,} parameters ({share:.0%}).",
        ins=ins,
        outs=outs,
        size=size,
        total=total,
        share=size / total,
    )
    if of_map:
        why = say(
            "The layer reads a whole feature map position by position, learns no shift invariance, and overfits first."
        )
        remedy = say("Pool the map before it (global average pooling), or add strides.")
    else:
        why = say("Nearly all of the network is one matrix, far larger than what the examples can determine.")
        remedy = say("Make its inputs fewer first (pooling, selection, an embedding), or give it far fewer units.")
    return Finding(CODE, FAULT, "warning", node.where, evidence, why, remedy)
