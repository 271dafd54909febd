"""NW114: a deep plain stack, without norms or residuals, in which the signal fades or grows."""

from collections.abc import Iterator

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.graph import Graph, Node, single
from netwright.doctor.check.ops import NORMS, WEIGHTED
from netwright.doctor.findings import Finding, Severity

CODE, FAULT = "NW114", "missing-normalization"

DEEP = 8
# torch's default initialisation loses a factor of 0.4 a ReLU layer, and eight of them still train;
# beyond float32's resolution nothing is left of the input.
_DRIFT, _LOST = 1e-4, 1e-7
_VERY_DEEP, _DRIFT_DEEP = 11, 1e-2  # the gradient loses the same again on a way so long


def rule(case: Case) -> Iterator[Finding]:
    """Measured on this batch: how much examples still differ at the last hidden layer, against the first."""
    graph = case.quiet or case.training
    if graph is None or not case.fresh:
        return
    chain = plain_chain(graph)
    if len(chain) < DEEP:
        return
    first, last = chain[0].stats, chain[-2].stats
    if first is None or last is None or first.spread <= 0 or not last.finite:
        return
    ratio = last.spread / first.spread
    drift = _DRIFT if len(chain) < _VERY_DEEP else _DRIFT_DEEP
    if drift < ratio < 1 / drift:
        return
    severity: Severity = "error" if ratio < _LOST or ratio > 1 / _LOST else "warning"
    evidence = say(
        "{count} layers in a row without norm or residual; differences between examples "
        "change by a factor of {ratio:.1e} from the first to the last hidden layer.",
        count=len(chain),
        ratio=ratio,
    )
    why = say(
        "Each layer multiplies the signal, and the gradient on the way back, by "
        "about the same factor. Over many layers they vanish or explode."
    )
    remedy = say(
        "Put a batch or layer norm between the layers, add residual "
        "connections, or initialise for the activation (Kaiming for ReLU)."
    )
    yield Finding(CODE, FAULT, severity, chain[0].where, evidence, why, remedy, proven=severity == "error")


def plain_chain(graph: Graph) -> list[Node]:
    """The longest run of weighted layers from the output back in which nothing is normalised and no paths meet."""
    best: list[Node] = []
    run: list[Node] = []
    node = graph.output
    while node is not None:
        if node.op in NORMS:
            run = []
        elif node.op in WEIGHTED and len(node.input_shapes) > 1:
            run = [node, *run]
            best = run if len(run) > len(best) else best
        node = single(node)
    return best
