"""NW122: skewed classes with nothing done about it."""

from collections.abc import Iterator

from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.targets import TargetView
from netwright.doctor.findings import Finding

CODE, FAULT = "NW122", "class-imbalance"

_RATIO, _MAJORITY = 8.0, 0.9
_BACKGROUND = 0.97
_ENOUGH = 20  # examples a class on average, before a ratio means anything


def rule(case: Case) -> Iterator[Finding]:
    """One label an example; weights in the loss, a focal loss or a sampler count as an answer."""
    target, loss = case.target, case.loss
    if target is None or _answered(case):
        return
    if target.kind not in {"class", "binary", "one-hot"}:
        yield from _mask(case, target)
        return
    # Of an unknown loss (pairs, rankings) it is not known what is rare, and to a distance nothing is.
    numbers = loss is not None and loss.expects == "values" and target.kind == "class" and not loss.onehot
    if numbers or (loss is not None and loss.expects is None):
        return
    counts = {label: count for label, count in target.counts.items() if label >= 0}
    total = sum(counts.values())
    if len(counts) < 2 or len(counts) > 1000 or total < _ENOUGH:
        return
    most, least = max(counts, key=lambda k: counts[k]), min(counts, key=lambda k: counts[k])
    share, ratio = counts[most] / total, counts[most] / counts[least]
    if total < _ENOUGH * len(counts) and share < _MAJORITY:
        return  # too few to tell skew from chance
    if ratio < _RATIO and share < _MAJORITY:
        return
    evidence = say(
        "Class {most} has {high} examples ({share:.0%}), class {least} has {low}: {ratio:.0f} to 1.",
        most=most,
        high=counts[most],
        share=share,
        least=least,
        low=counts[least],
        ratio=ratio,
    )
    why = say(
        "Answering {most} always is right {share:.0%} of the time, and "
        "the loss rewards it. The rare class is learned last.",
        most=most,
        share=share,
    )
    remedy = say(
        "Weight the loss by inverse frequency (or sample classes evenly), and judge by balanced accuracy or F1."
    )
    yield Finding(CODE, FAULT, "warning", "targets", evidence, why, remedy)


def _mask(case: Case, target: TargetView) -> Iterator[Finding]:
    """A label a pixel: all background but a few, in whole numbers or in zeros and ones."""
    output, loss = case.output, case.loss
    if output is None or output.dim() < 4 or loss is None or case.reconstructs or case.config is not None:
        return
    if target.kind == "tokens" and loss.target_kind == "class" and len(target.counts) >= 2:
        share = max(target.counts.values()) / sum(target.counts.values())
    elif loss.target_kind == "binary" and 0 < target.mean < 1 and _zeros_and_ones(case.targets):
        share = max(target.mean, 1 - target.mean)
    else:
        return
    if share < _BACKGROUND:
        return
    evidence = say("One class has {share:.1%} of all pixels.", share=share)
    why = say("Answering it everywhere is right nearly everywhere, and the loss rewards it. The rest is learned last.")
    remedy = say("Weight the classes, or add a Dice or focal loss; judge by intersection over union.")
    yield Finding(CODE, FAULT, "warning", "targets", evidence, why, remedy)


def _zeros_and_ones(targets: object) -> bool:
    return isinstance(targets, Tensor) and bool(((targets == 0) | (targets == 1)).all())


def _answered(case: Case) -> bool:
    loss = case.loss
    words = ("focal", "balanced", "weighted", "dice", "tversky")
    if loss is not None and (loss.weighted or any(word in loss.name.lower() for word in words)):
        return True
    return (
        case.option(
            "loss.class_weights", "loss.weight", "loss.pos_weight", "train.balance", "train.sampler", "data.balance"
        )
        is not None
    )
