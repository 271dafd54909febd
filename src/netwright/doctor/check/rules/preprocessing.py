"""NW130: training and validation data are prepared differently."""

import math
from collections.abc import Iterator

from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.agreement import flatness, unlike
from netwright.doctor.check.case import Case
from netwright.doctor.findings import Finding, Severity
from netwright.metrics.architecture import tensors_in

CODE, FAULT = "NW130", "preprocessing-mismatch"

_ENOUGH, _MANY = 16, 32  # examples: for the whole, and for one feature among many
_FAR, _SURE, _STRETCH = 1.0, 8.0, 2.5  # standard deviations apart, standard errors apart, times as wide
_MATTERS = 0.4  # standard deviations, and logarithms of their ratio
_AGREE, _AGREE_ROWS = 0.7, 0.3  # of the training examples' likeness to the pattern: pictures, and rows of numbers
_OFTEN = 0.2  # of the cells that are not the middle one


def rule(case: Case) -> Iterator[Finding]:
    """Compare location and scale: of all cells, of each feature, and of targets that are numbers."""
    given = case.sample
    other = next(tensors_in(case.validation[0]), None) if case.validation is not None else None
    if given is None or other is None or not given.numel() or not other.numel():
        return
    if case.varied:
        yield _finding(say("Validation inputs differ when the same examples are read again."), "error")
        return
    if getattr(case.schema, "kind", "") == "text":  # batches of texts are as long as their longest
        return
    if given.dtype != other.dtype or given.shape[1:] != other.shape[1:]:
        evidence = say(
            "Training inputs are {a} {b}, validation inputs {c} {d}.",
            a=given.dtype,
            b=tuple(given.shape[1:]),
            c=other.dtype,
            d=tuple(other.shape[1:]),
        )
        yield _finding(evidence, "error")
    elif given.is_floating_point() and min(len(given), len(other)) >= _ENOUGH:
        one, two = given.float(), other.float()
        found = (
            _compared(one, two) or _by_feature(one, two) or _targets(case) or _by_pattern(case, case.main_input, other)
        )
        if found is not None:
            yield found


def _compared(one: Tensor, two: Tensor) -> Finding | None:
    if not _apart(one, two):
        return None
    evidence = say(
        "Training inputs have mean {a:.3g} and standard deviation {b:.3g}, validation inputs {c:.3g} and {d:.3g}.",
        a=float(one.mean()),
        b=float(one.std()),
        c=float(two.mean()),
        d=float(two.std()),
    )
    return _finding(evidence, "warning")


def _apart(one: Tensor, two: Tensor) -> bool:
    """Beyond a difference that matters, and four times what examples like these differ by chance."""
    size = max(float(one.std()), 1e-12)
    shift, stretch = abs(float(two.mean() - one.mean())) / size, max(float(two.std()), 1e-12) / size
    a, b = (part.reshape(len(part), -1) for part in (one, two))
    chance = math.sqrt(1 / len(a) + 1 / len(b))
    of_means = max(float(part.mean(1).std()) for part in (a, b)) / size
    moments = [(part - part.mean()).square().mean(1) for part in (a, b)]
    of_sizes = max(float(part.std() / part.mean().clamp(min=1e-30)) for part in moments) / 2
    return shift > _MATTERS + 4 * of_means * chance or abs(math.log(stretch)) > _MATTERS + 4 * of_sizes * chance


