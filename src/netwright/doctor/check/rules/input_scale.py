"""NW118: features on wildly different or large scales, measured where they meet the first weights."""

from collections.abc import Iterator

from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.graph import Node
from netwright.doctor.check.ops import CONVOLUTIONS
from netwright.doctor.findings import Finding

CODE, FAULT = "NW118", "input-not-normalized"

_LARGE, _RATIO = 10.0, 100.0


def rule(case: Case) -> Iterator[Finding]:
    """Scaling within the network counts; a norm in front of the first weights makes any input fit."""
    if case.graph is None or not case.finite:
        return
    for node, given in case.graph.first.items():
        if given.is_floating_point() and given.dim() >= 2 and given.shape[0] > 1:
            found = _judge(node, given.float())
            if found is not None:
                yield found
                return


def _judge(node: Node, given: Tensor) -> Finding | None:
    axis = 1 if node.op in CONVOLUTIONS else given.dim() - 1
    columns = given.movedim(axis, -1).reshape(-1, given.shape[axis])
    rms, sizes = float(columns.square().mean().sqrt()), columns.std(0, correction=0)
    moving = sizes[sizes > 1e-12]
    least, most = (float(moving.min()), float(moving.max())) if moving.numel() else (0.0, 0.0)
    if least and most / least > _RATIO and most > _LARGE:
        return _uneven(node, sizes, least, most)
    if rms <= _LARGE:
        return None
    low, high = (float(value) for value in columns.aminmax())
    evidence = say(
        "Inputs have a root mean square of {rms:.3g} (from {low:.3g} to {high:.3g}) where they reach {where}.",
        rms=rms,
        low=low,
        high=high,
        where=node.where,
    )
    why = say(
        "Initialisations and learning rates are made for inputs of size one. "
        "Larger ones blow up the first activations and gradients."
    )
    image = axis == 1 and low >= 0 and 100 < high <= 255
    return Finding(CODE, FAULT, "warning", "inputs", evidence, why, _remedy(image))


def _uneven(node: Node, sizes: Tensor, least: float, most: float) -> Finding:
    low, high = int((sizes - least).abs().argmin()), int((sizes - most).abs().argmin())
    evidence = say(
        "Feature {high} has a standard deviation of {most:.3g}, feature {low} of {least:.3g}: "
        "{ratio:,.0f} times less, where they reach {where}.",
        high=high,
        most=most,
        low=low,
        least=least,
        ratio=most / least,
        where=node.where,
    )
    why = say("The large feature dominates every sum and every gradient, and the small ones are learned last or never.")
    return Finding(CODE, FAULT, "warning", "inputs", evidence, why, _remedy(False))


def _remedy(image: bool) -> str:
    if image:
        return say("Divide the pixels by 255.")
    return say("Standardise each feature with the mean and standard deviation of the training data.")
