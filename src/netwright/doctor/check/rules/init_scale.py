"""NW117: activations or the first loss far from what an initialisation should give."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.graph import Graph, Node, gain
from netwright.doctor.check.ops import RECURRENT, WEIGHTED
from netwright.doctor.check.rules.missing_normalization import DEEP, plain_chain
from netwright.doctor.findings import Finding, Severity

CODE, FAULT = "NW117", "bad-init-scale"

_GAIN, _WILD = 10.0, 300.0  # of a signal's size over one layer; the usual schemes give 0.2 to 2
_FADED, _WEAK = 1e-3, 0.1


def rule(case: Case) -> Iterator[Finding]:
    """One layer that blows the signal up, a stack that fades, or a first loss far above that of equal odds."""
    graph = case.quiet or case.training
    if graph is None or not case.fresh or not case.finite:
        return
    worst = max(((_gain(graph, node), node) for node in graph.nodes), key=lambda pair: pair[0], default=(0.0, None))
    # Heads are made for many classes, and then given few; what that does to the loss is seen below.
    last = next((node for node in graph.ending().path if node.op in WEIGHTED), None)
    if worst[1] is not None and worst[0] > (_GAIN if worst[1] is not last else 2 * _GAIN):
        yield _loud(worst[1], worst[0])
        return
    if (held := _tables(graph)) is not None:
        yield held
        return
    chain = plain_chain(graph)
    if 2 <= len(chain) < DEEP and (faded := _faded(graph, chain)) is not None:
        yield faded
    else:
        yield from _first_loss(case, graph)


def _gain(graph: Graph, node: Node) -> float:
    """Output size over input size, where the weights (not a bias on a small input) make it."""
    if node.op not in WEIGHTED or len(node.parents) != 1 or node.stats is None or not node.stats.finite:
        return 0.0
    weight, before = graph.weight(node), node.parents[0].stats
    if weight is None or before is None or before.rms <= 0:
        return 0.0
    return float(min(node.stats.rms / before.rms, 4 * _usual(graph, node)))


def _usual(graph: Graph, node: Node) -> float:
    weight = graph.weight(node)
    return gain(weight) if weight is not None else 0.0


def _tables(graph: Graph) -> Finding | None:
    """Recurrent weights and embeddings, whose signal is bounded or has no input to be compared with."""
    for node in graph.nodes:
        if node.op in RECURRENT:
            for name in node.parameters:
                weight = graph.parameter(name).detach().float()
                spread = float(weight.std(correction=0))
                if weight.dim() > 1 and spread * weight[0].numel() ** 0.5 > _GAIN:
                    return _wide(name, spread, weight[0].numel() ** -0.5)
        elif node.op == "embedding" and node.stats is not None and node.stats.rms > _GAIN:
            return _wide(node.parameters[0] if node.parameters else node.where, node.stats.rms, 1.0)
    return None


def _wide(name: str, size: float, usual: float) -> Finding:
    evidence = say("{name} has a standard deviation of {size:.3g}; about {usual:.2g} is usual.", name=name, size=size,
                   usual=usual)  # fmt: skip
    why = say("Gates and attention are driven to their ends by such weights, and pass hardly any gradient there.")
    remedy = say("Initialise with torch's default, Kaiming or Xavier instead of a fixed standard deviation.")
    return Finding(CODE, FAULT, "warning", name, evidence, why, remedy)


def _loud(node: Node, grown: float) -> Finding:
    severity: Severity = "error" if grown > _WILD else "warning"
    evidence = say(
        "The signal grows by a factor of {gain:.3g} in this layer ({shape} weights).",
        gain=grown,
        shape=tuple(node.input_shapes[1]),
    )
    why = say(
        "Weights should keep the size of the signal, about 1/sqrt(inputs) each. "
        "Large ones saturate what follows and make the first gradients explode."
    )
    remedy = say("Initialise with torch's default, Kaiming or Xavier instead of a fixed standard deviation.")
    return Finding(CODE, FAULT, severity, node.where, evidence, why, remedy, proven=severity == "error")


def _faded(graph: Graph, chain: list[Node]) -> Finding | None:
    source = chain[0].parents[0].stats if chain[0].parents else None
    last = chain[-2].stats
    weakest = min(_usual(graph, node) for node in chain[:-1])
    if source is None or last is None or source.spread <= 0 or weakest == 0:
        return None  # a layer of zeros is another matter
    ratio = last.spread / source.spread
    if ratio > _FADED or weakest > _WEAK:
        return None  # sigmoids flatten too, with weights of the usual size
    evidence = say(
        "Differences between examples shrink by a factor of {ratio:.1e} over {count} hidden layer(s).",
        ratio=ratio,
        count=len(chain) - 1,
    )
    why = say("Weights this small make all examples look alike to the later layers, and gradients are as small.")
    remedy = say("Initialise with torch's default, Kaiming or Xavier.")
    return Finding(CODE, FAULT, "warning", chain[0].where, evidence, why, remedy)


def _first_loss(case: Case, graph: Graph) -> Iterator[Finding]:
    output, targets, loss = case.output, case.few_targets, case.loss
    if loss is None or output is None or not isinstance(targets, Tensor) or case.trouble is not None:
        return
    if loss.kind != "cross-entropy" or loss.inside or loss.onehot or targets.is_floating_point() or _unscaled(graph):
        return
    count = output.shape[case.class_axis]
    rows = output.movedim(case.class_axis, -1).reshape(-1, count).float()
    labels = targets.reshape(-1).long()
    if count < 2 or rows.shape[0] != labels.shape[0] or int(labels.max()) >= count:
        return
    with torch.no_grad():
        value = float(F.cross_entropy(rows, labels))
    even = math.log(count)
    if value > 4 * even and value - even > 2:
        evidence = say(
            "The first loss is {value:.3g}; equal odds for {count} classes give {even:.3g}.",
            value=value,
            count=count,
            even=even,
        )
        why = say(
            "The untrained network is sure of wrong answers: its scores "
            "are spread too widely. The first steps only undo that."
        )
        remedy = say(
            "Scale down the initialisation of the last layer (or, with tied "
            "embeddings, of the embedding: a standard deviation of 0.02)."
        )
        yield Finding(CODE, FAULT, "warning", "output", evidence, why, remedy)


def _unscaled(graph: Graph) -> bool:
    """Large inputs explain a large loss, and have a rule of their own; cosines are scaled up on purpose."""
    if any(node.op == "normalize" for node in graph.reaching()):
        return True
    return any(float(tensor.float().abs().max()) > 30 for tensor in graph.first.values() if tensor.numel())
