"""NW127: dropout or batch statistics at work in evaluation mode, or a network handed to training in evaluation mode."""

from collections.abc import Iterator

from torch import nn

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.ops import DROPOUTS
from netwright.doctor.findings import Finding

CODE, FAULT = "NW127", "wrong-mode"

_DROPPING = nn.modules.dropout._DropoutNd


def rule(case: Case) -> Iterator[Finding]:
    """Proved by two passes in evaluation mode that differ where they should not."""
    if case.training is None or not case.training.strays:  # layers that no eval() reaches are another fault
        yield from _noisy(case)
        yield from _batch_statistics(case)
    if case.optimizer is not None and not case.net.training:
        yield from _asleep(case)
    elif case.net.training:
        yield from _put_to_sleep(case)
        yield from _never_updated(case)


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


def _batch_statistics(case: Case) -> Iterator[Finding]:
    """A batch norm that has running statistics and does not use them in evaluation mode."""
    for node in case.quiet.nodes if case.quiet is not None else []:
        if (
            node.op == "batch_norm"
            and node.argument("training", 5, False)
            and node.argument("running_mean", 1) is not None
        ):
            evidence = say(
                "Batch norm at {where} takes its batch's statistics in evaluation mode too.", where=node.where
            )
            why = say(
                "Its running statistics are kept but never used, and a prediction depends on the other examples of its "
                "batch. F.batch_norm does not know the network's mode unless it is told."
            )
            remedy = say("Write F.batch_norm(…, training=self.training), or use nn.BatchNorm.")
            yield Finding(CODE, FAULT, "error", node.where, evidence, why, remedy, proven=True)
            return


def _put_to_sleep(case: Case) -> Iterator[Finding]:
    """Modules in training mode that run as in evaluation: forward calls eval() on them."""
    modules = dict(case.net.named_modules())
    for node in case.training.nodes if case.training is not None else []:
        module = modules.get(node.path)
        if not isinstance(module, (_DROPPING, nn.modules.batchnorm._BatchNorm)) or not module.training:
            continue
        place = 5 if node.op == "batch_norm" else 2
        if (
            node.op in DROPOUTS | {"batch_norm"}
            and node.argument("training", place, True) is False
            and _matters(module)
        ):
            evidence = say(
                "{where} is in training mode, but runs as in evaluation during a training pass.", where=node.where
            )
            why = say(
                "Something in forward calls eval(). Dropout then drops nothing, and statistics are never updated."
            )
            yield Finding(
                CODE, FAULT, "warning", node.where, evidence, why, say("Take eval() out of forward."), proven=True
            )
            return


def _never_updated(case: Case) -> Iterator[Finding]:
    """Batch norms held in evaluation mode with statistics that no batch has ever moved."""
    stale = [
        path
        for path, module in case.modules(nn.modules.batchnorm._BatchNorm)
        if not module.training and _matters(module) and _untouched(module)
    ]
    if not stale or case.optimizer is None:
        return
    evidence = say(
        "{count} batch norm(s) are in evaluation mode within a network in training mode, the first {where}, and their "
        "statistics are still 0 and 1.",
        count=len(stale),
        where=stale[0],
    )
    why = say(
        "Statistics that were never measured normalise nothing. Freezing them is meant for networks that were trained."
    )
    remedy = say("Call net.train() and leave these layers in it, or load trained weights.")
    yield Finding(CODE, FAULT, "warning", stale[0], evidence, why, remedy)


def _untouched(module: nn.Module) -> bool:
    mean, count = getattr(module, "running_mean", None), getattr(module, "num_batches_tracked", None)
    return mean is not None and not bool(mean.any()) and (count is None or int(count) == 0)


def _on(training: object, rate: object) -> bool:
    return bool(training) and isinstance(rate, int | float) and rate > 0


def _asleep(case: Case) -> Iterator[Finding]:
    kinds = (_DROPPING, nn.modules.batchnorm._BatchNorm)
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
