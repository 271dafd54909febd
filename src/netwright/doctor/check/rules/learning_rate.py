"""NW129: a first step that changes the weights by more than their own size. A note: only a run, or a probe, can tell
harm.
"""

from collections.abc import Iterator

from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.ops import NORMS
from netwright.doctor.findings import Finding

CODE, FAULT = "NW129", "lr-too-high"

_OWN_SIZE, _MANY_TIMES = 1.0, 10.0
_WEAK = 0.1  # size of a row of weights; torch's default gives 0.58
_SIGNLIKE = ("Adam", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adamax", "Lion")


def rule(case: Case) -> Iterator[Finding]:
    """Update over weight, by tensor, in the first step; weights before a norm are free in scale and are left out."""
    optimizer = case.optimizer
    if optimizer is None or not case.fresh or not case.gradients or case.graph is None:
        return
    sign = type(optimizer).__name__.startswith(_SIGNLIKE)
    names = {id(parameter): name for name, parameter in case.net.named_parameters()}
    free = {n for node in case.graph.nodes if any(c.op in NORMS for c in node.children) for n in node.parameters}
    worst, where, rate = 0.0, "", 0.0
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = names.get(id(parameter), "")
            gradient = case.gradients.get(name)
            if gradient is None or name in free or parameter.dim() < 2 or not bool(parameter.any()):
                continue
            ratio = _ratio(parameter, gradient, float(group.get("lr", 0.0)), sign)
            if ratio > worst:
                worst, where, rate = ratio, name, float(group.get("lr", 0.0))
    if worst > _OWN_SIZE:
        weight = case.net.get_parameter(where).detach().double()
        sized = (
            float(weight.square().mean().sqrt()) * weight[0].numel() ** 0.5 > _WEAK
        )  # else the weights are too small
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
