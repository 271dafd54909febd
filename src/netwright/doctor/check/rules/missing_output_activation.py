"""NW104: raw scores go into a loss that wants probabilities or their logarithms."""

import contextlib
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.findings import Finding

CODE, FAULT = "NW104", "missing-output-activation"


def rule(case: Case) -> Iterator[Finding]:
    """Measure whether the output is what the loss expects."""
    loss, output = case.loss, case.output
    if loss is None or output is None or not output.is_floating_point() or output.dim() < 1 or loss.inside:
        return
    if loss.expects is None:
        yield from _refused(case, output)
    elif loss.expects == "log-probabilities" and output.dim() > 1 and output.shape[case.class_axis] > 1:
        yield from _logs(case, output)
    elif loss.expects == "probabilities" and case.ending.kind not in {"tanh", "relu", "softplus", "relu6", "hardtanh"}:
        yield from _probabilities(case, output)


def _logs(case: Case, output: Tensor) -> Iterator[Finding]:
    axis = case.class_axis
    sums = output.double().clamp(max=50).exp().sum(axis)
    off = float((sums - 1).abs().mean())
    if off < 1e-2:
        return
    assert case.loss is not None
    plain = bool((output >= 0).all()) and float((output.double().sum(axis) - 1).abs().max()) < 1e-3
    got = (
        say("probabilities (rows sum to 1)")
        if plain
        else say("scores whose exponentials sum to {sum:.3g} on average", sum=float(sums.mean()))
    )
    evidence = say("{loss} wants log-probabilities and gets {got}.", loss=case.loss.name, got=got)
    why = say(
        "It only picks the entry of the right class, with its sign turned. Without the logarithm "
        "of a softmax, pushing all entries up lowers it without bound or without learning."
    )
    remedy = (
        say("Use log_softmax instead of softmax at the output.")
        if plain
        else say("Use cross-entropy, or put log_softmax at the output.")
    )
    yield Finding(
        CODE, FAULT, "error", "output", evidence, why, remedy, proven=True, fix=_fix(case, "cross-entropy", plain)
    )


def _probabilities(case: Case, output: Tensor) -> Iterator[Finding]:
    outside = float(((output < 0) | (output > 1)).double().mean())
    if outside == 0:
        return
    assert case.loss is not None
    low, high = (float(v) for v in output.aminmax())
    evidence = say(
        "{loss} wants probabilities; {share:.0%} of the outputs lie outside 0 to 1 (from {low:.3g} to {high:.3g}).",
        loss=case.loss.name,
        share=outside,
        low=low,
        high=high,
    )
    why = say(
        "The logarithm of a number outside 0 to 1 is no loss: it is "
        "refused or not a number. The network ends in raw scores."
    )
    binary = case.loss.target_kind == "binary"
    remedy = (
        say("Use BCEWithLogitsLoss, or put a sigmoid at the output.")
        if binary
        else say("Use cross-entropy on the raw scores.")
    )
    fix = _fix(case, "bce" if binary else "cross-entropy", False)
    yield Finding(CODE, FAULT, "error", "output", evidence, why, remedy, proven=True, fix=fix)


def _refused(case: Case, output: Tensor) -> Iterator[Finding]:
    """An unknown loss that fails or is not a number on this output, and is one once a sigmoid is put between."""
    failed = case.trouble is not None and case.trouble.stage == "loss" and case.trouble.reason == "probability"
    unknown = case.loss_value is not None and math.isnan(case.loss_value)
    outside = float(((output < 0) | (output > 1)).double().mean())
    if not (failed or unknown) or not outside or case.score_loss is None or not bool(torch.isfinite(output).all()):
        return
    with contextlib.suppress(Exception), torch.no_grad():
        value = float(case.score_loss(output.sigmoid(), case.few_targets).double().mean())
        if math.isfinite(value):
            yield _between(case, outside, value)


def _between(case: Case, outside: float, value: float) -> Finding:
    assert case.loss is not None
    evidence = say(
        "{loss} is no number on these outputs, {share:.0%} of which lie outside 0 to 1; "
        "after a sigmoid it is {value:.3g}.",
        loss=case.loss.name,
        share=outside,
        value=value,
    )
    why = say("The loss takes logarithms of probabilities, and the network ends in raw scores.")
    remedy = say("Put a sigmoid at the output, or use BCEWithLogitsLoss in place of the binary cross-entropy.")
    return Finding(CODE, FAULT, "error", "output", evidence, why, remedy, proven=True)


def _fix(case: Case, name: str, plain: bool) -> dict[str, object] | None:
    return None if plain else case.changed("loss.name", name, "loss")
