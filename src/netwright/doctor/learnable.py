"""What the data allow: labels that the inputs say nothing about, labels that are mostly noise, and much that a plain
network finds and this one does not.

The look at the data comes before the probes, which are judged on examples that they train on: with shuffled labels a
remedy only learns faster by heart.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from netwright.core.messages import say
from netwright.doctor.findings import Finding
from netwright.doctor.probe import Examples, Scene, run
from netwright.doctor.probe.batches import rows, size_of
from netwright.doctor.probe.fitting import FITTING
from netwright.doctor.probe.reference import Reference, held_out, plain
from netwright.doctor.probe.surgery import hold_rate, standardise_inputs, without_dropout
from netwright.doctor.trials import Trials
from netwright.doctor.words import told

__all__ = ["Learnable", "held_back", "of_the_data", "what_is_learnable"]

_CHANCE = 0.9  # of what is unexplained: hardly more than luck with so many examples
_STREWN, _AS_OFTEN = 0.75, 0.12  # labels met where a network is surest, and how much oftener than elsewhere
_ENOUGH = 150  # examples
_LITTLE = 0.3
_LEARNT = 0.85  # of a planted rule left unexplained, at most, where a real one would have shown
_WELL = 300  # steps of a network that is trained well


@dataclass(frozen=True)
class Learnable:
    """`reference`: a plain network's; `chance`: no better than with permuted targets; `own`: what the user's program
    leaves unexplained of held-out examples, where there is a doubt; `well`: what its network does when it is trained
    well. `shown`: the plain network learns a planted rule from the same inputs; `able`: so does the user's.
    """

    reference: Reference | None = None
    chance: bool = False
    own: float | None = None
    well: float | None = None
    shown: bool = False
    able: bool = False

    @property
    def senseless(self) -> bool:
        """Whether neither network finds anything that holds for other examples, although a rule would have shown."""
        tries = (self.own, self.well)
        return self.chance and self.shown and all(left is not None and left > _CHANCE for left in tries)

    @property
    def strewn(self) -> bool:
        """Wrong labels, unlike hard examples, are met as often where a network is sure; and the own one has no more."""
        told = self.reference
        if told is None or told.right is None or told.surest is None or self.own is None or self.chance:
            return False
        return self.own > told.left - 0.05 and _flat(told)


def what_is_learnable(scene: Scene, final: float) -> Learnable:
    """A plain network's run on seven of ten examples, and the program's own where that finds nothing or much noise.
    Where neither finds anything, both are to learn a planted rule first: else nothing can be concluded.
    """
    many = scene.batches.pool is not None and size_of(scene.batches.pool) >= _ENOUGH
    possible = plain(scene) if scene.trusted and (many or final > _LITTLE) else None
    if possible is None:
        return Learnable()
    chance = possible.left > _CHANCE and possible.left > _luck(scene) - 0.01
    if not many or not (chance or (_flat(possible) and final > _LITTLE)):
        return Learnable(possible, chance)
    found = Learnable(possible, chance, held_out(scene, scene.steps))
    if not chance or found.own is None or found.own < _CHANCE:
        return found
    rule, steps = plain(scene, rule=True), max(scene.steps, _WELL)
    if rule is None or rule.left > _LEARNT:
        return found
    well = held_out(scene, steps, well=True)
    own = held_out(scene, steps, well=True, rule=True) if well is not None and well > _CHANCE else None
    return replace(found, well=well, shown=True, able=own is not None and own < _CHANCE)


def of_the_data(scene: Scene, data: Learnable, trials: Trials) -> Iterator[Finding]:
    """What is said of the targets, or of a network that finds less in the inputs than a plain one."""
    targets, possible = scene.targets, data.reference
    if not scene.trusted:
        return
    if isinstance(targets, Tensor) and targets.numel() > 20 and bool((targets == targets.reshape(-1)[0]).all()):
        yield told("labels-corrupted", "error", "targets", say("All targets are the same."), proven=True)
    elif possible is None:
        return
    elif data.senseless and not trials.generalised():
        own = max(0.0, 1 - min(data.own or 1, data.well or 1))
        evidence = say("On examples held out, a plain network explains {plain:.0%} of the targets and yours {own:.0%}.",
                       plain=max(0.0, 1 - possible.left), own=own)  # fmt: skip
        evidence += say(" A rule planted in the same inputs is learnt from as many examples.")
        yield told("labels-corrupted", "error" if data.able else "warning", "targets", evidence, proven=data.able)
    elif data.strewn and trials.final > _LITTLE:
        evidence = say("Held-out labels agree with a plain network's guess in {right:.0%}, and where it is surest in "
                       "{surest:.0%}: wrong labels are strewn over all of them.",
                       right=possible.right, surest=possible.surest)  # fmt: skip
        yield told("labels-corrupted", "warning", "targets", evidence)


def held_back(scene: Scene, data: Learnable, trials: Trials) -> Iterator[Finding]:
    """A plain network finds much more in the inputs. Can this one fit a handful, with the better of two rates?"""
    if not scene.trusted or data.reference is None or trials.final < data.reference.left + 0.25:
        return
    if 1 - trials.final < 0.5 * (1 - data.reference.left):
        yield from _held_back(scene, trials, data.reference.left)


def _luck(scene: Scene) -> float:
    reference = plain(scene, permuted=1)
    return min(1.0, reference.left) if reference is not None else 1.0


def _flat(possible: Reference) -> bool:
    right, surest = possible.right, possible.surest
    return right is not None and surest is not None and surest < min(_STREWN, right + _AS_OFTEN)


def _held_back(scene: Scene, trials: Trials, possible: float) -> Iterator[Finding]:
    """Can it fit a handful of examples, with the best of several rates?"""
    left = _handful(scene)
    evidence = say("A plain network explains {plain:.0%} of targets held out; yours {own:.0%} of those it saw.",
                   plain=1 - possible, own=max(0.0, 1 - trials.final))  # fmt: skip
    if left is not None and left > 0.3:
        evidence += say(" Of 16 examples alone it still leaves {left:.0%} unexplained.", left=left)
        yield told("capacity-too-small", "error", "net", evidence, proven=True)
    else:
        yield told("slow-convergence", "warning", "net", evidence)


def _handful(scene: Scene) -> float | None:
    """What Adam leaves unexplained of 16 examples at the best of two rates."""
    count = size_of(scene.train.batch)
    few = tuple(rows(part, torch.linspace(0, count - 1, min(16, count)).long()) for part in scene.train.batch)
    found = []
    for rate in (3e-3, 3e-2):
        adam = functools.partial(_adam, rate=rate)
        fork = scene.program.fork(optimizer=adam, loss=FITTING.get(scene.kind))
        without_dropout(fork)
        hold_rate(fork, [rate])
        if scene.inputs is not None:
            standardise_inputs(fork, scene.inputs)
        batch = (few[0], few[1])
        outcome = run(fork, [batch] * 200, Examples(batch, scene.train.yardstick), deadline=scene.deadline)
        if not outcome.error:
            found.append(outcome.unexplained)
    return min(found, default=None)


def _adam(net: nn.Module, rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(net.parameters(), rate)
