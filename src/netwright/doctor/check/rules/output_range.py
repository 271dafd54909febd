"""NW107: the last activation cannot reach the targets."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.graph import Graph, Node, single
from netwright.doctor.check.ops import DROPOUTS, RESHAPES
from netwright.doctor.findings import Finding, Severity

CODE, FAULT = "NW107", "output-range"

_INFINITE = float("inf")
_RANGES: dict[str, tuple[float, float]] = {
    "sigmoid": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "softmin": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "sin": (-1.0, 1.0),
    "cos": (-1.0, 1.0),
    "normalize": (-1.0, 1.0),
    "hardtanh": (-1.0, 1.0),
    "relu": (0.0, _INFINITE),
    "softplus": (0.0, _INFINITE),
    "exp": (0.0, _INFINITE),
    "abs": (0.0, _INFINITE),
    "square": (0.0, _INFINITE),
    "sqrt": (0.0, _INFINITE),
    "relu6": (0.0, 6.0),
    "logsigmoid": (-_INFINITE, 0.0),
    "log_softmax": (-_INFINITE, 0.0),
    "elu": (-1.0, _INFINITE),
}
_CLAMPS = {"clamp", "clip", "clamp_min", "clamp_max"}
_SIGNED = {"tanh", "hardtanh", "softsign", "relu", "relu6", "softplus"}  # what no loss of scores or odds wants
_SHARE = 0.01  # of the targets out of reach; a few outliers are no design fault


@dataclass(frozen=True)
class _Reach:
    """What the output can be: the bounding call, and the ends after any constants that scale or shift it."""

    node: Node
    low: float
    high: float


def rule(case: Case) -> Iterator[Finding]:
    """Distances: targets outside the range. Losses of logits or probabilities: an ending that bounds the wrong side."""
    loss, target = case.loss, case.target
    reach = _reach(case.graph) if case.graph is not None else None
    if reach is None or loss is None:
        return
    if loss.expects == "values" and target is not None and isinstance(case.targets, Tensor) and not loss.onehot:
        yield from _unreachable(case, case.targets, reach)
    elif loss.expects == "logits" and reach.node.op in _SIGNED:
        yield from _bounded(case, reach)
    elif loss.expects == "probabilities" and reach.node.op in _SIGNED and (reach.low < 0 or reach.high > 1):
        evidence = say(
            "{kind} at the output, before {loss} that wants values from 0 to 1.", kind=reach.node.op, loss=loss.name
        )
        why = say("The activation gives values outside 0 to 1, whose logarithm is no loss.")
        remedy = say("Use a sigmoid at the output, or none with BCEWithLogitsLoss.")
        yield Finding(CODE, FAULT, "error", reach.node.where, evidence, why, remedy, proven=True)


def _reach(graph: Graph) -> _Reach | None:
    """Walk back from the output to the call that bounds it; None where there is none or the way is not understood."""
    way: list[Node] = []
    node = graph.output
    while node is not None:
        ends = _ends(node)
        if ends is not None:
            low, high = ends
            for step in reversed(way):
                low, high = _moved(step, low, high)
            return _Reach(node, low, high) if low > -_INFINITE or high < _INFINITE else None
        if node.op in {"add", "sub", "mul", "div", "neg"} and _by_constant(node):
            way.append(node)
        elif node.op not in RESHAPES | DROPOUTS:
            return None
        node = single(node)
    return None


def _ends(node: Node) -> tuple[float, float] | None:
    if node.op == "hardtanh":
        return float(node.argument("min_val", 1, -1.0)), float(node.argument("max_val", 2, 1.0))
    if node.op in _CLAMPS:
        places = {"clamp_min": (1, 9), "clamp_max": (9, 1)}.get(node.op, (1, 2))
        low, high = node.argument("min", places[0]), node.argument("max", places[1])
        if not all(end is None or isinstance(end, int | float) for end in (low, high)):
            return None
        return -_INFINITE if low is None else float(low), _INFINITE if high is None else float(high)
    if node.op == "pow":
        power = node.argument("exponent", 1)
        return (0.0, _INFINITE) if isinstance(power, int | float) and power % 2 == 0 else None
    if node.op == "exp" and len(node.parents) != 1:
        return None
    return _RANGES.get(node.op)


def _constant(node: Node) -> list[float]:
    return [float(value) for value in node.args if isinstance(value, int | float) and not isinstance(value, bool)]


def _by_constant(node: Node) -> bool:
    return len(node.parents) == 1 and not node.parameters and (node.op == "neg" or len(_constant(node)) == 1)


def _moved(node: Node, low: float, high: float) -> tuple[float, float]:
    """The range after arithmetic with a constant. `c - x` and `x - c` look alike, so both count; so do the quotients,
    of which one is unbounded around zero.
    """
    if node.op == "neg":
        return -high, -low
    constant = _constant(node)[0]
    if node.op == "add":
        return low + constant, high + constant
    if node.op == "sub":
        return min(low - constant, constant - high), max(high - constant, constant - low)
    if node.op == "mul" and constant:
        ends = sorted((low * constant, high * constant))
        return ends[0], ends[1]
    return -_INFINITE, _INFINITE


def _unreachable(case: Case, targets: Tensor, reach: _Reach) -> Iterator[Finding]:
    share = float(((targets < reach.low - 1e-6) | (targets > reach.high + 1e-6)).double().mean())
    if share < _SHARE or case.target is None:
        return
    kind, where = reach.node.op, reach.node.where
    evidence = say(
        "{kind} reaches {low:g} to {high:g}; {share:.0%} of the targets lie outside (from {least:.3g} to {most:.3g}).",
        kind=kind,
        low=reach.low,
        high=reach.high,
        share=share,
        least=case.target.low,
        most=case.target.high,
    )
    why = say("No weights can produce those targets. The output is driven to its end, where the gradient vanishes.")
    remedy = say("Remove the {kind} at the output, or scale the targets into its range.", kind=kind)
    yield Finding(CODE, FAULT, "error", where, evidence, why, remedy, proven=True, fix=case.without(where))


def _bounded(case: Case, reach: _Reach) -> Iterator[Finding]:
    loss, output, kind = case.loss, case.output, reach.node.op
    assert loss is not None
    count = output.shape[case.class_axis] if output is not None and output.dim() > 1 else 1
    lowest = math.log1p((count - 1) * math.exp(reach.low - reach.high))
    floor = lowest if loss.kind == "cross-entropy" else math.log1p(math.exp(-max(reach.high, -700.0)))
    unreachable = floor > 0.1
    if not unreachable and reach.low < 0:
        return  # scores that are bounded widely on both sides, as some networks want them
    evidence = say("{kind} before {loss}, which wants raw scores of any sign.", kind=kind, loss=loss.name)
    if unreachable:
        evidence += say(" The loss cannot fall below {floor:.3f}.", floor=floor)
    why = say(
        "Scores are bounded, so some answers cannot be given with confidence. A unit at the bound gets no gradient."
    )
    remedy = say("Remove the {kind} after the last layer.", kind=kind)
    severity: Severity = "error" if unreachable else "warning"
    where = reach.node.where
    yield Finding(CODE, FAULT, severity, where, evidence, why, remedy, proven=unreachable, fix=case.without(where))
