"""NW101: layers do not fit each other, the network does not fit the data, or a feature map has shrunk to a point."""

import re
from collections.abc import Iterator

from torch import nn

from netwright.core.messages import say
from netwright.doctor.check.case import Case, Trouble
from netwright.doctor.check.graph import CONVOLUTIONS, Graph
from netwright.doctor.findings import Finding

CODE, FAULT = "NW101", "shape-mismatch"

# What other rules tell of: types, indices, batch norm on one value, probabilities out of range.
_ELSEWHERE = re.compile(
    r"dtype|scalar type|expected .*(Long|Float|Double|Int)|can't be cast|not implemented for '"
    r"|more than 1 value per channel|index out of range|between 0 and 1|out of bounds",
    re.IGNORECASE,
)
_SHRUNK = re.compile(
    r"too small|smaller than kernel|greater than actual input|Calculated output size|non-?zero size", re.IGNORECASE
)


def rule(case: Case) -> Iterator[Finding]:
    """The forward pass failed on shapes, or convolutions work on maps of one cell."""
    trouble = case.trouble
    if trouble is not None and trouble.stage == "forward" and not _ELSEWHERE.search(trouble.message):
        yield _failed(case, trouble)
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
    key = case.layer_key(trouble.path)
    return {key: None} if key and _SHRUNK.search(trouble.message) else None


def _pointless(graph: Graph) -> Iterator[Finding]:
    """Convolutions wider than one cell over a map of one cell see padding only."""
    used = []
    for node in graph.nodes:
        if node.op in CONVOLUTIONS and "transpose" not in node.op and len(node.input_shapes) > 1 and node.parents:
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
    yield Finding(CODE, FAULT, "warning" if len(used) > 1 else "note", used[0].where, evidence, why, remedy)
