"""NW129: a first step that changes the weights by more than their own size. A note: only a run, or a probe, can tell
harm.
"""

from collections.abc import Iterator

from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.graph import gain
from netwright.doctor.check.ops import NORMS
from netwright.doctor.findings import Finding

CODE, FAULT = "NW129", "lr-too-high"

_OWN_SIZE, _MANY_TIMES = 1.0, 10.0
_WEAK = 0.1  # gain of the weights
_SIGNLIKE = ("Adam", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adamax", "Lion")


def rule(case: Case) -> Iterator[Finding]:
    """Update over weight, by tensor, in the first step; weights before a norm are free in scale and are left out."""
    optimizer = case.optimizer
    if optimizer is None or not case.fresh or not case.gradients or case.graph is None:
        return
    sign = type(optimizer).__name__.startswith(_SIGNLIKE)
    free = {n for node in case.graph.nodes if any(c.op in NORMS for c in node.children) for n in node.parameters}
    worst, where, rate = 0.0, "", 0.0
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name, gradient = case.names.get(id(parameter), ""), case.gradient(parameter)
            if gradient is None or name in free or parameter.dim() < 2 or not bool(parameter.any()):
                continue
            ratio = _ratio(parameter, gradient, float(group.get("lr", 0.0)), sign)
            if ratio > worst:
                worst, where, rate = ratio, name, float(group.get("lr", 0.0))
    if worst > _OWN_SIZE:
        sized = gain(case.net.get_parameter(where)) > _WEAK  # else the weights are too small
        evidence = say(
            "At lr={lr:g} the first step changes {where} by {ratio:.3g} times its size.",
            lr=rate,
            where=where,
            ratio=worst,
        )
        why = say(
            "Steps of a thousandth of the weights are usual; one as large as the weights replaces what they hold."
        )
        remedy = say("Try {lr:.0e}, or a warm-up.", lr=rate / worst / 100)
        yield Finding(
            CODE, FAULT, "warning" if worst > _MANY_TIMES and sized else "note", "optimizer.lr", evidence, why, remedy
        )


def _ratio(parameter: Tensor, gradient: Tensor, lr: float, sign: bool) -> float:
    step = float(gradient.count_nonzero()) ** 0.5 if sign else float(gradient.double().norm())
    return lr * step / max(float(parameter.detach().double().norm()), 1e-12)
