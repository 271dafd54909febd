"""NW105: softmax over a single unit is the constant 1."""

from collections.abc import Iterator

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.graph import dimension
from netwright.doctor.findings import Finding

CODE, FAULT = "NW105", "single-unit-softmax"


def rule(case: Case) -> Iterator[Finding]:
    """At the output, or within a cross-entropy that is given one column."""
    ending, output, loss = case.ending, case.output, case.loss
    node = ending.node
    if node is not None and node.op in {"softmax", "log_softmax", "softmin"}:
        axis = dimension(node)
        if axis is not None and node.shape and node.shape[axis] == 1:
            yield _finding(case, node.where, node.op)
            return
    one = output is not None and output.dim() >= 2 and output.shape[1] == 1
    if one and loss is not None and loss.kind in {"cross-entropy", "nll"} and case.class_axis == 1:
        yield _finding(case, "loss", loss.name)


def _finding(case: Case, where: str, name: str) -> Finding:
    evidence = say("{name} over an axis with a single unit.", name=name)
    why = say(
        "One number divided by itself is 1 whatever the network says, so the loss is constant and nothing is learned."
    )
    remedy = say(
        "Keep one unit with a sigmoid (BCEWithLogitsLoss on the raw score), or use two units with cross-entropy."
    )
    fix = case.changed("loss.name", "bce", "loss")
    return Finding(CODE, FAULT, "error", where, evidence, why, remedy, proven=True, fix=fix)
