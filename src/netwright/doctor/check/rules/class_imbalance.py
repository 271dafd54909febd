"""NW122: skewed classes with nothing done about it."""

from collections.abc import Iterator

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.findings import Finding

CODE, FAULT = "NW122", "class-imbalance"

_RATIO, _MAJORITY = 9.0, 0.9
_ENOUGH = 20  # examples a class on average, before a ratio means anything


def rule(case: Case) -> Iterator[Finding]:
    """One label an example; weights in the loss, a focal loss or a sampler count as an answer."""
    target, loss = case.target, case.loss
    if target is None or target.kind not in {"class", "binary", "one-hot"} or _answered(case):
        return
    if loss is not None and loss.expects == "values" and target.kind == "class" and not loss.onehot:
        return
    counts = {label: count for label, count in target.counts.items() if label >= 0}
    total = sum(counts.values())
    if len(counts) < 2 or len(counts) > 1000 or total < _ENOUGH * len(counts):
        return
    most, least = max(counts, key=lambda k: counts[k]), min(counts, key=lambda k: counts[k])
    share, ratio = counts[most] / total, counts[most] / counts[least]
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
