"""NW127: dropout or batch statistics at work in evaluation mode, or a network handed to training in evaluation mode."""

from collections.abc import Iterator

from torch import nn

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.ops import DROPOUTS
from netwright.doctor.findings import Finding

CODE, FAULT = "NW127", "wrong-mode"

_DROPPING = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def rule(case: Case) -> Iterator[Finding]:
    """Proved by two passes in evaluation mode that differ where they should not."""
    yield from _noisy(case)
    if case.optimizer is not None and not case.net.training:
        yield from _asleep(case)


def _noisy(case: Case) -> Iterator[Finding]:
    graph, one = case.quiet, case.quiet_output
    if graph is None or one is None:
        return
    active = [
        node
        for node in graph.nodes
        if node.op in DROPOUTS and _on(node.argument("training", 2, True), node.argument("p", 1, 0.5))
    ]
    if not active:
        return
    two = case.rerun(case.few_inputs, seed=1) if case.rerun is not None else None
    differs = two is not None and two.shape == one.shape and float((one - two).abs().max()) > 0
    evidence = say("Dropout is active in evaluation mode at {where}.", where=active[0].where)
    if differs and two is not None:
        share = float((one - two).double().abs().mean() / one.double().abs().mean().clamp(min=1e-12))
        evidence += say(" Two passes over the same batch differ by {share:.0%}.", share=share)
    why = say(
        "Predictions are random and worse than they could be. F.dropout "
        "does not know the network's mode unless it is told."
    )
    remedy = say("Write F.dropout(x, p, training=self.training), or use nn.Dropout.")
    yield Finding(
        CODE, FAULT, "error" if differs else "warning", active[0].where, evidence, why, remedy, proven=differs
    )


def _on(training: object, rate: object) -> bool:
    return bool(training) and isinstance(rate, int | float) and rate > 0


def _asleep(case: Case) -> Iterator[Finding]:
    kinds = (*_DROPPING, nn.modules.batchnorm._BatchNorm)
    affected = [path for path, module in case.modules(*kinds) if _matters(module)]
    if not affected:
        return
    evidence = say(
        "The network is in evaluation mode, with {count} dropout or batch norm layer(s), the first: {where}.",
        count=len(affected),
        where=affected[0],
    )
    why = say("Training like this drops nothing and never updates the running statistics.")
    yield Finding(CODE, FAULT, "warning", affected[0], evidence, why, say("Call net.train() before training."))


def _matters(module: nn.Module) -> bool:
    rate = getattr(module, "p", None)
    if rate is not None:
        return float(rate) > 0
    return any(parameter.requires_grad for parameter in module.parameters())
