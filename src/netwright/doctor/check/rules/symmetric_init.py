"""NW116: units that start equal and stay equal."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.findings import Finding, Severity

CODE, FAULT = "NW116", "symmetric-init"

_GATES = 4  # a recurrent weight stacks up to four gates, whose rows differ from each other but not within


def rule(case: Case) -> Iterator[Finding]:
    """Constant weights are suspects only: a zero-initialised branch or head breaks its symmetry at the first steps.
    So step.

    Proved on a copy: after three small steps the rows that began equal still are.
    """
    suspects = [name for name, parameter in case.net.named_parameters() if _alike(parameter)]
    trainable = {name for name, parameter in case.net.named_parameters() if parameter.requires_grad}
    suspects = [name for name in suspects if name in trainable and _used(case, name)]
    if not suspects or not case.fresh:
        return
    after = case.resteps(3) if case.resteps is not None else None
    if after is not None:
        broken = [name for name in suspects if not _alike(after[name])]
        suspects = [name for name in suspects if name not in broken]
        if not suspects:
            yield from _constant(case, broken)
            return
    elif all(not case.net.get_parameter(name).any() for name in suspects):
        return  # zeros may be meant, and nothing was proved
    weight = case.net.get_parameter(suspects[0])
    evidence = say("All {rows} units of {name} have the same weights", rows=weight.shape[0], name=suspects[0])
    evidence += say(", and still do after three steps") if after is not None else ""
    evidence += say(" ({count} such tensor(s)).", count=len(suspects))
    why = say(
        "Equal units get equal gradients, so they stay copies of one another: the layer is one unit wide in effect."
    )
    remedy = say(
        "Initialise weights at random (torch's default, Kaiming or Xavier); constants are for biases and norms."
    )
    severity: Severity = "error" if after is not None else "warning"
    yield Finding(CODE, FAULT, severity, suspects[0], evidence, why, remedy, proven=after is not None)


def _constant(case: Case, names: list[str]) -> Iterator[Finding]:
    """Layers of equal units that other layers' random weights, or biases, pull apart in time."""
    matrices = [name for name, parameter in case.net.named_parameters() if parameter.dim() > 1 and _used(case, name)]
    if not (len(names) == len(matrices) > 1):  # zeros switch a branch or a head off, but never the whole network
        names = [name for name in names if bool(case.net.get_parameter(name).any())]
    if not names:
        return
    weight = case.net.get_parameter(names[0])
    evidence = say(
        "All units of {name} start with the same weights, the first {value:.3g} ({count} such tensor(s)).",
        name=names[0],
        value=float(weight.detach().reshape(-1)[0]),
        count=len(names),
    )
    why = say(
        "Its units start as copies of one another and tell nothing apart until later layers have pulled them away."
    )
    remedy = say(
        "Initialise weights at random (torch's default, Kaiming or Xavier); constants are for biases and norms."
    )
    yield Finding(CODE, FAULT, "warning", names[0], evidence, why, remedy)


def _alike(weight: Tensor) -> bool:
    """Whether the rows (output units) are equal, within each of up to four stacked gates. Norms' vectors do not
    count.
    """
    if weight.dim() < 2 or weight.shape[0] < 2:
        return False
    rows = weight.detach().reshape(weight.shape[0], -1).float()
    chunks = [1] if rows.shape[0] < 2 * _GATES or rows.shape[0] % _GATES else [1, _GATES]
    scale = float(rows.abs().max()) or 1.0
    if not math.isfinite(scale):
        return False
    return any(_equal_rows(rows.view(count, -1, rows.shape[1]), scale) for count in chunks)


def _equal_rows(rows: Tensor, scale: float) -> bool:
    return float((rows - rows[:, :1]).abs().max()) <= 1e-6 * scale


def _used(case: Case, name: str) -> bool:
    if case.graph is None:
        return False
    with torch.no_grad():
        return any(name in node.parameters for node in case.graph.nodes)
