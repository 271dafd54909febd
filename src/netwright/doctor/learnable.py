"""What the data allow: labels that the inputs say nothing about, labels that are mostly noise, and much that a plain
network finds and this one does not.

The look at the data comes before the probes, which are judged on examples that they train on: with shuffled labels a
remedy only learns faster by heart.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.reading import rows
from netwright.doctor.findings import Finding
from netwright.doctor.probe import Examples, Scene, run
from netwright.doctor.probe.batches import size_of
from netwright.doctor.probe.reference import Reference, held_out, plain
from netwright.doctor.probe.surgery import normalise_layers
from netwright.doctor.probe.well import set_well
from netwright.doctor.trials import Trials
from netwright.doctor.words import finding_of
from netwright.metrics.architecture import main_tensor

__all__ = ["Learnable", "held_back", "of_the_data", "what_is_learnable"]

_NO_MORE = 0.05  # of a plain network's share, by which the own network may be better and still explain no more
_CHANCE = 0.9  # of what is unexplained: hardly more than luck with so many examples
_STREWN, _AS_OFTEN = 0.75, 0.12  # labels met where a network is surest, and how much oftener than elsewhere
_ENOUGH = 150  # examples
_LITTLE = 0.3
_LINKED = 4.5  # standard errors, the largest of several looks
_LEARNT = 0.85  # of a planted rule left unexplained, at most, where a real one would have shown
_WELL = 300  # steps of a network that is trained well
_BEHIND, _FAR, _PART = 0.15, 0.25, 0.7  # of a plain network; of what it explains
_HANDFUL, _TRIED, _STUCK = 16, 200, 0.3  # examples alone, steps on them, and what is left unexplained of them then
# A rate, whether the weights are fresh, and whether the layers are normalised.
_WAYS = ((3e-3, False, False), (3e-3, True, False), (3e-2, True, False), (5e-4, True, False), (3e-3, True, True))


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
        known = self.reference is not None and self.reference.linked > _LINKED  # little is not nothing
        return self.chance and not known and self.shown and all(left is not None and left > _CHANCE for left in tries)

    @property
    def strewn(self) -> bool:
        """Wrong labels, unlike hard examples, are met as often where a network is sure; and the own one has no more."""
        if self.reference is None or self.own is None or self.chance:
            return False
        return self.own > self.reference.left - _NO_MORE and _flat(self.reference)


def what_is_learnable(scene: Scene, final: float) -> Learnable:
    """A plain network's run on seven of ten examples, and the program's own where that finds nothing or much noise.
    Where neither finds anything, both are to learn a planted rule first: else nothing can be concluded.
    """
    many = scene.batches.pool is not None and size_of(scene.batches.pool) >= _ENOUGH and _rare(scene) >= _ENOUGH // 4
    possible = plain(scene) if scene.trusted and (many or final > _LITTLE) else None
    if possible is None:
        return Learnable()
    chance = possible.left > _CHANCE and possible.left > _luck(scene) - 0.01
    if not many or not (chance or (_flat(possible) and final > _LITTLE)):
        return Learnable(possible, chance)
    found = Learnable(possible, chance, held_out(scene, scene.steps))
    if not chance or found.own is None or found.own < _CHANCE:
        return found
    rule, steps = plain(scene, "planted"), max(scene.steps, _WELL)
    if rule is None or rule.left > _LEARNT:
        return found
    well = held_out(scene, steps, "well")
    own = held_out(scene, steps, "well", "planted") if well is not None and well > _CHANCE else None
    return replace(found, well=well, shown=True, able=own is not None and own < _CHANCE)


def of_the_data(scene: Scene, data: Learnable, trials: Trials) -> Iterator[Finding]:
    """What is said of the targets, or of a network that finds less in the inputs than a plain one."""
    targets, possible = scene.targets, data.reference
    if not scene.trusted:
        return
    if isinstance(targets, Tensor) and targets.numel() > 20 and bool((targets == targets.reshape(-1)[0]).all()):
        yield finding_of("labels-corrupted", "error", "targets", say("All targets are the same."), proven=True)
    elif possible is None:
        return
    elif data.senseless and not trials.generalised():
        own = max(0.0, 1 - min(data.own or 1, data.well or 1))
        evidence = say("On examples held out, a plain network explains {plain:.0%} of the targets and yours {own:.0%}.",
                       plain=max(0.0, 1 - possible.left), own=own)  # fmt: skip
        evidence += say(" A rule planted in the same inputs is learnt from as many examples.")
        yield finding_of("labels-corrupted", "error" if data.able else "warning", "targets", evidence, proven=data.able)
    elif data.strewn and trials.final > _LITTLE:
        evidence = say("Held-out labels agree with a plain network's guess in {right:.0%}, and where it is surest in "
                       "{surest:.0%}: wrong labels are strewn over all of them.",
                       right=possible.right, surest=possible.surest)  # fmt: skip
        yield finding_of("labels-corrupted", "warning", "targets", evidence)


def held_back(scene: Scene, data: Learnable, trials: Trials) -> Iterator[Finding]:
    """Much is left that a plain network finds, or nothing was learnt at all. Can this one fit a handful of examples,
    with the best of several rates? Networks that draw their answers by lot are not asked.
    """
    known = data.reference.left if data.reference is not None else None
    behind = known is not None and trials.final > known + _BEHIND and 1 - trials.final < _PART * (1 - known)
    late = scene.left < scene.reserve / 2
    if late or not scene.trusted or not (behind or (known is None and trials.nowhere)) or _drawn(scene):
        return
    far = known is not None and trials.final >= known + _FAR and 1 - trials.final < 0.5 * (1 - known)
    left, eased = _handful(scene)
    stuck = left is not None and left > _STUCK
    if not (far or stuck):
        return
    evidence = ""
    if known is not None:
        evidence = say("A plain network explains {plain:.0%} of targets held out; yours {own:.0%} of those it saw.",
                       plain=1 - known, own=max(0.0, 1 - trials.final))  # fmt: skip
    if stuck and eased < _STUCK:
        evidence += say(
            " Of {few} examples alone it leaves {left:.0%} unexplained; with normalised layers, {eased:.0%}.",
            few=_HANDFUL, left=left, eased=eased,
        )  # fmt: skip
        yield finding_of("missing-normalization", "warning", "layers", evidence.strip())
    elif stuck:
        evidence += say(" Of {few} examples alone it still leaves {left:.0%} unexplained.", few=_HANDFUL, left=left)
        sure = known is not None
        yield finding_of("capacity-too-small", "error" if sure else "warning", "net", evidence.strip(), proven=sure)
    else:
        yield finding_of("slow-convergence", "warning", "net", evidence)


def _drawn(scene: Scene) -> bool:
    """Whether two answers to the same inputs differ."""
    fork = scene.program.fork()
    answers = []
    for seed in range(2):
        torch.manual_seed(seed)
        answers.append(main_tensor(fork.outputs(scene.train.batch[0])))
    one, other = answers
    return one is None or other is None or not torch.allclose(one, other, rtol=1e-3, atol=1e-4, equal_nan=True)


def _rare(scene: Scene) -> int:
    """Examples that are not of the commonest class: what little there is to be found."""
    targets = scene.targets
    if scene.kind not in {"classes", "marks"} or not isinstance(targets, Tensor):
        return _ENOUGH
    counts = targets.reshape(-1).unique(return_counts=True)[1]
    return int(counts.sum() - counts.max()) if len(counts) > 1 else _ENOUGH


def _luck(scene: Scene) -> float:
    reference = plain(scene, "shuffled")
    return min(1.0, reference.left) if reference is not None else 1.0


def _flat(possible: Reference) -> bool:
    right, surest = possible.right, possible.surest
    return right is not None and surest is not None and surest < min(_STREWN, right + _AS_OFTEN)


def _handful(scene: Scene) -> tuple[float | None, float]:
    """What Adam leaves unexplained of a handful of examples, with the network's own weights or fresh ones, at the best
    of some rates; and, where that is much, what it leaves with every hidden layer normalised.
    """
    count = size_of(scene.train.batch)
    few = tuple(rows(part, torch.linspace(0, count - 1, min(_HANDFUL, count)).long()) for part in scene.train.batch)
    batch, found, eased = (few[0], few[1]), list[float](), 1.0
    for rate, fresh, normed in _WAYS:
        fork = set_well(scene, rate, fresh)
        if normed and not normalise_layers(fork):
            continue
        outcome = run(fork, [batch] * _TRIED, Examples(batch, scene.train.yardstick), deadline=scene.deadline)
        if outcome.error or not outcome.whole:
            continue
        if normed:
            eased = outcome.unexplained
        else:
            found.append(outcome.unexplained)
        if outcome.unexplained < _STUCK:
            break
    return min(found, default=None), eased
