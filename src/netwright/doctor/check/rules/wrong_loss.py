"""NW106: the loss does not fit the kind of target."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.losses import LossView
from netwright.doctor.check.targets import TargetView
from netwright.doctor.findings import Finding, Severity

CODE, FAULT = "NW106", "wrong-loss"

_DISTANCES = {"mse", "mae", "huber", "distance"}
_LINEAR = {"nll", "kl"}  # a product of output and target, which many other aims are too, with either sign
_FEW_CLASSES = 1000
_FEW_FLOATS = 9


def rule(case: Case) -> Iterator[Finding]:
    """Kind of loss against kind of target; then its sign."""
    loss, target = case.loss, case.target
    if loss is None or target is None:
        return
    if loss.kind in _DISTANCES and not case.reconstructs:
        yield from _distance(case, loss, target)
    elif loss.target_kind == "binary":
        yield from _binary(case, loss, target)
    elif loss.target_kind == "class" and target.kind == "number" and not target.integer:
        yield from _classes(case, loss, target)
    elif loss.kind is None and target.kind == "number" and target.low != target.high and case.alone:
        yield from _constant(case)
    # Minus a binary cross-entropy towards one label only is what a minimax generator minimises.
    odds = loss.kind == "nll" and target.kind in {"class", "tokens"} and case.ending.kind == "log_softmax"
    if loss.sign < 0 and (loss.kind not in _LINEAR or odds) and target.low != target.high:
        yield from _reversed(case, loss)


def _distance(case: Case, loss: LossView, target: TargetView) -> Iterator[Finding]:
    """Classes measured as distances. Counts and ratings are whole numbers too, so a single output is only suspected."""
    wide = case.output is not None and case.output.dim() == 2 and case.output.shape[1] > 2
    labels = target.kind == "class" and len(target.counts) <= _FEW_CLASSES
    if loss.onehot or (target.kind == "one-hot" and wide):
        severity: Severity = "warning"
        kind = say("{count} classes, one-hot", count=max(len(target.counts), 2))
    elif labels and (target.sure or target.integer) and len(target.counts) >= 2:
        severity = "error" if target.sure or wide else "warning"
        kind = say("{count} class numbers", count=len(target.counts))
    elif target.kind == "binary" and (target.sure or case.ending.kind in {"sigmoid", "softmax"} or target.integer):
        severity, kind = "warning", say("0 and 1 only")
    elif target.kind == "binary":
        severity, kind = "note", say("0 and 1 only")
    elif _look_like_labels(case, target):
        severity, kind = "warning", say("the whole numbers 0 to {last}, about as often each", last=int(target.high))
    else:
        return
    evidence = say("{loss} on targets that are {kind}.", loss=loss.name, kind=kind)
    why = say(
        "A distance treats classes as points on a line, and its gradient "
        "vanishes exactly where a squashed output is confidently wrong."
    )
    two = target.kind == "binary"
    remedy = (
        say("Use BCEWithLogitsLoss on the raw score.")
        if two
        else say("Use cross-entropy on raw scores, one output a class.")
    )
    yield Finding(
        CODE, FAULT, severity, "loss", evidence, why, remedy, fix=_fix(case, "bce" if two else "cross-entropy")
    )


def _look_like_labels(case: Case, target: TargetView) -> bool:
    """Labels turned into floats: from 0, none left out, none rare. Counts thin out, and ratings seldom start at 0."""
    if target.kind != "number" or target.sure or case.ending.kind != "raw" or not isinstance(case.targets, Tensor):
        return False
    if target.low != 0 or not 2 <= target.high <= _FEW_FLOATS or case.targets.numel() != case.targets.shape[0]:
        return False
    values, counts = case.targets.unique(return_counts=True)
    return len(values) == int(target.high) + 1 and int(counts.min()) >= max(4, int(counts.max()) / 3)


def _binary(case: Case, loss: LossView, target: TargetView) -> Iterator[Finding]:
    one_of_many = target.kind == "one-hot" and target.shape[1] > 2 and target.shape[0] >= 16
    if (one_of_many or loss.onehot) and (case.output is not None and case.output.shape[-1] > 2):
        count = case.output.shape[-1]
        evidence = say("{loss} on one-hot targets: exactly one of {count} in every row.", loss=loss.name, count=count)
        why = say(
            "It solves {count} separate questions, most of them nearly "
            "always answered no, and the outputs need not sum to 1.",
            count=count,
        )
        remedy = say("Use cross-entropy with class numbers as targets.")
        yield Finding(CODE, FAULT, "warning", "loss", evidence, why, remedy, fix=_fix(case, "cross-entropy"))
    elif target.low < -1e-6 or target.high > 1 + 1e-6:
        evidence = say(
            "{loss} on targets from {low:.3g} to {high:.3g}.", loss=loss.name, low=target.low, high=target.high
        )
        why = say(
            "Binary cross-entropy is defined for targets between 0 and 1. "
            "Outside, it has no minimum and runs to minus infinity."
        )
        if target.kind in {"class", "tokens"} and len(target.counts) > 2:
            remedy, name = say("Use cross-entropy with one output a class."), "cross-entropy"
        elif len(target.counts) == 2 or target.kind == "multilabel":
            remedy, name = say("Code the labels as 0 and 1."), ""
        else:
            remedy, name = say("Use MSELoss or HuberLoss for numbers, with no squashing at the output."), "mse"
        yield Finding(CODE, FAULT, "error", "loss", evidence, why, remedy, proven=True, fix=_fix(case, name))


def _classes(case: Case, loss: LossView, target: TargetView) -> Iterator[Finding]:
    fractions = case.targets is not None and bool((case.targets != case.targets.round()).any())
    if not fractions:
        return
    evidence = say(
        "{loss} on real numbers from {low:.3g} to {high:.3g}.", loss=loss.name, low=target.low, high=target.high
    )
    why = say(
        "A loss of classes takes class numbers, or rows of probabilities that sum to 1. These targets are quantities."
    )
    remedy = say("Use MSELoss or HuberLoss, with one output a target column.")
    yield Finding(CODE, FAULT, "error", "loss", evidence, why, remedy, proven=True, fix=_fix(case, "mse"))


def _constant(case: Case) -> Iterator[Finding]:
    """A loss that is the same for any scores, as a cross-entropy over one unit is."""
    output, slopes = case.output, (case.gradients or {}).values()
    if output is None or not output.is_floating_point() or any(slope is not None and slope.any() for slope in slopes):
        return
    values = set()
    with contextlib.suppress(Exception), torch.no_grad():  # the user's code, on scores it was not written for
        for size in (0.0, 0.1, 1.0, 3.0):
            chance = torch.Generator().manual_seed(int(10 * size))
            scores = size * torch.randn(output.shape, generator=chance).to(output)
            values.add(float(case.score_loss(scores, case.few_targets).double().mean()) if case.score_loss else 0.0)
        if len(values) == 1:
            evidence = say(
                "{loss} is {value:.3g} whatever the outputs are.",
                loss=case.loss.name if case.loss else "",
                value=values.pop(),
            )
            why = say("A loss that no output can lower has no gradient, so nothing is learned from it.")
            remedy = say("Use MSELoss or HuberLoss, with one output a target column.")
            yield Finding(CODE, FAULT, "error", "loss", evidence, why, remedy, proven=True)


def _reversed(case: Case, loss: LossView) -> Iterator[Finding]:
    evidence = say(
        "{loss} behaves like minus {kind}: it falls as predictions get worse.", loss=loss.name, kind=loss.kind
    )
    why = say("The optimizer minimises it, and so moves away from the targets. The loss will fall without bound.")
    remedy = say("Turn the sign of the loss.")
    yield Finding(CODE, FAULT, "error", "loss", evidence, why, remedy, proven=True)


def _fix(case: Case, name: str) -> dict[str, object] | None:
    return case.changed("loss.name", name, "loss") if name else None
