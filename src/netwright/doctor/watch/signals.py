"""What a watch has gathered, as plain numbers; read once, after the run or in the middle of it.

A run's own scale is the measure of everything: losses against the first ones, updates against weights, layers against
each other.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

__all__ = ["Layer", "Signals", "listed", "median"]

# Weights alone are measured, and biases have a varying part in a clipped norm.
_NO_MODULES = ("loss", "weights", "inputs", "batch")  # where else a guard may find what is no number
_STUCK = 0.95  # of the first loss
_APART = 1e-5  # outputs, over their size
_ALIKE, _ALIKE_TINY, _TINY = 1.4, 2.0, 0.02


@dataclass
class Layer:
    """Activations that reached one weighted layer: shares of units that never fired, of ends of tanh and sigmoid."""

    dead: float = 0.0
    first_dead: float = 0.0
    saturated: float = 0.0
    units: int = 0
    seen: int = 0


@dataclass
class Signals:
    """`losses` one a step; the others by sampled step. `updates`: tensor's name to (step, change over weight) rows;
    `gradients`: to (step, norm) rows, of weights, in the order of the network. `idle` of the `unchanged` got no
    gradient, `absent` are in no group of the optimizer. `answers`: how far the outputs of a batch lie apart, over
    their size. `moved`, `grown`: how far the weights are from the first ones, and how large, over the size of those,
    which is `began` of all together. `batch`: examples in the smallest one seen.
    """

    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    updates: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    gradients: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    sizes: dict[str, float] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)
    unchanged: list[str] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    fresh: int = 0
    piled: int = 0
    stepped: int = 0
    trained_asleep: int = 0
    trained_awake: int = 0
    asleep_since: int = 0
    tested_awake: int = 0
    tested_asleep: int = 0
    tested_steps: int = 0
    mode_matters: bool = False
    constant_inputs: int = 0
    sampled_inputs: int = 0
    one_label: int = 0
    labelled: int = 0
    answers: list[float] = field(default_factory=list)
    classes: int = 0
    batch: int = 0
    began: float = 0.0
    moved: float = 0.0
    grown: float = 0.0
    where_bad: str = ""

    @property
    def finite(self) -> list[float]:
        """The losses that are numbers."""
        return [loss for loss in self.losses if math.isfinite(loss)]

    @property
    def first_bad(self) -> int | None:
        """The first step whose loss is NaN or infinite."""
        return next((step for step, loss in enumerate(self.losses) if not math.isfinite(loss)), None)

    @property
    def bad_module(self) -> str:
        """The module that was the first to give what is no number; empty where none was found."""
        return "" if self.where_bad in _NO_MODULES else self.where_bad

    @property
    def trend(self) -> float:
        """The loss of the last tenth of the steps over that of the first; 1 where nothing can be said."""
        losses = self.finite
        if len(losses) < 4:
            return 1.0
        part = max(1, len(losses) // 10)
        first, last = median(losses[: max(part, 2)]), median(losses[-max(part, 3) :])
        return last / first if first > 0 else 1.0

    @property
    def end(self) -> float:
        """The loss of the last tenth of the steps over the very first one."""
        losses = self.finite
        return median(losses[-max(len(losses) // 10, 3) :]) / losses[0] if losses and losses[0] > 0 else 1.0

    @property
    def peak(self) -> float:
        """The highest loss over the first one."""
        losses = self.finite
        return max(losses) / losses[0] if losses and losses[0] > 0 else 1.0

    @property
    def has_floor(self) -> bool:
        """Whether the loss never falls below zero, as one that tells how much there is still to learn."""
        return bool(self.finite) and self.finite[0] > 0 <= min(self.finite)

    @property
    def stuck(self) -> bool:
        """The loss has come no lower than it began."""
        return self.end > _STUCK

    @property
    def at_chance(self) -> bool:
        """The loss ends where guessing among the outputs' classes would."""
        chance = math.log(self.classes) if self.classes > 1 else 0.0
        return chance > 0 and abs(self.end * self.finite[0] - chance) < 0.05 * chance

    @property
    def below_chance(self) -> bool:
        """The loss was well below that from the first step on."""
        return self.classes > 1 and 0 < self.finite[0] < 0.6 * math.log(self.classes)

    @property
    def same_answer(self) -> bool:
        """Whether lately all examples of a batch got the same answer, though they differ."""
        last = self.answers[-3:]
        return len(last) == 3 and max(last) < _APART and self.constant_inputs == 0

    def steepness(self) -> float:
        """The first gradient's norm over that of the first weights."""
        first = [rows[0][1] for rows in self.gradients.values() if rows]
        return math.hypot(*first) / max(self.began, 1e-12) if first else 0.0

    def update(self) -> float:
        """The median over tensors of their median change over weight; 0 where none was seen."""
        typical = [median([ratio for _, ratio in rows]) for rows in self.updates.values() if rows]
        return median(typical) if typical else 0.0

    def throw(self) -> float:
        """The median over tensors of the change over weight, in the sampled step where it is largest."""
        steps: dict[int, list[float]] = {}
        for rows in self.updates.values():
            for step, ratio in rows:
                steps.setdefault(step, []).append(ratio)
        return max(map(median, steps.values()), default=0.0)

    def largest_update(self) -> float:
        """The largest change over weight of any tensor in any sampled step."""
        return max((ratio for rows in self.updates.values() for _, ratio in rows), default=0.0)

    def gradient_ratio(self) -> float | None:
        """Gradient over weight in the first layer against the last one, early in the run; None for one layer."""
        per = {}
        for name, rows in self.gradients.items():
            early = [norm for _, norm in rows[:4] if math.isfinite(norm)]
            if early:
                per[name] = median(early) / max(self.sizes.get(name, 1.0), 1e-12)
        values = list(per.values())
        if len(values) < 3 or values[-1] <= 0:
            return None
        return values[0] / values[-1]

    def gradient_peak(self) -> float:
        """The largest gradient norm seen over the median one."""
        rows: Mapping[int, float] = self._totals()
        values = [norm for norm in rows.values() if math.isfinite(norm)]
        return max(values) / max(median(values), 1e-12) if values else 1.0

    def gradients_alike(self) -> bool:
        """Whether the whole gradient has the same norm in every sampled step, as clipping leaves it."""
        values = [norm for norm in self._totals().values() if math.isfinite(norm) and norm > 0]
        if len(values) < 4:
            return False
        return max(values) < (_ALIKE_TINY if max(values) < _TINY else _ALIKE) * min(values)

    def _totals(self) -> dict[int, float]:
        totals: dict[int, float] = {}
        for rows in self.gradients.values():
            for step, norm in rows:
                totals[step] = math.hypot(totals.get(step, 0.0), norm)
        return totals


def median(values: Sequence[float]) -> float:
    """The upper one of two; 0 for none."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else 0.0


def listed(tensors: Sequence[Tensor]) -> list[float]:
    """The values of many one-element tensors, in one transfer."""
    return torch.stack([tensor.detach().reshape(()).float() for tensor in tensors]).tolist() if tensors else []
