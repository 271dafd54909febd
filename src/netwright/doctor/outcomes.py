"""What the whole run shows where no remedy stood out: overfitting, too short a run, too few updates."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from netwright.core.messages import say
from netwright.doctor.findings import Finding, Probe
from netwright.doctor.probe import Outcome, Scene, run
from netwright.doctor.trials import Trials
from netwright.doctor.watch import Signals
from netwright.doctor.words import CHANGED, finding_of
from netwright.metrics.architecture import tensors_in

__all__ = ["few_updates", "of_the_curve", "placed"]

_LOOKS = 5  # at the validation loss, before a turn means anything
_TURNED, _TURNED_APART = 1.3, 1.1  # the last validation loss over the best; the same where much is known by heart
_EARLY = 0.7  # of the run, after which the best is too late to have turned
_OF_HELD, _OF_ITSELF = 0.5, 0.8  # training's share at the end, of validation's best and of its own at that time
_WORSE, _AT_LEAST = 0.25, 0.05  # validation's share over its best, relative and absolute: predictions suffer
# More than so much of validation is left, and less than so much of that in training.
_BY_HEART, _NEARLY = (0.5, 0.1), (0.3, 0.2)
_MUCH, _HALVED, _ON_THE_WAY = 0.3, 0.5, 0.5  # left at the planned end; of it, later; of what the best probe reaches
_STEEP, _MOST_OF_IT = 0.3, 0.6  # goes away by going on; of what could go away at all
_ENOUGH = 1.5  # times the planned length
_HANDFUL, _LARGE, _AN_EPOCH = 120, 128, 4  # steps of a short run of large batches: in all, examples each, in an epoch
_SMALL = 32  # examples of a usual batch
_FEWER, _PLAINLY = 0.75, 0.6  # left by small batches, of what the large ones leave: worth a word; an error
_GENERAL = 0.8  # of what was unexplained of the validation examples
_PLACED = 2000  # steps that are gone again to find where a NaN began


def of_the_curve(scene: Scene, watched: Outcome, trials: Trials) -> list[Finding]:
    """Overfitting and too short a run, from the marks of the watched run; silent where its length was not told."""
    if not scene.length_known or not watched.marks or watched.bad:
        return []
    return [*few_updates(scene, watched), *_turned(scene, watched), *_cut_short(scene, watched, trials)][:1]


def _turned(scene: Scene, watched: Outcome) -> Iterator[Finding]:
    """The validation loss climbs well above its best while training goes on improving, and the predictions suffer."""
    looks = [(mark, mark.held) for mark in watched.marks
             if mark.held is not None and math.isfinite(mark.held_loss) and mark.step <= scene.planned]  # fmt: skip
    if len(looks) < _LOOKS or scene.batches.per_epoch < 2:
        return
    (best, _), (last, held) = min(looks, key=lambda look: look[0].held_loss), looks[-1]
    lowest = min(share for _, share in looks)
    by_heart, nearly = (held > much and last.share < little * held for much, little in (_BY_HEART, _NEARLY))
    climbed = last.held_loss >= (_TURNED_APART if by_heart else _TURNED) * best.held_loss
    stale = last.share > _OF_HELD * lowest or last.share > _OF_ITSELF * best.share
    if not climbed or stale or best.step > _EARLY * last.step:
        return
    evidence = say(
        "The validation loss was {best:.3g} after {at} steps and is {last:.3g} after {steps}; training improved.",
        best=best.held_loss, at=best.step, last=last.held_loss, steps=last.step,
    )  # fmt: skip
    effect = round(1 - best.held_loss / last.held_loss, 4)
    if held - lowest > _WORSE * lowest + _AT_LEAST:  # the loss alone may climb with mere confidence
        yield finding_of("overfitting", "error", "run", evidence, effect, True)
    elif by_heart or nearly:
        yield finding_of("overfitting", "warning", "run", evidence, effect)


def _cut_short(scene: Scene, watched: Outcome, trials: Trials) -> Iterator[Finding]:
    """At its planned end much is unexplained, which the same run explains when it simply goes on."""
    looks = [mark for mark in watched.marks if math.isfinite(mark.share) and mark.step >= scene.planned]
    went_on = bool(looks) and looks[0].step == scene.planned and looks[-1].step >= _ENOUGH * scene.planned
    if not went_on or trials.progress < _ON_THE_WAY:
        return
    own, later = looks[0], min(looks, key=lambda mark: mark.share)
    learnt = own.held is None or later.held is None or later.held < _GENERAL * own.held  # and not only learnt by heart
    gained = own.share - later.share
    steep = gained > _STEEP and gained > _MOST_OF_IT * (own.share - trials.best)
    if own.share < _MUCH or not (later.share <= _HALVED * own.share or steep) or not learnt:
        return
    evidence = say(
        "After its {planned} steps the run leaves {own:.0%} unexplained; going on as it is, {later:.0%} after {steps}.",
        planned=scene.planned, own=own.share, later=later.share, steps=later.step,
    )  # fmt: skip
    words = say(CHANGED["longer"])
    probe = Probe.of("longer", words, watched.losses[: scene.planned], watched.losses[: later.step])
    finding = finding_of("undertrained", "error", "run", evidence, round(1 - later.share / own.share, 4), True)
    yield replace(finding, probe=probe)


def few_updates(scene: Scene, watched: Outcome) -> Iterator[Finding]:
    """A planned run of a handful of steps that smaller batches would have turned into many."""
    if not scene.length_known or not watched.marks or watched.bad:
        return
    batches, planned = scene.batches, scene.planned
    own = [mark.share for mark in watched.marks if mark.step <= planned][-1]
    large = batches.per_epoch <= _AN_EPOCH and batches.size >= _LARGE
    other = batches.rebatched(_SMALL) if large and planned <= _HANDFUL and not own < _MUCH else None
    if other is None:
        return
    steps = min(planned * other.per_epoch // batches.per_epoch, 3 * scene.steps)
    outcome = scene.play(scene.program.fork(), other, 0, steps)
    if outcome.unexplained < _FEWER * own:
        evidence = say(
            "{planned} steps of {size} examples leave {own:.0%} unexplained; the same in batches of {small}, "
            "{other:.0%}.",
            planned=planned, size=batches.size, own=own, small=_SMALL, other=outcome.unexplained,
        )  # fmt: skip
        probe = Probe.of(
            "smaller-batches", say(CHANGED["smaller-batches"]), watched.losses[:planned], outcome.losses
        )
        sure = outcome.unexplained < _PLAINLY * own
        effect = round(1 - outcome.unexplained / own, 4)
        finding = finding_of("batch-too-large", "error" if sure else "warning", "batches", evidence, effect, sure)
        yield replace(finding, probe=probe)


def placed(scene: Scene, finding: Finding, seen: Signals) -> Finding:
    """Name the module whose output was the first that is not finite, where the watch has not."""
    last = seen.first_bad
    if last is None or last > _PLACED or seen.bad_module:
        return finding
    fork = scene.program.fork()
    bad: list[str] = []

    def look(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            if not bad and any(not bool(torch.isfinite(t).all()) for t in tensors_in(output) if t.is_floating_point()):
                bad.append(name)

        return hook

    for name, module in fork.net.named_modules():
        if not list(module.children()):
            module.register_forward_hook(look(name))
    run(fork, scene.batches.sequence(last + 1), replace(scene.train, yardstick=None), deadline=scene.deadline)
    if not bad:
        return finding
    return replace(
        finding, where=bad[0], evidence=finding.evidence + say(" The first module that gave it: {where}.", where=bad[0])
    )
