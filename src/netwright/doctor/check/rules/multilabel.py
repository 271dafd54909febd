"""NW108: several labels an example, but softmax and cross-entropy let only one win."""

from collections.abc import Iterator

from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.findings import Finding

CODE, FAULT = "NW108", "multilabel-as-multiclass"


def rule(case: Case) -> Iterator[Finding]:
    """Rows with more than one 1 against a loss or an output of one-of-many."""
    target, loss, output = case.target, case.loss, case.output
    if target is None or loss is None or target.kind != "multilabel" or not isinstance(case.targets, Tensor):
        return
    several = float((case.targets.double().sum(1) > 1.5).double().mean())
    matching = output is not None and tuple(output.shape[1:]) == target.shape[1:]
    softmax = case.ending.kind in {"softmax", "log_softmax"}
    if several < 0.02 or not matching or not (loss.target_kind == "class" or softmax):
        return
    evidence = say(
        "{share:.0%} of the examples have several labels; {what} makes labels compete.",
        share=several,
        what=loss.name if loss.target_kind == "class" else case.ending.kind,
    )
    why = say(
        "With softmax the labels share one unit of probability, so two right answers can reach a half each at best."
    )
    remedy = say("Use BCEWithLogitsLoss on raw scores, one question a label.")
    fix = case.changed("loss.name", "bce", "loss")
    yield Finding(CODE, FAULT, "error", "loss", evidence, why, remedy, proven=True, fix=fix)
