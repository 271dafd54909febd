"""NW125: one example's output depends on another's."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.graph import Graph, Node, dimension
from netwright.doctor.findings import Finding

CODE, FAULT = "NW125", "batch-mixing"

_LEAK = 1e-3  # of the effect that an example has on its own output
_NOISE = 1e-5  # of the output, which the order of additions may make
_FAINT = 1e-7  # the same where a softmax over the batch is in plain sight


def rule(case: Case) -> Iterator[Finding]:
    """In evaluation mode, change one example and look at the others; then look at the axis of the last softmax."""
    if case.loss is not None and case.loss.inside == "batch-axis":
        yield _within(case.loss.name)
    leak = _leak(case)
    if leak is not None:
        yield _mixed(case, leak)
        return
    yield from _wrong_axis(case)


def _within(name: str) -> Finding:
    evidence = say("{name} behaves like the cross-entropy of a softmax over axis 0, where the examples are.", name=name)
    why = say("Examples then compete with each other for one unit of probability, and classes do not compete at all.")
    remedy = say("Use dim=1 in the loss, or F.cross_entropy on the raw scores.")
    return Finding(CODE, FAULT, "error", "loss", evidence, why, remedy, proven=True)


def _leak(case: Case) -> float | None:
    before, given = case.quiet_output, case.few_inputs
    strays = case.training is not None and case.training.strays  # layers that no eval() reaches are another fault
    if before is None or case.rerun is None or not case.batched or strays or _relational(case, before):
        return None
    first = next((value for value in given if isinstance(value, Tensor)), None)
    if first is None or before.dim() < 1 or before.shape[0] != first.shape[0] or first.shape[0] < 3:
        return None
    after = case.rerun(tuple(_disturbed(value) for value in given))
    if after is None or after.shape != before.shape:
        return None
    change = (after - before).double().abs().reshape(before.shape[0], -1).amax(1)
    own, others = float(change[0]), float(change[1:].max())
    size = float(before.double().abs().max())
    if case.quiet is not None and _over_batch(case.quiet) is not None:
        return others / max(own, 1e-30) if others > _FAINT * size else None
    return others / max(own, 1e-30) if others > _NOISE * size and others > _LEAK * own else None


def _disturbed(value: object) -> object:
    """The first example replaced: integers by the last one's, so that they stay legal; floats by other numbers of
    their size.
    """
    if not isinstance(value, Tensor) or value.dim() < 1 or value.shape[0] < 2:
        return value
    changed = value.clone()
    if not value.is_floating_point():
        differing = next((i for i in range(1, len(value)) if not torch.equal(value[i], value[0])), len(value) - 1)
        changed[0] = value[differing]
        return changed
    size = float(value.float().std(correction=0)) or 1.0
    noise = torch.randn(value.shape[1:], generator=torch.Generator().manual_seed(7)).to(value.device, value.dtype)
    changed[0] = value[0] * 0.5 + noise * size
    return changed


def _relational(case: Case, output: Tensor) -> bool:
    """Networks whose rows are meant to meet: similarity matrices (B, B), graphs with edges or an adjacency."""
    if case.pairwise:
        return True
    count = output.shape[0]
    tensors = [value for value in case.few_inputs if isinstance(value, Tensor)]
    if any(value.is_sparse or value.layout != torch.strided for value in tensors):
        return True
    if any(tuple(value.shape[-2:]) == (count, count) and value.dim() == 2 for value in tensors[1:]):
        return True
    held = [value for module in case.net.modules() for value in (*module._buffers.values(), *vars(module).values())]
    return any(
        isinstance(value, Tensor) and value.dim() == 2 and value.shape[0] == value.shape[1] == _total(case)
        for value in held
    )


def _total(case: Case) -> int:
    return case.main_input.shape[0] if case.main_input is not None else -1


def _mixed(case: Case, leak: float) -> Finding:
    cause = _cause(case)
    where = cause[0] if cause else "output"
    evidence = say(
        "Changing one example changes the outputs of others, by {leak:.2g} times the change of its own.", leak=leak
    )
    why = say("Predictions then depend on who else is in the batch, and gradients flow between unrelated examples.")
    remedy = cause[1] if cause else say("Look for a reshape, a softmax or a mean over axis 0, where the batch is.")
    benign = cause is not None and cause[2]
    return Finding(CODE, FAULT, "warning" if benign else "error", where, evidence, why, remedy, proven=True)


def _cause(case: Case) -> tuple[str, str, bool] | None:
    """(place, remedy, whether it may be meant)."""
    for path, module in case.modules(nn.RNNBase, nn.MultiheadAttention, nn.TransformerEncoderLayer):
        first = getattr(module, "batch_first", getattr(getattr(module, "self_attn", None), "batch_first", True))
        if not first:
            return path, say("Set batch_first=True: this layer takes its first axis as time."), False
    for path, module in case.modules(nn.modules.batchnorm._BatchNorm):
        if not module.track_running_stats:
            return path, say("Keep running statistics (track_running_stats=True), or use a layer norm."), True
    graph = case.quiet
    node = _over_batch(graph) if graph is not None else None
    return (node.where, say("Use the last axis: dim=-1 instead of dim=0."), False) if node is not None else None


def _over_batch(graph: Graph) -> Node | None:
    count = graph.inputs[0].shape[0] if graph.inputs and graph.inputs[0].shape else -1
    for node in graph.nodes:
        if (
            node.op in {"softmax", "log_softmax", "softmin", "normalize"}
            and dimension(node) == 0
            and node.shape[:1] == (count,)
        ):
            return node
        if node.op in {"batch_norm"} and node.argument("training", 5, False):
            return node
    return None


def _wrong_axis(case: Case) -> Iterator[Finding]:
    ending, output, loss = case.ending, case.output, case.loss
    if (
        ending.kind not in {"softmax", "log_softmax"}
        or ending.dim is None
        or output is None
        or loss is None
        or ending.node is None
    ):
        return
    if (
        loss.target_kind != "class"
        or output.dim() < 2
        or ending.node.shape != tuple(output.shape)
        or ending.dim == case.class_axis
    ):
        return
    evidence = say(
        "{kind} over axis {axis} of {shape}; the classes are on axis {right}.",
        kind=ending.kind,
        axis=ending.dim,
        shape=tuple(output.shape),
        right=case.class_axis,
    )
    why = say("Numbers that sum to one over another axis than the classes are no probabilities of classes.")
    yield Finding(
        CODE,
        FAULT,
        "error",
        ending.node.where,
        evidence,
        why,
        say("Use dim={axis}.", axis=case.class_axis),
        proven=True,
    )
