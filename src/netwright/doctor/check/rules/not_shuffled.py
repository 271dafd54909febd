"""NW132: the order of the examples follows the label, or validation misses a class."""

from collections.abc import Iterator

import torch
from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.targets import view_targets
from netwright.doctor.findings import Finding

CODE, FAULT = "NW132", "not-shuffled"

_ENOUGH = 24


def rule(case: Case) -> Iterator[Finding]:
    """Sorted labels have one change a class; by chance there would be hundreds."""
    target, labels = case.target, case.targets
    if target is None or target.kind not in {"class", "one-hot", "binary"} or not isinstance(labels, Tensor):
        return
    if case.loss is not None and case.loss.expects == "values" and not case.loss.onehot:
        return
    flat = labels.argmax(1) if target.kind == "one-hot" else labels.reshape(-1)
    if len(flat) >= _ENOUGH and len(target.counts) >= 2:
        changes = int((flat[1:] != flat[:-1]).sum())
        if changes == len(target.counts) - 1 and changes < len(flat) // 4:
            yield _sorted(len(flat), len(target.counts))
    yield from _missed(case, set(target.counts))


def _sorted(examples: int, classes: int) -> Finding:
    evidence = say(
        "The labels of {examples} examples stand in {classes} solid blocks.", examples=examples, classes=classes
    )
    why = say(
        "Batches taken in this order hold one class each; the network forgets one "
        "while it learns the next. A split by position misses classes."
    )
    remedy = say("Shuffle before splitting, and let the loader shuffle every epoch.")
    return Finding(CODE, FAULT, "warning", "targets", evidence, why, remedy)


def _missed(case: Case, known: set[int]) -> Iterator[Finding]:
    if case.validation is None or case.validation[1] is None:
        return
    seen = view_targets(torch.as_tensor(case.validation[1]), case.schema)
    if seen is None or not seen.counts or sum(seen.counts.values()) < 10 * len(known):
        return
    only = sorted(known ^ set(seen.counts))
    if only:
        evidence = say(
            "Classes {labels} occur on one side of the split only.", labels=", ".join(str(label) for label in only[:8])
        )
        why = say("A class that was never trained cannot be recognised, and one never validated is not measured.")
        yield Finding(
            CODE, FAULT, "warning", "validation", evidence, why, say("Split with stratification by label."), proven=True
        )
