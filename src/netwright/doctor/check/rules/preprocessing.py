"""NW130: training and validation data are prepared differently."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.findings import Finding, Severity

CODE, FAULT = "NW130", "preprocessing-mismatch"

_ENOUGH = 16


def rule(case: Case) -> Iterator[Finding]:
    """Compare location and scale, over all cells and by feature."""
    given = case.sample
    other = next((v for v in _first(case.validation) if isinstance(v, Tensor)), None)
    if given is None or other is None or not given.numel() or not other.numel():
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
        yield from _compared(given.float(), other.float())


def _first(validation: tuple[object, object] | None) -> tuple[object, ...]:
    if validation is None:
        return ()
    inputs = validation[0]
    return inputs if isinstance(inputs, tuple) else (torch.as_tensor(inputs),)


def _compared(one: Tensor, two: Tensor) -> Iterator[Finding]:
    size = max(float(one.std()), 1e-12)
    shift, stretch = abs(float(two.mean() - one.mean())) / size, max(float(two.std()), 1e-12) / size
    tolerance = 0.3 + 4 / math.sqrt(min(len(one), len(two)))  # few examples differ by chance
    if shift > tolerance or abs(math.log(stretch)) > tolerance:
        evidence = say(
            "Training inputs have mean {a:.3g} and standard deviation {b:.3g}, validation inputs {c:.3g} and {d:.3g}.",
            a=float(one.mean()),
            b=float(one.std()),
            c=float(two.mean()),
            d=float(two.std()),
        )
        yield _finding(evidence, "warning")


def _finding(evidence: str, severity: Severity) -> Finding:
    why = say("The network is judged on inputs unlike those it learned from, so validation says nothing about it.")
    remedy = say("Fit the scaling on the training data and apply the same one to both; augment training data only.")
    return Finding(CODE, FAULT, severity, "validation", evidence, why, remedy, proven=severity == "error")
