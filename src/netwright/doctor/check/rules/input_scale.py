"""NW118: features on wildly different or large scales, measured where they meet the first weights."""

from collections.abc import Iterator

from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.graph import Graph, Node
from netwright.doctor.check.ops import CONVOLUTIONS, RESHAPES
from netwright.doctor.findings import Finding

CODE, FAULT = "NW118", "input-not-normalized"

_LARGE, _RATIO = 10.0, 100.0
_PREPARED = RESHAPES | {"mul", "div", "sub", "add", "clamp", "log", "log1p", "sqrt", "pad", "dropout", "cat", "stack"}


def rule(case: Case) -> Iterator[Finding]:
    """Scaling within the network counts; a norm in front of the first weights makes any input fit."""
    if case.graph is None:
        return
    for node, given in case.graph.first.items():
        if _from_input(case.graph, node) and given.is_floating_point() and given.dim() >= 2 and given.shape[0] > 1:
            yield from _judge(case, node, given.float())
            return


def _from_input(graph: Graph, node: Node) -> bool:
    """Whether only reshaping and arithmetic with constants lie between the input and `node`."""
    for before in graph.back(node, _PREPARED):
        if before.op == "input":
            return True
        if before.op not in _PREPARED or before.parameters:
            return False
    return False


def _judge(case: Case, node: Node, given: Tensor) -> Iterator[Finding]:
    axis = 1 if node.op in CONVOLUTIONS else given.dim() - 1
    columns = given.movedim(axis, -1).reshape(-1, given.shape[axis])
    rms, sizes = float(columns.square().mean().sqrt()), columns.std(0, correction=0)
    moving = sizes[sizes > 1e-12]
    least, most = (float(moving.min()), float(moving.max())) if moving.numel() else (0.0, 0.0)
    if least and most / least > _RATIO and most > _LARGE:
        low, high = int((sizes - least).abs().argmin()), int((sizes - most).abs().argmin())
        evidence = say(
            "Feature {high} has a standard deviation of {most:.3g}, "
            "feature {low} of {least:.3g}: {ratio:.0f} times less.",
            high=high,
            most=most,
            low=low,
            least=least,
            ratio=most / least,
        )
        why = say(
            "The large feature dominates every sum and every gradient, and the small ones are learned last or never."
        )
    elif rms > _LARGE:
        evidence = say(
            "Inputs have a root mean square of {rms:.3g} (from {low:.3g} to {high:.3g}).",
            rms=rms,
            low=float(columns.min()),
            high=float(columns.max()),
        )
        why = say(
            "Initialisations and learning rates are made for inputs of size one. "
            "Larger ones blow up the first activations and gradients."
        )
    else:
        return
    image = axis == 1 and float(columns.min()) >= 0 and 100 < float(columns.max()) <= 255
    remedy = (
        say("Divide the pixels by 255.")
        if image
        else say("Standardise each feature with the mean and standard deviation of the training data.")
    )
    yield Finding(CODE, FAULT, "warning", "inputs", evidence, why, remedy)
