"""NW111: an activation on an activation."""

from collections.abc import Iterator

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.graph import Graph, Node, named
from netwright.doctor.check.ops import ACTIVATIONS, DROPOUTS, ODDS, POOLS, RESHAPES
from netwright.doctor.findings import Finding, Severity

CODE, FAULT = "NW111", "redundant-activation"

_SOFT = {"softmax", "log_softmax", "softmin", "gumbel_softmax"}
_GATES = {"glu", "threshold"}


def rule(case: Case) -> Iterator[Finding]:
    """Every activation whose nearest producer is an activation too."""
    graph = case.quiet or case.training
    if graph is None:
        return
    ending = graph.ending().node
    for node in graph.nodes:
        if node.op not in ACTIVATIONS - _GATES or (node.op in _SOFT and node is not ending):
            continue  # softmax inside is attention, and scores there may well be rectified (GAT)
        before = graph.source(node, RESHAPES | DROPOUTS | POOLS)
        if before is None or before.op not in ACTIVATIONS - _GATES:
            continue
        if node.op in ODDS and before.op in ODDS:
            continue  # double-softmax tells of these
        yield _finding(case, graph, before, node, at_end=node is ending)


def _finding(case: Case, graph: Graph, first: Node, second: Node, at_end: bool) -> Finding:
    half = at_end and second.op in ODDS and first.op in {"relu", "relu6", "sigmoid", "softplus"}
    severity: Severity = "error" if half and second.op == "sigmoid" else "warning"
    evidence = say("{second} follows {first} directly.", first=named(first), second=named(second))
    if half and second.stats is not None:
        evidence += say(
            " Its values on this batch run from {low:.3g} to {high:.3g}.", low=second.stats.low, high=second.stats.high
        )
    same = first.op == second.op == "relu"
    if half:
        why = say(
            "The first one removes all negative scores, so the second "
            "can never say no: half of its range is out of reach."
        )
    elif same:
        why = say("A ReLU of a ReLU is the same ReLU: nothing is gained. A layer between them may have been forgotten.")
    else:
        why = say(
            "The second one works on a range the first has already bent, "
            "which weakens gradients without adding anything."
        )
    remedy = say("Remove {first}.", first=named(first)) if at_end else say("Remove one of the two.")
    fix = case.without(first.where)
    return Finding(CODE, FAULT, severity, second.where, evidence, why, remedy, proven=half, fix=fix)