def _by_feature(one: Tensor, two: Tensor) -> Finding | None:
    """A column of a table, a channel of pictures or series: the one that differs most, if beyond chance."""
    if one.dim() < 2 or min(len(one), len(two)) < _MANY:
        return None
    axis = 1 if one.dim() in (2, 4, 5) else one.dim() - 1
    a, b = (part.movedim(axis, -1).reshape(-1, part.shape[axis]) for part in (one, two))
    middle = (a.var(0, correction=0) + b.var(0, correction=0)).div(2).sqrt()
    apart = (a.mean(0) - b.mean(0)).abs()
    size = one.std().clamp(min=1e-12)
    far = apart / middle.clamp(min=1e-3 * float(size))
    sure = far / math.sqrt(1 / len(one) + 1 / len(two))
    wide = (a.std(0) / b.std(0).clamp(min=1e-30)).log().abs()
    wide[(a.std(0) < 1e-3 * size) | (b.std(0) < 1e-3 * size)] = 0.0  # rare values may miss on one side
    # A column that is nearly always the same varies by its exceptions, and those are few.
    common = ((a != a.median(0).values).float().mean(0) > _OFTEN) & ((b != b.median(0).values).float().mean(0) > _OFTEN)
    shifted = (far > _FAR) & (sure > _SURE)
    stretched = (wide > math.log(_STRETCH)) & common & (len(one) >= 2 * _MANY) & (len(two) >= 2 * _MANY)
    if not bool((shifted | stretched).any()):
        return None
    worst = int(((far * shifted) + (wide * stretched)).argmax())
    evidence = say(
        "{count} of {all} features differ; feature {worst} has mean {a:.3g} and standard deviation {b:.3g} "
        "in training, {c:.3g} and {d:.3g} in validation.",
        count=int((shifted | stretched).sum()),
        all=len(far),
        worst=worst,
        a=float(a[:, worst].mean()),
        b=float(a[:, worst].std()),
        c=float(b[:, worst].mean()),
        d=float(b[:, worst].std()),
    )
    return _finding(evidence, "warning")


def _targets(case: Case) -> Finding | None:
    """Targets scaled on one side only."""
    one, two = case.targets, next(tensors_in(case.validation[1]), None) if case.validation is not None else None
    if not isinstance(one, Tensor) or two is None or case.target is None or case.target.kind != "number":
        return None
    if not (one.is_floating_point() and two.is_floating_point()) or min(len(one), len(two)) < _ENOUGH:
        return None
    if not _apart(one.float(), two.float()):
        return None
    evidence = say(
        "Training targets have mean {a:.3g} and standard deviation {b:.3g}, validation targets {c:.3g} and {d:.3g}.",
        a=float(one.float().mean()),
        b=float(one.float().std()),
        c=float(two.float().mean()),
        d=float(two.float().std()),
    )
    return _finding(evidence, "warning")


def _by_pattern(case: Case, one: Tensor | None, two: Tensor) -> Finding | None:
    """Alike in every mean, but not in what they show: turned, shifted, covered, or with columns or channels swapped."""
    if one is None or one.dim() < 2 or (one.dim() == 2 and case.reconstructs):
        return None
    labels, others = (_labels(part, case) for part in (case.targets, case.validation[1] if case.validation else None))
    pictures = one.dim() == 4
    found = unlike(one, two, labels, others, _AGREE if pictures else _AGREE_ROWS)
    if found is not None:
        evidence = say(
            "Validation inputs agree with the mean pictures of the training data {share:.0%} as well as training "
            "inputs do.",
            share=found,
        )
        return _finding(evidence, "warning")
    if pictures and (filled := flatness(one, two)) is not None:
        evidence = say(
            "{b:.0%} of neighbouring cells are exactly equal in validation inputs, {a:.0%} in training inputs: they "
            "are padded, covered or turned.",
            a=filled.training, b=filled.validation,
        )  # fmt: skip
        return _finding(evidence, "warning")
    return None


def _labels(targets: object, case: Case) -> Tensor | None:
    if case.target is None or not isinstance(targets, Tensor) or case.target.kind not in {"class", "binary", "one-hot"}:
        return None
    labels = targets.argmax(1) if case.target.kind == "one-hot" and targets.dim() == 2 else targets
    return labels.reshape(-1).long()


def _finding(evidence: str, severity: Severity) -> Finding:
    why = say("The network is judged on data unlike those it learned from, so validation says nothing about it.")
    remedy = say("Fit the scaling on the training data and apply the same one to both; augment training data only.")
    return Finding(CODE, FAULT, severity, "validation", evidence, why, remedy, proven=severity == "error")
