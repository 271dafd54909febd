"""How much is run: steps of the watched run and of each probe. The work decides and not the clock, so that the same
program gets the same verdict on a busy machine; a budget that is too small for it takes halves of it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from netwright.core.messages import say
from netwright.doctor.probe import Scene
from netwright.doctor.probe.fork import Fork
from netwright.doctor.probe.running import in_a_line

__all__ = ["NotRunning", "Plan", "planned_work"]

_PROBE, _LEAST = 150, 37  # steps of a probe
_SHORT, _LONG, _LONGEST = 300, 600, 3000  # steps of the watched run: at least, beyond the user's own, at most
_PILOT, _FEW = 6, 20
_WATCHED, _PROBED, _MARKED = 0.12, 0.4, 0.1  # shares of the budget
_WATCHED_SLOW = 0.3  # where a step takes so long that little can be seen in less
_RUNS = 18  # probes that the budget is planned for
_GONE = 0.1  # of a learning rate


@dataclass(frozen=True)
class Plan:
    """`length`: steps that are watched; `steps`: of a probe, of which the budget bears `most`; `end`: the step at which
    the run is judged, after the user's own length or a probe's.
    """

    length: int
    steps: int
    most: int
    end: int
    marks: frozenset[int]

    def steps_for(self, rates: Sequence[float]) -> int:
        """Of a probe where the learning rate went like this: a schedule that ends early shows only after its end."""
        top = rates.index(max(rates)) if rates else 0
        gone = next((at for at in range(top, len(rates)) if rates[at] < _GONE * rates[top]), 0)
        return max(self.steps, min(2 * gone, self.most, self.length))

    def within(self, own: int) -> "Plan":
        """The same for a run that ends where the user's does: what might come after that is no fault of it."""
        marks = frozenset(mark for mark in self.marks if mark <= own)
        return replace(self, length=own, steps=min(self.steps, own), end=own, marks=marks | {own})


class NotRunning(Exception):
    """The program raises on its own data; the message says what, in the user's words."""


def planned_work(scene: Scene, budget: float) -> Plan:
    """The plan for a scene.

    Raises:
        NotRunning: the program fails in its first steps.
    """
    fork = scene.program.fork()
    rates = _rates(fork)
    pace = _pace(scene, fork)
    own = scene.planned
    length = max(_SHORT, min(2 * own, _LONG), min(own, _LONGEST))
    if _rates(fork) != rates:  # beyond its end a schedule means nothing
        length = max(own, _FEW)
    while length * pace > (_WATCHED if length > _SHORT // 2 else _WATCHED_SLOW) * budget and length > 2 * _FEW:
        length //= 2
    steps, most = min(_PROBE, length), int(_PROBED * budget / _RUNS / pace)
    while steps > max(_LEAST, most):
        steps //= 2
    end = min(length, max(own, steps))
    marks = {length * at // 4 for at in range(4)} | {own * at // 10 for at in range(11)} | {end}
    return Plan(length, steps, most, end, _thinned(marks, end, int(_MARKED * budget / _mark_seconds(scene, fork))))


def _pace(scene: Scene, fork: Fork) -> float:
    """Seconds a step: the quickest of a few, which a busy machine delays the least."""
    took = []
    try:
        for batch in scene.batches.sequence(_PILOT):
            begun = time.monotonic()
            fork.advance(batch)
            took.append(time.monotonic() - begun)
    except Exception as error:  # the user's own step
        template = "Nothing could be probed: after {steps} steps the program raises {error}"
        raise NotRunning(say(template, steps=len(took), error=in_a_line(error))) from error
    return max(min(took), 1e-5)


def _mark_seconds(scene: Scene, fork: Fork) -> float:
    """What one measure along the way costs."""
    begun = time.monotonic()
    scene.train.measure(fork)
    if scene.validation is not None:
        scene.validation.measure(fork)
        scene.validation.loss(fork)
    return max(time.monotonic() - begun, 1e-5)


def _thinned(marks: set[int], end: int, most: int) -> frozenset[int]:
    """The first mark, the one at which the run is judged, and of the others as many as the budget bears."""
    others = sorted(marks - {0, end})
    kept = others[:: max(1, -(-len(others) // max(1, most)))]
    return frozenset({0, end, *kept})


def _rates(fork: Fork) -> list[float]:
    return [float(group["lr"]) for group in fork.optimizer.param_groups]
