"""NW109: (N,) against (N, 1): the loss silently averages over all N×N pairs."""

import contextlib
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.findings import Finding

CODE, FAULT = "NW109", "broadcast-loss"


def rule(case: Case) -> Iterator[Finding]:
    """Proved by shuffling the targets: a loss over all pairs does not notice."""
    output, targets, loss = case.output, case.few_targets, case.loss
    if loss is None or output is None or not isinstance(targets, Tensor) or not targets.is_floating_point():
        return
    if (
        output.shape == targets.shape
        or output.dim() < 1
        or output.shape[:1] != targets.shape[:1]
        or output.shape[0] < 2
    ):
        return
    if output.numel() == targets.numel():
        given, shuffled = _value(case, output, targets), _value(case, output, targets.roll(1, 0))
        if given is None or shuffled is None or not float(output.std()) or not float(targets.std()):
            return
        if math.isclose(given, shuffled, rel_tol=1e-5) and not math.isclose(
            given, _aligned(case, output, targets), rel_tol=1e-5
        ):
            yield _finding(output, targets, given)
    elif loss.expects == "values" and output.dim() == 2 and targets.shape == (output.shape[0], 1):
        yield _finding(output, targets, None)


def _aligned(case: Case, output: Tensor, targets: Tensor) -> float:
    value = _value(case, output, targets.reshape(output.shape))
    return math.nan if value is None else value


def _value(case: Case, output: Tensor, targets: Tensor) -> float | None:
    assert case.loss is not None
    with contextlib.suppress(Exception), torch.no_grad():
        return float(case.loss.function(output, targets).double().mean())
    return None


def _finding(output: Tensor, targets: Tensor, given: float | None) -> Finding:
    evidence = say("The output is {a}, the targets are {b}.", a=tuple(output.shape), b=tuple(targets.shape))
    if given is not None:
        evidence += say(" The loss stays at {given:.4g} when the targets are shuffled.", given=given)
    why = say(
        "Broadcasting pairs every output with every target, so the "
        "best the network can do is to predict the mean for all."
    )
    remedy = say("Give the targets the output's shape: targets.reshape(output.shape) (or output.squeeze(1)).")
    return Finding(CODE, FAULT, "error", "loss", evidence, why, remedy, proven=True)
