"""What kind of thing is to be predicted, read from the targets themselves and from the schema where there is one."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["TargetView", "view_targets"]

_ENOUGH = 16  # examples
_QUICK = 5_000_000  # numbers, beyond which rows are sampled
_FROM_SCHEMA = {
    "class": "class",
    "number": "number",
    "forecast": "number",
    "multilabel": "multilabel",
    "mask": "tokens",
    "next-token": "tokens",
    "action": "number",
}


@dataclass(frozen=True)
class TargetView:
    """Targets in a few numbers.

    `kind`: "class" (one whole number an example), "tokens" (one a position), "binary" (0 and 1, one column),
    "one-hot", "multilabel" (several ones a row), "distribution" (rows sum to 1), "number". `counts`: examples a
    class. `sure`: the schema says so.
    """

    kind: str
    shape: tuple[int, ...]
    integer: bool
    low: float
    high: float
    mean: float
    std: float
    counts: dict[int, int]
    sure: bool = False

    @property
    def rms(self) -> float:
        """Root mean square."""
        return math.hypot(self.mean, self.std)

    @property
    def classes(self) -> bool:
        """Whether labels are meant, in any form."""
        return self.kind in {"class", "tokens", "binary", "one-hot", "multilabel"}


def view_targets(targets: Tensor, schema: Any = None) -> TargetView | None:
    """The view of `targets`; None for empty ones."""
    if not targets.numel() or targets.is_complex():
        return None
    if targets.numel() > _QUICK and targets.dim() > 1:
        rows = max(64, _QUICK * targets.shape[0] // targets.numel())
        targets = targets[torch.linspace(0, targets.shape[0] - 1, min(rows, targets.shape[0])).long()]
    values = targets.detach().double()
    finite = values[torch.isfinite(values)]
    if not finite.numel():
        return None
    integer = not targets.is_floating_point()
    kind = _FROM_SCHEMA.get(getattr(getattr(schema, "target", None), "kind", ""), "")
    sure = bool(kind)
    if not sure or kind in {"class", "number"}:  # a schema's class may still come one-hot or as soft labels
        seen = _kind(targets, finite, integer)
        kind = seen if not sure or (kind == "class" and seen in {"one-hot", "distribution", "binary"}) else kind
    low, high = (float(v) for v in finite.aminmax())
    std = float(finite.std(correction=0))
    counts = _counts(targets, kind)
    return TargetView(kind, tuple(targets.shape), integer, low, high, float(finite.mean()), std, counts, sure)


def _kind(targets: Tensor, values: Tensor, integer: bool) -> str:
    zero_one = bool(((values == 0) | (values == 1)).all())
    column = targets.dim() <= 1 or (targets.dim() == 2 and targets.shape[1] == 1)
    if integer and column and _counted(targets):
        return "number"
    if integer and not (zero_one and targets.dim() == 2):
        return "class" if column else "tokens"
    if column:
        return "class" if integer else "binary" if zero_one and bool(values.min() != values.max()) else "number"
    if targets.dim() == 2:
        rows = targets.detach().double().sum(1)
        whole = bool(((rows - 1).abs() < 1e-4).all())
        if zero_one:
            return "one-hot" if whole else "multilabel"
        return "distribution" if whole and bool((values >= 0).all()) else "number"
    return "number"


def _counted(targets: Tensor) -> bool:
    """Whole numbers that hardly ever repeat and spread wider than the examples could number classes: prices, years."""
    count = targets.numel()
    return count >= _ENOUGH and targets.unique().numel() > count / 2 and int(targets.max()) > 2 * count


def _counts(targets: Tensor, kind: str) -> dict[int, int]:
    labels = targets.detach()
    if kind == "one-hot":
        labels = labels.argmax(1)
    elif kind not in {"class", "binary", "tokens"}:
        return {}
    found, counts = labels.reshape(-1).long().unique(return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))
