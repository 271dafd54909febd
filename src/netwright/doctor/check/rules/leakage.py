"""NW131: examples shared by training and validation, or a feature that is the label."""

from collections.abc import Iterator

import numpy
import torch
from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.findings import Finding

CODE, FAULT = "NW131", "leakage"

_SHARE, _SERIOUS = 0.01, 0.1
_ROWS = 20_000
_ENOUGH = 32


def rule(case: Case) -> Iterator[Finding]:
    """Rows are compared bit by bit; features with the target one at a time."""
    given = case.main_input
    if given is None or not given.numel() or given.dim() < 2:
        return
    if case.validation is not None:
        yield from _shared(given, case.validation[0])
    if given.dim() == 2 and given.is_floating_point() and isinstance(case.targets, Tensor) and len(given) >= _ENOUGH:
        rows = torch.linspace(0, len(given) - 1, min(len(given), _ROWS)).long()
        if case.targets.numel() == len(given) and not case.reconstructs:
            yield from _label_inside(given[rows], case.targets.reshape(-1)[rows])


def _shared(given: Tensor, validation: object) -> Iterator[Finding]:
    other = validation[0] if isinstance(validation, tuple) else validation
    other = torch.as_tensor(other)
    if other.shape[1:] != given.shape[1:] or not other.numel() or other.dtype != given.dtype:
        return
    known = set(_hashes(given))
    rows = _hashes(other)
    twice = sum(row in known for row in rows)
    share = twice / len(rows)
    # Small integer grids (token windows, one-hot rows) repeat by chance.
    if share < _SHARE or len(known) < 0.5 * min(len(given), _ROWS):
        return
    evidence = say(
        "{count} of {all} validation examples are in the training data too ({share:.0%}).",
        count=twice,
        all=len(rows),
        share=share,
    )
    why = say("They are remembered, not predicted, so validation looks better than the network is.")
    remedy = say("Remove duplicates before splitting, and split by group where examples belong together.")
    yield Finding(
        CODE, FAULT, "error" if share >= _SERIOUS else "warning", "validation", evidence, why, remedy, proven=True
    )


def _hashes(rows: Tensor) -> list[int]:
    array = numpy.ascontiguousarray(rows[:_ROWS].detach().cpu().reshape(min(len(rows), _ROWS), -1).numpy())
    return [hash(row.tobytes()) for row in array]


def _label_inside(given: Tensor, targets: Tensor) -> Iterator[Finding]:
    if not 2 <= given.shape[1] <= 10_000:
        return
    y = targets.detach().double()
    x = given.detach().double()
    x, y = x - x.mean(0), y - y.mean()
    sizes = x.norm(dim=0) * y.norm()
    likeness = (x.T @ y).abs() / sizes.clamp(min=1e-30)
    worst = int(likeness.nan_to_num().argmax())
    if float(sizes[worst]) <= 1e-12 or float(likeness[worst]) < 0.99999:
        return
    evidence = say(
        "Feature {column} and the target have a correlation of {r:.5f}.", column=worst, r=float(likeness[worst])
    )
    why = say("A feature that is the answer will not be there when answers are needed. All other features are ignored.")
    yield Finding(
        CODE,
        FAULT,
        "warning",
        f"inputs[:, {worst}]",
        evidence,
        why,
        say("Drop this feature, unless it is known at prediction time."),
        proven=True,
    )
