"""What the whole run and its data show where no remedy stood out: overfitting, too short a run, senseless labels."""

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from netwright.core.messages import say
from netwright.doctor.findings import Finding
from netwright.doctor.probe import Examples, Outcome, Scene, run
from netwright.doctor.probe.batches import rows, size_of
from netwright.doctor.probe.changes import FITTING
from netwright.doctor.probe.reference import held_out, plain
from netwright.doctor.probe.surgery import standardise_inputs, without_dropout
from netwright.doctor.trials import Trials
from netwright.doctor.watch import Signals
from netwright.doctor.words import told
from netwright.metrics.architecture import tensors_in

__all__ = ["of_the_curve", "of_the_data", "placed"]

_CHANCE = 0.9  # of what is unexplained: hardly more than luck with so many examples
_TURNED = 1.3


def of_the_data(scene: Scene, watched: Outcome, trials: Trials) -> list[Finding]:
    """Labels that the inputs say nothing about, or much that a plain network finds and this one does not."""
    return list(_of_data(scene, watched, trials))


def _of_data(scene: Scene, watched: Outcome, trials: Trials) -> Iterator[Finding]:
    targets = scene.targets
    if scene.train.yardstick is None or not isinstance(targets, Tensor) or scene.left < 5 * trials.slowest():
        return
    if targets.numel() > 20 and bool((targets == targets.reshape(-1)[0]).all()):
        yield told("labels-corrupted", "error", "targets", say("All targets are the same."), proven=True)
        return
    possible = plain(scene)
    if possible is None:
        return
    chance = possible > _CHANCE and possible > min(plain(scene, seed) or 1.0 for seed in (1, 2, 3)) - 0.01
    own = held_out(scene, trials.scene.steps) if chance else None
    many = scene.batches.pool is not None and size_of(scene.batches.pool) >= 150
    if chance and own is not None and own > _CHANCE and many:
        evidence = say("On examples held out, a plain network explains {plain:.0%} of the targets and yours {own:.0%}.",
                       plain=max(0.0, 1 - possible), own=max(0.0, 1 - own))  # fmt: skip
        yield told("labels-corrupted", "error", "targets", evidence, proven=True)
    elif trials.final > possible + 0.25 and 1 - trials.final < 0.5 * (1 - possible):
        yield from _held_back(scene, trials, possible)


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
        if scene.inputs is not None:
            standardise_inputs(fork, scene.inputs)
        batch = (few[0], few[1])
        outcome = run(fork, [batch] * 200, Examples(batch, scene.train.yardstick), deadline=scene.deadline)
        if not outcome.error:
            found.append(outcome.unexplained)
    return min(found, default=None)


def _adam(net: nn.Module, rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(net.parameters(), rate)


def of_the_curve(scene: Scene, watched: Outcome) -> list[Finding]:
    """Overfitting and too short a run, from the marks of the watched run."""
    return [*_few_updates(scene, watched), *_turned(scene, watched)][:1]


def _turned(scene: Scene, watched: Outcome) -> Iterator[Finding]:
    """The validation loss climbs well above its best while training goes on improving, and the predictions suffer."""
    rows = [(at, share, held, loss) for at, share, held, loss in watched.marks
            if held is not None and math.isfinite(loss) and at <= scene.planned + 1]  # fmt: skip
    if len(rows) < 5 or scene.batches.per_epoch < 2:
        return
    best, last = min(rows, key=lambda row: row[3]), rows[-1]
    lowest = min(row[2] for row in rows)
    if last[3] < _TURNED * best[3] or best[0] > 0.7 * last[0] or last[1] > 0.5 * lowest or last[1] > 0.8 * best[1]:
        return
    evidence = say(
        "The validation loss was {best:.3g} after {at} steps and is {last:.3g} after {steps}; training improved.",
        best=best[3], at=best[0], last=last[3], steps=last[0],
    )  # fmt: skip
    worse = last[2] - lowest  # the loss alone may climb with mere confidence
    if worse > 0.25 * lowest + 0.05:
        yield told("overfitting", "error", "run", evidence, round(1 - best[3] / last[3], 4), True)


def _few_updates(scene: Scene, watched: Outcome) -> Iterator[Finding]:
    """A planned run of a handful of steps that smaller batches would have turned into many."""
    batches, planned = scene.batches, scene.planned
    after = [share for at, share, *_ in watched.marks if at <= planned]
    other = batches.rebatched(32) if batches.per_epoch <= 4 and batches.size >= 128 else None
    if other is None or not after or planned > 60 or after[-1] < 0.5:
        return
    steps = min(planned * other.per_epoch // batches.per_epoch, 3 * scene.steps)
    outcome = scene.play(scene.program.fork(), other, 0, steps)
    if outcome.unexplained < 0.6 * after[-1]:
        evidence = say(
            "{planned} steps of {size} examples leave {own:.0%} unexplained; the same in batches of 32, {other:.0%}.",
            planned=planned, size=batches.size, own=after[-1], other=outcome.unexplained,
        )  # fmt: skip
        yield told("batch-too-large", "error", "batches", evidence, round(1 - outcome.unexplained / after[-1], 4), True)


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
