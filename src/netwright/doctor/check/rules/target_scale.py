"""NW120: regression targets far from the scale that the network's output has."""

from collections.abc import Iterator

from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.findings import Finding

CODE, FAULT = "NW120", "target-not-normalized"

_LARGE, _RATIO, _SMALL = 15.0, 30.0, 1e-3


def rule(case: Case) -> Iterator[Finding]:
    """Targets against the untrained output; a network that scales its output itself is near them already."""
    target, loss, output = case.target, case.loss, case.quiet_output
    if target is None or loss is None or output is None or loss.expects != "values" or loss.onehot or not case.fresh:
        return
    if target.kind in {"class", "binary", "one-hot", "multilabel"} or not isinstance(case.targets, Tensor):
        return
    rms = float(output.float().square().mean().sqrt())
    if target.rms > _LARGE and target.rms > _RATIO * max(rms, 1e-6):
        evidence = say(
            "Targets have mean {mean:.4g} and standard deviation {std:.3g}; the untrained output is of size {rms:.2g}.",
            mean=target.mean,
            std=target.std,
            rms=rms,
        )
        why = say(
            "Thousands of steps go into moving the output to the right size, "
            "or the large errors make the first gradients explode."
        )
    elif 0 < target.std < _SMALL and rms > 10 * target.rms:
        evidence = say(
            "Targets vary by {std:.2g} only; the untrained output is of size {rms:.2g}.", std=target.std, rms=rms
        )
        why = say(
            "The output's own noise is far larger than what is to be "
            "predicted, so the loss looks small whatever is learned."
        )
    else:
        return
    remedy = say(
        "Standardise the targets with the training data's mean and standard deviation, and undo it when predicting."
    )
    yield Finding(CODE, FAULT, "warning", "targets", evidence, why, remedy)
