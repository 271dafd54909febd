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
from netwright.doctor.probe.changes import CHANGES
from netwright.doctor.trials import Trials
from netwright.doctor.watch import Signals
from netwright.doctor.words import told
from netwright.metrics.architecture import tensors_in

__all__ = ["few_updates", "of_the_curve", "placed"]

_TURNED, _TURNED_APART = 1.3, 1.1
_MUCH, _HALVED, _ON_THE_WAY = 0.3, 0.5, 0.5  # left at the planned end; of it, later; of what the best probe reaches
_STEEP, _MOST_OF_IT = 0.3, 0.6  # goes away by going on; of what could go away at all
_ENOUGH = 1.5  # times the planned length
_HANDFUL = 120  # steps that a run of large batches is short with
_FEWER, _PLAINLY = 0.75, 0.6  # left by small batches, of what the large ones leave: worth a word; an error
_GENERAL = 0.8  # of what was unexplained of the validation examples


def of_the_curve(scene: Scene, watched: Outcome, trials: Trials) -> list[Finding]:
    """Overfitting and too short a run, from the marks of the watched run; silent where its length was not told."""
    if not scene.told or not watched.marks or watched.bad:
        return []
    return [*few_updates(scene, watched), *_turned(scene, watched), *_cut_short(scene, watched, trials)][:1]


def _turned(scene: Scene, watched: Outcome) -> Iterator[Finding]:
    """The validation loss climbs well above its best while training goes on improving, and the predictions suffer."""
    rows = [(at, share, held, loss) for at, share, held, loss in watched.marks
            if held is not None and math.isfinite(loss) and at <= scene.planned]  # fmt: skip
    if len(rows) < 5 or scene.batches.per_epoch < 2:
        return
    best, last = min(rows, key=lambda row: row[3]), rows[-1]
    lowest = min(row[2] for row in rows)
    apart = last[2] > 0.5 and last[1] < 0.1 * last[2]  # by heart: then a smaller turn will do
    if (
        last[3] < (_TURNED_APART if apart else _TURNED) * best[3]
        or best[0] > 0.7 * last[0]
        or last[1] > 0.5 * lowest
        or last[1] > 0.8 * best[1]
    ):
        return
    evidence = say(
        "The validation loss was {best:.3g} after {at} steps and is {last:.3g} after {steps}; training improved.",
        best=best[3], at=best[0], last=last[3], steps=last[0],
    )  # fmt: skip
    effect = round(1 - best[3] / last[3], 4)
    if last[2] - lowest > 0.25 * lowest + 0.05:  # the loss alone may climb with mere confidence
        yield told("overfitting", "error", "run", evidence, effect, True)
    elif apart or (last[2] > 0.3 and last[1] < 0.2 * last[2]):
        yield told("overfitting", "warning", "run", evidence, effect)


def _cut_short(scene: Scene, watched: Outcome, trials: Trials) -> Iterator[Finding]:
    """At its planned end much is unexplained, which the same run explains when it simply goes on."""
    rows = [(at, share, held) for at, share, held, _ in watched.marks if math.isfinite(share) and at >= scene.planned]
    went_on = bool(rows) and rows[0][0] == scene.planned and rows[-1][0] >= _ENOUGH * scene.planned
    if not went_on or trials.progress < _ON_THE_WAY:
        return
    _, own, held = rows[0]
    at, later, after = min(rows, key=lambda row: row[1])
    learnt = held is None or after is None or after < _GENERAL * held  # and not only learnt by heart
    steep = own - later > _STEEP and own - later > _MOST_OF_IT * (own - trials.best)
    if own < _MUCH or not (later <= _HALVED * own or steep) or not learnt:
        return
    words = say(CHANGES["longer"].words)
    evidence = say(
        "After its {planned} steps the run leaves {own:.0%} unexplained; going on as it is, {later:.0%} after {steps}.",
        planned=scene.planned, own=own, later=later, steps=at,
    )  # fmt: skip
    probe = Probe.of("longer", words, watched.losses[: scene.planned], watched.losses[:at])
    finding = told("undertrained", "error", "run", evidence, round(1 - later / own, 4), True)
    yield replace(finding, probe=probe)


def few_updates(scene: Scene, watched: Outcome) -> Iterator[Finding]:
    """A planned run of a handful of steps that smaller batches would have turned into many."""
    if not scene.told or not watched.marks or watched.bad:
        return
    batches, planned = scene.batches, scene.planned
    after = [share for at, share, *_ in watched.marks if at <= planned]
    other = batches.rebatched(32) if batches.per_epoch <= 4 and batches.size >= 128 else None
    if other is None or planned > _HANDFUL or after[-1] < 0.3:
        return
    steps = min(planned * other.per_epoch // batches.per_epoch, 3 * scene.steps)
    outcome = scene.play(scene.program.fork(), other, 0, steps)
    if outcome.unexplained < _FEWER * after[-1]:
        evidence = say(
            "{planned} steps of {size} examples leave {own:.0%} unexplained; the same in batches of 32, {other:.0%}.",
            planned=planned, size=batches.size, own=after[-1], other=outcome.unexplained,
        )  # fmt: skip
        change = "smaller-batches"
        probe = Probe.of(change, say(CHANGES[change].words), watched.losses[:planned], outcome.losses)
        effect = round(1 - outcome.unexplained / after[-1], 4)
        sure = outcome.unexplained < _PLAINLY * after[-1]
        finding = told("batch-too-large", "error" if sure else "warning", "batches", evidence, effect, sure)
        yield replace(finding, probe=probe)


def placed(scene: Scene, finding: Finding, seen: Signals) -> Finding:
    """Name the module whose output, or the weight whose gradient, was the first that is not finite."""
    last = seen.first_bad
    if last is None or last > 2000:
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
