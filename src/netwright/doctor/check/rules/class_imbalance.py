"""NW122: skewed classes with nothing done about it."""

from collections.abc import Iterator

from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.targets import TargetView
from netwright.doctor.findings import Finding

CODE, FAULT = "NW122", "class-imbalance"

_RATIO, _MAJORITY = 8.0, 0.9  # of the commonest class to the rarest; of all examples
_BACKGROUND = 0.97  # of all pixels
_ENOUGH = 20  # examples a class on average, before a ratio means anything
_CLASSES = 1000  # beyond them labels are counts or identities


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
    if not 2 <= len(counts) <= _CLASSES or total < _ENOUGH:
        return
    share, ratio = max(counts.values()) / total, max(counts.values()) / min(counts.values())
    sure = total >= _ENOUGH * len(counts)  # else skew cannot be told from chance
    if share >= _MAJORITY or (sure and ratio >= _RATIO):
        yield _skewed(counts, share, ratio)


def _skewed(counts: dict[int, int], share: float, ratio: float) -> Finding:
    most, least = max(counts, key=lambda k: counts[k]), min(counts, key=lambda k: counts[k])
    evidence = say(
        "Class {most} has {high} examples ({share:.0%}), class {least} has {low}: {ratio:.0f} to 1.",
        most=most, high=counts[most], share=share, least=least, low=counts[least], ratio=ratio,
    )  # fmt: skip
    why = say(
        "Answering {most} always is right {share:.0%} of the time, and "
        "the loss rewards it. The rare class is learned last.",
        most=most, share=share,
    )  # fmt: skip
    remedy = say(
        "Weight the loss by inverse frequency (or sample classes evenly), and judge by balanced accuracy or F1."
    )
    return Finding(CODE, FAULT, "warning", "targets", evidence, why, remedy)


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
    options = ("loss.class_weights", "loss.weight", "loss.pos_weight", "train.balance", "train.sampler", "data.balance")
    return case.option(*options) is not None
