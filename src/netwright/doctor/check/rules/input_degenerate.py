"""NW119: constant, doubly scaled or empty features."""

from collections.abc import Iterator

from torch import Tensor

from netwright.core.messages import few, say
from netwright.doctor.check.case import Case
from netwright.doctor.findings import Finding, Severity

CODE, FAULT = "NW119", "input-degenerate"

_ENOUGH = 8  # examples, before constancy means anything
_MANY = 0.8  # of the columns; borders of flattened pictures are constant too, but not that many
_TINY = 0.02  # pixels divided by 255 twice lie below 1/255
_ALIKE = 0.02
_WIDE = 64  # columns, from which they may be the cells of a picture, with a border of background


def rule(case: Case) -> Iterator[Finding]:
    """The main input, all of it."""
    given = case.main_input
    if given is None:
        return
    if not given.numel():
        yield _empty(given)
        return
    if given.dim() < 1 or given.shape[0] < _ENOUGH or not case.batched or not case.finite:
        return
    sample = case.sample
    assert sample is not None
    if bool((sample == sample[:1]).all()) and bool((given == given[:1]).all()):
        yield _same(given)
    elif given.is_floating_point():
        yield from _columns(case, sample, given)
        yield from _tiny(case, sample)
        yield from _alike(sample)


def _empty(given: Tensor) -> Finding:
    evidence = say("The input has shape {shape}: nothing in it.", shape=tuple(given.shape))
    why = say("There is nothing to learn from. A filter or a path upstream has left no examples.")
    return Finding(CODE, FAULT, "error", "inputs", evidence, why, say("Check where the data come from."), proven=True)


def _same(given: Tensor) -> Finding:
    evidence = say("All {count} examples are identical.", count=given.shape[0])
    why = say("If inputs do not differ, no answer can depend on them. Loading or preprocessing has erased them.")
    return Finding(
        CODE,
        FAULT,
        "error",
        "inputs",
        evidence,
        why,
        say("Look at a few raw examples and at each step of the preprocessing."),
        proven=True,
    )


def _columns(case: Case, sample: Tensor, given: Tensor) -> Iterator[Finding]:
    axis = 1 if given.dim() in (2, 4, 5) else given.dim() - 1
    if given.dim() < 2 or given.shape[axis] < 2:
        return
    width = given.shape[axis]
    constant = _constant(sample.movedim(axis, -1).reshape(-1, width))
    if constant and sample is not given:  # a rare value may have been missed
        rest = _constant(given.movedim(axis, -1)[..., constant].reshape(-1, len(constant)))
        constant = [constant[place] for place in rest]
    if not constant:
        return
    share = len(constant) / width
    table = getattr(case.schema, "kind", "") == "table"
    moving = [place for place in range(width) if place not in set(constant)]
    # Bags of words, one-hot codes: rare ones are missing by chance.
    sparse = bool(moving) and float((sample.movedim(axis, -1)[..., moving] == 0).double().mean()) >= _MANY
    border = given.dim() != 2 or (width >= _WIDE and bool((sample[0, constant] == sample.min()).all()))
    lost = (share >= _MANY or not border) and not sparse
    severity: Severity = "warning" if lost or table or given.dim() == 4 else "note"
    evidence = say(
        "{count} of {all} features have one value in all examples: {which}.",
        count=len(constant),
        all=width,
        which=few([str(column) for column in constant]),
    )
    why = say(
        "A constant feature says nothing about the target; it only adds "
        "to the bias. It may be a column that failed to load."
    )
    yield Finding(
        CODE, FAULT, severity, "inputs", evidence, why, say("Drop these features, or find out why they are constant.")
    )


def _alike(sample: Tensor) -> Iterator[Finding]:
    """Values that hardly differ from cell to cell and example to example, far from zero: scaled once too often."""
    middle, size = float(sample.float().mean()), float(sample.float().std(correction=0))
    if not 0 < size < _ALIKE * abs(middle):
        return
    evidence = say(
        "All inputs lie around {middle:.4g}, with a standard deviation of {size:.2g}.", middle=middle, size=size
    )
    why = say(
        "What tells examples apart is a small part of each number, and the first layer hears little but the common "
        "offset. Normalising what is already normal looks like this."
    )
    remedy = say("Remove one of the two scalings, or subtract the mean and divide by the standard deviation.")
    yield Finding(CODE, FAULT, "warning", "inputs", evidence, why, remedy)


def _constant(columns: Tensor) -> list[int]:
    return [int(place) for place in (columns == columns[:1]).all(0).nonzero().flatten()]


def _tiny(case: Case, given: Tensor) -> Iterator[Finding]:
    """The whole input far below unit scale, and the network does not mend it before its first weights."""
    first = next(iter(case.graph.first.values()), None) if case.graph is not None else None
    if (
        first is None
        or not first.numel()
        or float(first.float().abs().max()) > _TINY
        or float(given.abs().max()) > _TINY
    ):
        return
    most = float(given.abs().max())
    evidence = say("No input is larger than {most:.2g} in size.", most=most)
    twice = most <= 1 / 254
    why = say(
        "Next to weights and biases of ordinary size such inputs vanish, and all "
        "examples look alike. Pixels that were divided by 255 twice look like this."
    )
    remedy = say("Remove one of the two scalings.") if twice else say("Standardise the inputs.")
    yield Finding(CODE, FAULT, "warning", "inputs", evidence, why, remedy)
