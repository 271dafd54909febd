"""NW131: examples shared by training and validation, or a feature that is the label."""

from collections.abc import Iterator

import numpy
import torch
from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.findings import Finding
from netwright.metrics.architecture import tensors_in

CODE, FAULT = "NW131", "leakage"

_SHARE, _SERIOUS = 0.01, 0.1
_ROWS, _FEW = 20_000, 3
_ENOUGH = 32
_FINE = 1e-3  # of a feature's standard deviation, below which two values are the same
_SAME = 0.99999


def rule(case: Case) -> Iterator[Finding]:
    """Rows are compared up to noise that no measurement has; features with the target one at a time."""
    given = case.main_input
    if given is None or not given.numel() or given.dim() < 2:
        return
    other = next(tensors_in(case.validation[0]), None) if case.validation is not None else None
    if other is not None:
        yield from _shared(given, other)
    if given.dim() == 2 and given.is_floating_point() and isinstance(case.targets, Tensor) and len(given) >= _ENOUGH:
        rows = torch.linspace(0, len(given) - 1, min(len(given), _ROWS)).long()
        if len(case.targets) == len(given) and 2 <= given.shape[1] <= 10_000 and not case.reconstructs:
            yield from _label_inside(case, given[rows].double(), case.targets[rows])


def _shared(given: Tensor, other: Tensor) -> Iterator[Finding]:
    if other.shape[1:] != given.shape[1:] or not other.numel() or other.dtype != given.dtype:
        return
    size = given[:_ROWS].float().std(0, correction=0) if given.is_floating_point() else None
    known = set(_hashes(given, size))
    rows = _hashes(other, size)
    twice = sum(row in known for row in rows)
    share = twice / len(rows)
    # Small integer grids (token windows, one-hot rows) and coarse measurements repeat by chance, in training too.
    chance = 1 - len(known) / min(len(given), _ROWS)
    if share < max(_SHARE, 3 * chance) or (twice < _FEW and share < _SERIOUS) or chance > 0.5:
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


def _hashes(rows: Tensor, size: Tensor | None) -> list[int]:
    """A number a row; floats are rounded to `_FINE` of their feature's size."""
    rows = rows[:_ROWS].detach()
    if size is not None:
        step = torch.where(size > 0, _FINE * size, torch.ones_like(size))
        rows = (rows.float() / step).round() + 0.0  # no minus zero
    array = numpy.ascontiguousarray(rows.cpu().reshape(len(rows), -1).numpy())
    return [hash(row.tobytes()) for row in array]


def _label_inside(case: Case, given: Tensor, targets: Tensor) -> Iterator[Finding]:
    """Numbers: a line or a monotone curve through feature and target. Classes: a feature constant within each."""
    target = case.target
    if not bool(torch.isfinite(given).all()) or target is None:
        return
    labels = targets.argmax(1) if target.kind == "one-hot" else targets.reshape(-1)
    if len(labels) != len(given):
        return
    if target.kind in {"class", "binary", "one-hot"} and 2 <= len(target.counts) <= len(given) / 4:
        likeness, how = _within_classes(given, labels), say("is constant within every class, and differs between them")
    elif target.kind == "number":
        likeness, how = _curves(given, labels.double()), say("orders the examples as the target does")
    else:
        return
    worst = int(likeness.argmax())
    if float(likeness[worst]) < _SAME:
        return
    evidence = say("Feature {column} {how} (a likeness of {r:.5f}).", column=worst, how=how, r=float(likeness[worst]))
    why = say("A feature that is the answer will not be there when answers are needed. All other features are ignored.")
    remedy = say("Drop this feature, unless it is known at prediction time.")
    yield Finding(CODE, FAULT, "warning", f"inputs[:, {worst}]", evidence, why, remedy, proven=True)


def _within_classes(given: Tensor, labels: Tensor) -> Tensor:
    """The share of each feature's variance that lies between the classes."""
    _, place = labels.unique(return_inverse=True)
    onehot = torch.nn.functional.one_hot(place).to(given)
    means = (onehot.T @ given) / onehot.sum(0)[:, None]
    inside = (given - means[place]).square().sum(0)
    whole = (given - given.mean(0)).square().sum(0)
    return torch.where(whole > 1e-12, 1 - inside / whole.clamp(min=1e-30), torch.zeros_like(whole))


def _curves(given: Tensor, targets: Tensor) -> Tensor:
    """Correlation of values, or of ranks where nearly all values differ."""
    straight = _correlation(given, targets[:, None])
    if targets.unique().numel() < 0.9 * len(targets):
        return straight
    varied = torch.tensor([column.unique().numel() >= 0.9 * len(column) for column in given.T], device=given.device)
    ranks = _correlation(_ranks(given), _ranks(targets[:, None]))
    return torch.maximum(straight, torch.where(varied, ranks, torch.zeros_like(ranks)))


def _ranks(columns: Tensor) -> Tensor:
    return columns.argsort(0).argsort(0).double()


def _correlation(given: Tensor, targets: Tensor) -> Tensor:
    x, y = given - given.mean(0), targets - targets.mean(0)
    sizes = x.norm(dim=0) * y.norm(dim=0)
    return torch.where(sizes > 1e-12, (x * y).sum(0).abs() / sizes.clamp(min=1e-30), torch.zeros_like(sizes))
