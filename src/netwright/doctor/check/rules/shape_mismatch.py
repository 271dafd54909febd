"""NW101: layers do not fit each other, the network does not fit the data, or a feature map has shrunk to a point."""

import math
import re
from collections.abc import Iterator

from torch import Tensor, nn

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.graph import Graph
from netwright.doctor.check.ops import CONVOLUTIONS
from netwright.doctor.check.trouble import Trouble
from netwright.doctor.findings import Finding

CODE, FAULT = "NW101", "shape-mismatch"

_MANY = 0.15  # of the convolutions; a few at the end are how networks for large pictures meet small ones

_SHRUNK = re.compile(
    r"too small|smaller than kernel|greater than actual input|Calculated output size|non-?zero size", re.IGNORECASE
)


def rule(case: Case) -> Iterator[Finding]:
    """The forward pass failed on shapes, or convolutions work on maps of one cell."""
    trouble = case.trouble
    if trouble is not None and trouble.reason == "shape":
        if trouble.stage == "forward":
            yield _failed(case, trouble)
        elif not _told_elsewhere(case):
            yield _loss_failed(case, trouble)
    if case.graph is not None:
        yield from _pointless(case.graph)


def _failed(case: Case, trouble: Trouble) -> Finding:
    shapes = ", ".join(str(shape) for shape in trouble.shapes) or "?"
    kind = type(trouble.module).__name__ if trouble.module is not None else "forward"
    evidence = say("{kind} given {shapes}: {error}.", kind=kind, shapes=shapes, error=trouble.message.rstrip("."))
    if _SHRUNK.search(trouble.message):
        why = say(
            "The feature map has become smaller than the window that should "
            "slide over it. Strides and pooling before have used it up."
        )
        remedy = say("Remove a pooling or a stride, pad the convolutions, or use larger inputs.")
    else:
        why = say(
            "The layer was built for another size than the one that "
            "reaches it. Nothing can be trained until they agree."
        )
        remedy = _remedy(trouble)
    return Finding(
        CODE, FAULT, "error", trouble.path or "forward", evidence, why, remedy, proven=True, fix=_fix(case, trouble)
    )


def _told_elsewhere(case: Case) -> bool:
    """Columns against columns is the head's size; class numbers into a distance is the loss."""
    output, target, loss = case.output, case.target, case.loss
    if output is None or target is None or loss is None:
        return False
    columns = output.dim() == 2 and len(target.shape) == 2 and output.shape[1] != target.shape[1]
    return columns or (loss.expects == "values" and target.kind == "class")


def _loss_failed(case: Case, trouble: Trouble) -> Finding:
    shapes = ", ".join(str(shape) for shape in trouble.shapes)
    evidence = say("The loss was given {shapes}: {error}.", shapes=shapes, error=trouble.message.rstrip("."))
    why = say("Output and targets are not laid out as this loss wants them. Nothing can be trained until they are.")
    output, target = case.output, case.target
    examples = len(case.few_inputs[0]) if isinstance(case.few_inputs[0], Tensor) and case.few_inputs[0].dim() else 0
    if output is not None and target is not None and case.batched and output.dim() and output.shape[0] != examples:
        remedy = say(
            "Keep the batch on axis 0: the network turned {a} examples into {b} rows (x.flatten(1), not view(-1, n)).",
            a=examples,
            b=output.shape[0],
        )
    elif output is not None and target is not None and output.shape[:-1] == target.shape and output.dim() > 2:
        remedy = say("Put the classes on axis 1 (output.movedim(-1, 1)), or flatten output and targets to rows.")
    elif output is not None and target is not None and output.numel() == math.prod(target.shape):
        remedy = say("Give the targets the output's shape: targets.reshape(output.shape).")
    else:
        remedy = say("Compare the two shapes with what the loss documents.")
    return Finding(CODE, FAULT, "error", "loss", evidence, why, remedy, proven=True)


def _remedy(trouble: Trouble) -> str:
    module = trouble.module
    got = trouble.shapes[0] if trouble.shapes else ()
    if isinstance(module, nn.Linear) and got and got[-1] != module.in_features:
        flat = "" if len(got) <= 2 else say(" (or flatten its input before, if all of {shape} is meant)", shape=got[1:])
        return say("Set in_features={size} instead of {old}{flat}.", size=got[-1], old=module.in_features, flat=flat)
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d) and len(got) >= 2 and got[1] != module.in_channels:
        return say(
            "Set in_channels={size} instead of {old}, or put channels first: (B, C, H, W).",
            size=got[1],
            old=module.in_channels,
        )
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) and len(got) >= 2:
        return say("Set num_features={size} instead of {old}.", size=got[1], old=module.num_features)
    return say("Make the sizes agree at this place; `netwright explain` shows the shapes up to it.")


def _fix(case: Case, trouble: Trouble) -> dict[str, object] | None:
    """Sizes are inferred for hand-made networks, so only a window that does not fit can be deleted."""
    return case.without(trouble.path) if _SHRUNK.search(trouble.message) else None


def _pointless(graph: Graph) -> Iterator[Finding]:
    """Convolutions wider than one cell over a map of one cell see padding only."""
    used = []
    convolutions = [node for node in graph.nodes if node.op in CONVOLUTIONS]
    for node in convolutions:
        if "transpose" not in node.op and len(node.input_shapes) > 1 and node.parents:
            cells, kernel = node.input_shapes[0][2:], node.input_shapes[1][2:]
            if cells and all(size == 1 for size in cells) and max(kernel) > 1:
                used.append(node)
    if not used:
        return
    window = "×".join(str(size) for size in used[0].input_shapes[1][2:])
    evidence = say(
        "{count} convolution(s), the first {kernel}, work on a map of a single cell.", count=len(used), kernel=window
    )
    why = say(
        "All other cells under the window are padding, so most of its weights "
        "never meet data. The input is too small for so many strides."
    )
    remedy = say("Use fewer strides and poolings (a small-image stem), or larger inputs.")
    yield Finding(
        CODE,
        FAULT,
        "warning" if len(used) > 1 and len(used) >= _MANY * len(convolutions) else "note",
        used[0].where,
        evidence,
        why,
        remedy,
    )
