"""NW103: softmax or sigmoid at the output of a network whose loss applies its own, or twice in a row."""

import math
from collections.abc import Iterator

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.graph import Node, Output, named
from netwright.doctor.check.ops import DROPOUTS, ODDS, RESHAPES
from netwright.doctor.findings import Finding, Severity

CODE, FAULT = "NW103", "double-softmax"


def rule(case: Case) -> Iterator[Finding]:
    """The output's ending against what the loss expects; then the ending against what stands before it."""
    ending, loss = case.ending, case.loss
    if loss is not None and loss.inside in {"softmax", "sigmoid"} and loss.expects == "logits":
        yield _within(case)
    elif loss is not None and loss.expects == "logits" and not ending.scaled:
        kind = _squashed(case, ending)
        if kind in {"softmax", "sigmoid", "softmin", "logsigmoid"} and not ending.logged:
            yield _squeezed(case, ending, kind)
        elif kind == "log_softmax" or (ending.logged and kind == "softmax"):
            yield _idle(case, ending)
    if ending.node is not None and ending.node.op in ODDS:
        before = case.graph.source(ending.node, RESHAPES | DROPOUTS) if case.graph else None
        if before is not None and before.op in ODDS:
            yield _twice(case, before, ending.node)


def _squashed(case: Case, ending: Output) -> str:
    """By the call, or by the values where the softmax was written by hand: rows that are positive and sum to one."""
    output = case.output
    if ending.kind != "raw" or output is None or output.dim() < 2 or output.shape[1] < 2 or output.shape[0] < 4:
        return ending.kind
    sums = output.double().sum(case.class_axis)
    positive = bool((output >= 0).all()) and float(output.std()) > 0
    return "softmax" if positive and float((sums - 1).abs().max()) < 1e-4 else "raw"


def _squeezed(case: Case, ending: Output, kind: str) -> Finding:
    assert case.loss is not None
    count = case.output.shape[case.class_axis] if case.output is not None and case.output.dim() > 1 else 1
    where = ending.node.where if ending.node is not None else "output"
    floor = _floor(case.loss.kind, count)
    evidence = say(
        "{kind} at the output, and {loss} applies its own: the loss cannot fall below {floor:.3f}.",
        kind=kind,
        loss=case.loss.name,
        floor=floor,
    )
    why = say(
        "The scores reach the loss squeezed into 0 to 1, so confident answers cannot "
        "be given and gradients are weak. Training is slow or stops short."
    )
    remedy = say("Remove the {kind} at the output; apply it only when predicting.", kind=kind)
    return Finding(CODE, FAULT, "error", where, evidence, why, remedy, proven=True, fix=case.without(where))


def _floor(loss: str | None, count: int) -> float:
    """The loss of a perfect answer once scores are confined to [0, 1]."""
    if loss == "cross-entropy" and count > 1:
        return -math.log(math.e / (math.e + count - 1))
    return math.log(1 + math.exp(-1)) if loss == "bce-logits" else 0.0


def _idle(case: Case, ending: Output) -> Finding:
    assert case.loss is not None
    where = ending.node.where if ending.node is not None else "output"
    evidence = say("log-softmax at the output, and {loss} applies it again.", loss=case.loss.name)
    why = say(
        "A log-softmax of a log-softmax is the same, so results are right "
        "but work is done twice. With NLLLoss it would be needed."
    )
    remedy = say("Remove the log-softmax, or use NLLLoss.")
    return Finding(CODE, FAULT, "warning", where, evidence, why, remedy, fix=case.without(where))


def _within(case: Case) -> Finding:
    assert case.loss is not None
    evidence = say(
        "{loss} behaves like {kind} of {inside}(output).",
        loss=case.loss.name,
        kind=case.loss.kind,
        inside=case.loss.inside,
    )
    why = say(
        "{kind} applies {inside} itself, so it is applied twice. The "
        "loss cannot come near zero and gradients are weak.",
        kind=case.loss.kind,
        inside=case.loss.inside,
    )
    remedy = say("Give the raw scores to the loss.")
    return Finding(CODE, FAULT, "error", "loss", evidence, why, remedy, proven=True)


def _twice(case: Case, first: Node, second: Node) -> Finding:
    evidence = say("{second} is applied to the result of {first}.", first=named(first), second=named(second))
    why = say(
        "The second one sees numbers between 0 and 1 and makes them "
        "nearly equal. The network cannot be sure of anything."
    )
    remedy = say("Remove one of the two.")
    severity: Severity = "warning" if first.op == second.op == "log_softmax" else "error"
    fix = case.without(second.where)
    return Finding(CODE, FAULT, severity, second.where, evidence, why, remedy, proven=True, fix=fix)
