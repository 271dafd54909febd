"""What a sampled step is looked at for: gradients before the optimizer's step, the change of the weights after it, and
whether the gradient that came in was added to an older one.

Copies of the weights are held, the first ones whole and a part of those before the step; the second is written to again
and again, since fresh memory is what costs the most on a small network. All results stay on the device.
"""

import math

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from netwright.doctor.watch.signals import Signals, listed, median

__all__ = ["Samples"]

_PART = 16_384  # numbers of a weight that a step is measured by
_LITTLE = 65_536  # numbers of a gradient that is quickly copied
_FEW, _MANY = 3, 4096  # entries of the last bias


class Samples:
    """Rows of norms; `read` turns them into numbers."""

    def __init__(self, net: nn.Module) -> None:
        self.named = [(name, p) for name, p in net.named_parameters() if p.requires_grad]
        self._weights = [(name, p) for name, p in self.named if p.dim() > 1]
        self._names = [name for name, _ in self._weights]
        self._start = [p.detach().clone() for _, p in self.named]
        self._before: list[Tensor] = []
        self._moving = False
        self._rows: list[tuple[str, int, list[str], list[Tensor], list[Tensor]]] = []
        self._piled: tuple[list[Tensor], list[Tensor]] = [], []
        self._last = next((p for _, p in reversed(self.named) if p.dim() == 1 and _FEW <= p.numel() <= _MANY), None)
        self._last_bias: list[Tensor] = []
        self._reached: set[str] = set()

    def attach(self, optimizer: Optimizer | None) -> list[RemovableHandle]:
        """Of two parameters that the optimizer has: the gradient that comes in against the one that then lies there."""
        held = {id(p) for group in optimizer.param_groups for p in group["params"]} if optimizer is not None else None
        among = [p for _, p in self.named if p.numel() <= _LITTLE and (held is None or id(p) in held)]
        handles = []
        for place, parameter in enumerate(among[:: max(1, len(among) - 1)] if among else ()):
            handles += _compare(parameter, self._piled[place])
        return handles

    def before(self, step: int) -> None:
        """Right before an optimizer's step."""
        with torch.no_grad():
            self._reached.update(name for name, p in self.named if p.grad is not None)
            dense = [(name, p.grad.detach()) for name, p in self._weights if _dense(p)]  # type: ignore[union-attr]
            if dense:
                norms = list(torch._foreach_norm([gradient for _, gradient in dense]))
                self._rows.append(("gradient", step, [name for name, _ in dense], norms, norms))
            if self._last is not None and _dense(self._last):
                self._last_bias.append(self._last.grad.detach().clone())  # type: ignore[union-attr]
            weights = self._parts()
            if len(self._before) != len(weights) or any(map(_unlike, self._before, weights)):
                self._before = [weight.clone() for weight in weights]
            elif weights:
                torch._foreach_copy_(self._before, weights)
            self._moving = bool(weights)

    def after(self, step: int) -> None:
        """Right after it."""
        if self._moving:
            with torch.no_grad():
                sizes = list(torch._foreach_norm(self._before))
                torch._foreach_sub_(self._before, self._parts())
                self._rows.append(("update", step, self._names, list(torch._foreach_norm(self._before)), sizes))
            self._moving = False

    def _parts(self) -> list[Tensor]:
        """The weights now; of a large one every so many-th row."""
        return [p.detach()[:: p.numel() // _PART] if p.numel() >= 2 * _PART else p.detach() for _, p in self._weights]

    def forget(self) -> None:
        """A step that was begun and not finished says nothing."""
        self._moving = False

    def read(self, signals: Signals) -> None:
        """Everything so far, as numbers."""
        signals.updates, signals.gradients = {}, {}
        began = {name for one, (name, _) in zip(self._start, self.named, strict=True) if bool(one.any())}
        for kind, step, names, norms, sizes in self._rows:
            table = signals.updates if kind == "update" else signals.gradients
            for name, norm, size in zip(names, listed(norms), listed(sizes), strict=True):
                if kind == "gradient":
                    table.setdefault(name, []).append((step, norm))
                elif size > 0 and name in began:  # from zero every step is long
                    table.setdefault(name, []).append((step, norm / size))
        signals.gradients = {name: signals.gradients[name] for name, _ in self._weights if name in signals.gradients}
        counts = [(sum(value > 0 for value in listed(one)), len(one)) for one in self._piled]
        signals.piled, seen = max(counts)
        signals.fresh = seen - signals.piled
        self._read_weights(signals)
        self._read_labels(signals)

    def _read_weights(self, signals: Signals) -> None:
        signals.sizes = {name: float(p.detach().norm()) for name, p in self._weights}
        still = [one.equal(p.detach()) for one, (_, p) in zip(self._start, self.named, strict=True)]
        signals.unchanged = [name for same, (name, _) in zip(still, self.named, strict=True) if same]
        norms = signals.gradients
        signals.idle = [n for n in signals.unchanged if n not in self._reached or _nothing(norms.get(n))]
        first = [(one, p.detach()) for one, (_, p) in zip(self._start, self.named, strict=True) if p.dim() > 1]
        sizes = [(float(one.norm()), float(now.norm()), float((now - one).norm())) for one, now in first]
        signals.moved = median([moved / size for size, _, moved in sizes if size > 0])
        signals.began = math.hypot(*(size for size, _, _ in sizes))
        signals.grown = median([now / size for size, now, _ in sizes if size > 0])

    def _read_labels(self, signals: Signals) -> None:
        """Cross-entropy's gradient at the last bias, which sums to zero, pulls one label up and pushes all others down
        where a batch holds one label only.
        """
        if signals.labelled or not self._last_bias or signals.batch < _FEW:
            return
        rows = torch.stack(self._last_bias).float()
        whole = rows.abs().sum(1)
        rows = rows[(rows.sum(1).abs() < 1e-3 * whole) & (whole > 1e-3)]
        alone = rows[(rows < 0).sum(1) == 1].argmin(1)
        signals.labelled, signals.one_label = len(rows), len(alone) if len(alone.unique()) > 1 else 0


def _compare(parameter: Tensor, piled: list[Tensor]) -> list[RemovableHandle]:
    seen: dict[str, Tensor] = {}

    def arrives(gradient: Tensor) -> None:
        seen["in"] = gradient.detach().clone()

    def lies(leaf: Tensor) -> None:
        if "in" in seen and leaf.grad is not None and leaf.grad.layout == torch.strided:
            piled.append((leaf.grad.detach() - seen.pop("in")).abs().sum())

    return [parameter.register_hook(arrives), parameter.register_post_accumulate_grad_hook(lies)]


def _dense(parameter: Tensor) -> bool:
    return parameter.grad is not None and parameter.grad.layout == torch.strided


def _unlike(one: Tensor, other: Tensor) -> bool:
    return one.shape != other.shape or one.dtype != other.dtype or one.device != other.device


def _nothing(rows: list[tuple[int, float]] | None) -> bool:
    return rows is not None and not any(norm > 0 for _, norm in rows)
