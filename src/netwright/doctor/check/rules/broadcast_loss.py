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
    """Proved by computing the loss again with the targets in the output's shape."""
    output, targets, loss = case.output, case.few_targets, case.loss
    if loss is None or output is None or not isinstance(targets, Tensor) or not targets.is_floating_point():
        return
    if output.shape == targets.shape or output.numel() != targets.numel() or output.shape[:1] != targets.shape[:1]:
        if output.dim() == 2 and output.shape[0] > 1 and loss.expects == "values" and _spread_out(output, targets):
            yield _finding(case, output, targets, None, None)
        return
    if output.shape[0] < 2:
        return
    given, meant = _value(case, output, targets), _value(case, output, targets.reshape(output.shape))
    if given is not None and meant is not None and not math.isclose(given, meant, rel_tol=1e-4, abs_tol=1e-8):
        yield _finding(case, output, targets, given, meant)


def _spread_out(output: Tensor, targets: Tensor) -> bool:
    """(N, K) against (N, 1): one target column compared with every output column."""
    return targets.dim() == 2 and targets.shape == (output.shape[0], 1) and output.shape[1] > 1


def _value(case: Case, output: Tensor, targets: Tensor) -> float | None:
    assert case.loss is not None
    with contextlib.suppress(Exception), torch.no_grad():
        return float(case.loss.function(output, targets).double().mean())
    return None


def _finding(case: Case, output: Tensor, targets: Tensor, given: float | None, meant: float | None) -> Finding:
    sizes = say("The output is {a}, the targets are {b}.", a=tuple(output.shape), b=tuple(targets.shape))
    if given is None or meant is None:
        evidence = sizes
    else:
        evidence = sizes + say(
            " The loss is {given:.4g}; with equal shapes it would be {meant:.4g}.", given=given, meant=meant
        )
    why = say(
        "Broadcasting pairs every output with every target, so the best the network can do is to predict the mean for all."
    )
    remedy = say("Give the targets the output's shape: targets.reshape(output.shape) (or output.squeeze(1)).")
    return Finding(CODE, FAULT, "error", "loss", evidence, why, remedy, proven=True)
