"""NW102: the number of output units does not match the classes or targets."""

from collections.abc import Iterator

import torch

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.findings import Finding

CODE, FAULT = "NW102", "head-size-mismatch"

_UNIFORM = 0.5  # with fewer than this share of the classes one would expect to meet, the head is too wide


def rule(case: Case) -> Iterator[Finding]:
    """Compare the class axis with the labels, and columns with columns."""
    output, target, loss = case.output, case.target, case.loss
    if output is None or target is None or output.dim() < 2 or case.pairwise:
        return
    if target.kind in {"class", "tokens"} and loss is not None and loss.target_kind == "class" and not loss.onehot:
        yield from _labels(case, output.shape[case.class_axis])
    elif _elementwise(case) and output.dim() == 2 and len(target.shape) == 2 and output.shape[1] != target.shape[1]:
        yield from _columns(case, output.shape[1], target.shape[1])


def _elementwise(case: Case) -> bool:
    """A known loss, or one that failed; another may read several outputs for one target, like quantiles."""
    failed = case.trouble is not None and case.trouble.stage == "loss"
    return case.loss is not None and (case.loss.kind is not None or failed)


def _labels(case: Case, units: int) -> Iterator[Finding]:
    target = case.target
    assert target is not None
    ignored = {getattr(case.loss.function, "ignore_index", -100) if case.loss else -100}
    labels = sorted(set(target.counts) - ignored)
    if not labels or units == 1:  # a single unit is another fault
        return
    if labels[-1] >= units or labels[0] < 0:
        yield _outside(case, labels[0], labels[-1], units)
        return
    known = len(getattr(getattr(case.schema, "target", None), "classes", ()) or ())
    if known < units if known else _too_wide(case, labels, units):
        yield _spare(case, units, known or len(labels))


def _outside(case: Case, low: int, high: int, units: int) -> Finding:
    evidence = say("Labels run from {low} to {high}, the output has {units} units.", low=low, high=high, units=units)
    why = say(
        "A label outside 0 to {last} has no unit that could stand for "
        "it. The loss fails on it or reads foreign memory.",
        last=units - 1,
    )
    if low >= 1 and high == units:
        remedy = say("Subtract 1 from the labels: they must start at 0.")
    elif low < 0:
        remedy = say("Number the labels from 0, or pass ignore_index for those to be left out.")
    else:
        remedy = say("Give the last layer {wanted} outputs.", wanted=high + 1)
    fix = case.changed("model.num_classes", high + 1)
    return Finding(CODE, FAULT, "error", _head(case), evidence, why, remedy, proven=True, fix=fix)


def _spare(case: Case, units: int, count: int) -> Finding:
    evidence = say("The output has {units} units for {count} classes.", units=units, count=count)
    why = say(
        "Units without a class are only ever pushed down, and the loss starts at ln {units} instead of ln {count}.",
        units=units,
        count=count,
    )
    remedy = say("Give the last layer {count} outputs, if there are no more classes.", count=count)
    return Finding(CODE, FAULT, "warning", _head(case), evidence, why, remedy)


def _too_wide(case: Case, labels: list[int], units: int) -> bool:
    """Fewer classes than chance would show of so many. Vocabularies are wider than any text, so tokens do not count."""
    given, target = case.main_input, case.target
    if target is None or target.kind == "tokens" or labels[-1] + 1 >= units:
        return False
    expected = units * (1 - (1 - 1 / units) ** sum(target.counts.values()))
    integers = given is not None and not given.is_floating_point() and given.dtype != torch.uint8
    return not integers and len(labels) < _UNIFORM * expected


def _columns(case: Case, units: int, wanted: int) -> Iterator[Finding]:
    evidence = say("The output has {units} columns, the targets have {wanted}.", units=units, wanted=wanted)
    why = say(
        "Each target column needs an output of its own. Where the loss does "
        "not refuse this, it compares every output with every target."
    )
    remedy = say("Give the last layer {wanted} outputs.", wanted=wanted)
    fix = case.changed("model.num_classes", wanted)
    yield Finding(CODE, FAULT, "error", _head(case), evidence, why, remedy, proven=True, fix=fix)


def _head(case: Case) -> str:
    """The last layer with weights before the output."""
    graph = case.graph
    if graph is None:
        return "output"
    weighted = [node for node in graph.nodes if node.op in {"linear", "conv2d", "conv1d"} and node in graph.reaching()]
    return weighted[-1].where if weighted else "output"
