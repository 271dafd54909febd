"""NW132: the order of the examples follows the label, or validation misses a class."""

from collections.abc import Iterator

from torch import Tensor

from netwright.core.messages import few, say
from netwright.doctor.check.case import Case
from netwright.doctor.check.targets import view_targets
from netwright.doctor.findings import Finding

CODE, FAULT = "NW132", "not-shuffled"

_ENOUGH = 24
_BLOCKS = 0.15  # of the changes that chance would make


def rule(case: Case) -> Iterator[Finding]:
    """Sorted labels have one change a class; by chance there would be hundreds. Sorted numbers never turn back."""
    target, labels = case.target, case.targets
    if target is not None and target.kind == "number" and isinstance(labels, Tensor):
        yield from _monotone(case, labels)
    if target is None or target.kind not in {"class", "one-hot", "binary"} or not isinstance(labels, Tensor):
        return
    if case.loss is not None and case.loss.expects == "values" and not case.loss.onehot:
        return
    flat = labels.argmax(1) if target.kind == "one-hot" else labels.reshape(-1)
    if len(flat) >= _ENOUGH and len(target.counts) >= 2:
        changes = int((flat[1:] != flat[:-1]).sum())
        expected = len(flat) * (1 - sum((count / len(flat)) ** 2 for count in target.counts.values()))
        if changes < _BLOCKS * expected and expected > 4:
            yield _sorted(len(flat), len(target.counts), changes, expected)
    yield from _missed(case, set(target.counts))


def _sorted(examples: int, classes: int, changes: int, expected: float) -> Finding:
    evidence = say(
        "The labels of {examples} examples of {classes} classes change {changes} times in their order; "
        "shuffled they would {expected:.0f} times.",
        examples=examples,
        classes=classes,
        changes=changes,
        expected=expected,
    )
    why = say(
        "Batches taken in this order hold one class each; the network forgets one "
        "while it learns the next. A split by position misses classes."
    )
    remedy = say("Shuffle before splitting, and let the loader shuffle every epoch.")
    return Finding(CODE, FAULT, "warning", "targets", evidence, why, remedy)


def _monotone(case: Case, targets: Tensor) -> Iterator[Finding]:
    """Curves of one variable are often written down in order and trained on whole; several columns are data."""
    given = case.main_input
    wide = given is not None and given.is_floating_point() and given.dim() == 2 and given.shape[1] > 1
    flat = targets.reshape(-1).double()
    if not wide or len(flat) != len(targets) or len(flat) < _ENOUGH or getattr(case.schema, "kind", "") == "series":
        return
    steps = flat[1:] - flat[:-1]
    if not (bool((steps >= 0).all()) or bool((steps <= 0).all())) or int((steps != 0).sum()) < len(steps) / 2:
        return
    evidence = say("The targets of {examples} examples only ever {way}.", examples=len(flat),
                   way=say("rise") if float(steps.sum()) > 0 else say("fall"))  # fmt: skip
    why = say("Batches taken in this order hold like targets only, and a split by position leaves whole ranges out.")
    remedy = say("Shuffle before splitting, and let the loader shuffle every epoch.")
    yield Finding(CODE, FAULT, "warning", "targets", evidence, why, remedy)


def _missed(case: Case, known: set[int]) -> Iterator[Finding]:
    if case.validation is None or not isinstance(case.validation[1], Tensor):
        return
    seen = view_targets(case.validation[1], case.schema)
    if seen is None or not seen.counts or sum(seen.counts.values()) < 10 * len(known):
        return
    only = sorted(known ^ set(seen.counts))
    if only:
        evidence = say(
            "Classes {labels} occur on one side of the split only.", labels=few([str(label) for label in only])
        )
        why = say("A class that was never trained cannot be recognised, and one never validated is not measured.")
        yield Finding(
            CODE, FAULT, "warning", "validation", evidence, why, say("Split with stratification by label."), proven=True
        )
