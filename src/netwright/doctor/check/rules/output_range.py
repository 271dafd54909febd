"""NW107: the last activation cannot reach the targets."""

import math
from collections.abc import Iterator

from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.graph import Output
from netwright.doctor.findings import Finding, Severity

CODE, FAULT = "NW107", "output-range"

_INFINITE = float("inf")
_RANGES: dict[str, tuple[float, float]] = {
    "sigmoid": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hardtanh": (-1.0, 1.0),
    "relu": (0.0, _INFINITE),
    "softplus": (0.0, _INFINITE),
    "relu6": (0.0, 6.0),
    "logsigmoid": (-_INFINITE, 0.0),
    "log_softmax": (-_INFINITE, 0.0),
}
_SHARE = 0.01  # of the targets out of reach; a few outliers are no design fault


def rule(case: Case) -> Iterator[Finding]:
    """Distances: targets outside the range. Losses of logits or probabilities: an ending that bounds the wrong side."""
    ending, loss, target = case.ending, case.loss, case.target
    if ending.kind == "raw" or ending.scaled or ending.logged or loss is None:
        return
    low, high = _reach(ending)
    if loss.expects == "values" and target is not None and isinstance(case.targets, Tensor) and not loss.onehot:
        yield from _unreachable(case, case.targets, low, high)
    elif loss.expects == "logits" and ending.kind in {"tanh", "hardtanh", "relu", "relu6", "softplus"}:
        yield from _bounded(case, low, high)
    elif loss.expects == "probabilities" and ending.kind in {"tanh", "hardtanh", "relu", "softplus", "relu6"}:
        evidence = say(
            "{kind} at the output, before {loss} that wants values from 0 to 1.", kind=ending.kind, loss=loss.name
        )
        why = say("The activation gives values outside 0 to 1, whose logarithm is no loss.")
        remedy = say("Use a sigmoid at the output, or none with BCEWithLogitsLoss.")
        yield Finding(CODE, FAULT, "error", _where(case), evidence, why, remedy, proven=True)


def _reach(ending: Output) -> tuple[float, float]:
    node = ending.node
    if ending.kind == "hardtanh" and node is not None:
        return float(node.argument("min_val", 1, -1.0)), float(node.argument("max_val", 2, 1.0))
    return _RANGES.get(ending.kind, (-_INFINITE, _INFINITE))


def _unreachable(case: Case, targets: Tensor, low: float, high: float) -> Iterator[Finding]:
    share = float(((targets < low - 1e-6) | (targets > high + 1e-6)).double().mean())
    if share < _SHARE or case.target is None:
        return
    kind = case.ending.kind
    evidence = say(
        "{kind} reaches {low:g} to {high:g}; {share:.0%} of the targets lie outside (from {least:.3g} to {most:.3g}).",
        kind=kind,
        low=low,
        high=high,
        share=share,
        least=case.target.low,
        most=case.target.high,
    )
    why = say("No weights can produce those targets. The output is driven to its end, where the gradient vanishes.")
    remedy = say("Remove the {kind} at the output, or scale the targets into its range.", kind=kind)
    key = case.layer_key(_where(case))
    yield Finding(
        CODE, FAULT, "error", _where(case), evidence, why, remedy, proven=True, fix={key: None} if key else None
    )


def _bounded(case: Case, low: float, high: float) -> Iterator[Finding]:
    loss, output, kind = case.loss, case.output, case.ending.kind
    assert loss is not None
    count = output.shape[case.class_axis] if output is not None and output.dim() > 1 else 1
    floor = (
        math.log1p((count - 1) * math.exp(low - high)) if loss.kind == "cross-entropy" else math.log1p(math.exp(-high))
    )
    unreachable = floor > 0.1
    evidence = say("{kind} before {loss}, which wants raw scores of any sign.", kind=kind, loss=loss.name)
    if unreachable:
        evidence += say(" The loss cannot fall below {floor:.3f}.", floor=floor)
    why = say(
        "Scores are bounded, so some answers cannot be given with confidence. A unit at the bound gets no gradient."
    )
    remedy = say("Remove the {kind} after the last layer.", kind=kind)
    key = case.layer_key(_where(case))
    severity: Severity = "error" if unreachable else "warning"
    yield Finding(
        CODE, FAULT, severity, _where(case), evidence, why, remedy, proven=unreachable, fix={key: None} if key else None
    )


def _where(case: Case) -> str:
    return case.ending.node.where if case.ending.node is not None else "output"
