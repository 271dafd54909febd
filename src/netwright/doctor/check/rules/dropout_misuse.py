"""NW113: dropout before a batch norm, on the output, or so strong that nothing passes."""

from collections.abc import Iterator

from netwright.core.messages import few, say
from netwright.doctor.check.case import Case
from netwright.doctor.check.graph import Graph, Node
from netwright.doctor.check.ops import ACTIVATIONS, DROPOUTS, POOLS, RESHAPES
from netwright.doctor.findings import Finding, Severity

CODE, FAULT = "NW113", "dropout-misuse"

_STRONG, _TOO_STRONG = 0.75, 0.9


def rule(case: Case) -> Iterator[Finding]:
    """Only dropout that is active in training counts."""
    graph = case.training
    if graph is None:
        return
    used = graph.reaching()
    dropouts = [node for node in graph.nodes if node.op in DROPOUTS and node in used and _rate(node) > 0]
    last = graph.ending().path
    for node in dropouts:
        if _rate(node) >= _STRONG:
            yield _strong(case, node)
        if node in last and case.loss is not None and case.loss.expects is not None:
            yield _output(case, node)
    before = [node for node in dropouts if _feeds_norm(graph, node)]
    if before:
        yield _norm(case, before)


def _rate(node: Node) -> float:
    default = node.op not in DROPOUTS
    rate = node.argument("p", 1, 0.5)
    return float(rate) if node.argument("training", 2, not default) else 0.0


def _strong(case: Case, node: Node) -> Finding:
    rate = _rate(node)
    evidence = say("p={rate:g}: {left:.0%} of the values pass.", rate=rate, left=1 - rate)
    why = say("Hardly anything of the signal is left from step to step, so gradients are mostly noise.")
    remedy = say("Use p between 0.1 and 0.5.")
    key = case.layer_key(node.path)
    fix = {f"{key}.dropout": 0.3} if key else None
    severity: Severity = "error" if rate >= _TOO_STRONG else "warning"
    return Finding(CODE, FAULT, severity, node.where, evidence, why, remedy, proven=rate >= _TOO_STRONG, fix=fix)


def _output(case: Case, node: Node) -> Finding:
    evidence = say("Dropout p={rate:g} stands between the last layer and the loss.", rate=_rate(node))
    why = say("It deletes answers, not features: the loss is taken on scores that were set to zero by chance.")
    remedy = say("Move it before the last layer, or remove it.")
    fix = case.without(node.path)
    return Finding(CODE, FAULT, "error", node.where, evidence, why, remedy, proven=True, fix=fix)


def _feeds_norm(graph: Graph, node: Node) -> bool:
    """Directly, with at most an activation, pooling or reshaping between."""
    while len(node.children) == 1:
        node = node.children[0]
        if node.op == "batch_norm":
            return True
        if node.op not in ACTIVATIONS | RESHAPES | POOLS:
            return False
    return False


def _norm(case: Case, nodes: list[Node]) -> Finding:
    places = few([node.where for node in nodes])
    evidence = say("{count} dropout layer(s) directly before a batch norm: {places}.", count=len(nodes), places=places)
    why = say(
        "Dropout changes the variance in training but not in evaluation, so the "
        "running statistics are wrong when they are used (Li et al., 2019)."
    )
    remedy = say("Put dropout after the last batch norm, or remove it.")
    fix = case.without(nodes[0].path)
    return Finding(CODE, FAULT, "warning", nodes[0].where, evidence, why, remedy, fix=fix)
