"""What the whole run and its data show where no remedy stood out: overfitting, too short a run, labels without sense."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.findings import Finding
from netwright.doctor.probe import Outcome, Scene
from netwright.doctor.probe.batches import size_of
from netwright.doctor.probe.reference import held_out, plain
from netwright.doctor.trials import Trials
from netwright.doctor.words import told

__all__ = ["of_the_curve", "of_the_data"]

_CHANCE = 0.97  # of what is unexplained: nothing was learned
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
    own = held_out(scene, trials.scene.steps) if possible > _CHANCE else None
    many = scene.batches.pool is not None and size_of(scene.batches.pool) >= 150
    if possible > _CHANCE and own is not None and own > _CHANCE and many:
        evidence = say("On examples held out, a plain network explains {plain:.0%} of the targets and yours {own:.0%}.",
                       plain=max(0.0, 1 - possible), own=max(0.0, 1 - own))  # fmt: skip
        yield told("labels-corrupted", "error", "targets", evidence, proven=True)
    elif trials.final > possible + 0.25 and 1 - trials.final < 0.5 * (1 - possible):
        yield from _held_back(scene, trials, possible)


def _held_back(scene: Scene, trials: Trials, possible: float) -> Iterator[Finding]:
    """Can it fit a handful of examples, with the best of several rates?"""
    left = _handful(scene)
    evidence = say("A plain network explains {plain:.0%} of the targets of examples held out; yours {own:.0%} of those it saw.",
                   plain=1 - possible, own=max(0.0, 1 - trials.final))  # fmt: skip
    if left is not None and left > 0.3:
        evidence += say(" Of 16 examples alone it still leaves {left:.0%} unexplained.", left=left)
        yield told("capacity-too-small", "error", "net", evidence, proven=True)
    else:
        yield told("slow-convergence", "warning", "net", evidence)


def _handful(scene: Scene) -> float | None:
    """What Adam leaves unexplained of 16 examples at the best of two rates."""
    from netwright.doctor.probe.batches import rows
    from netwright.doctor.probe.changes import FITTING
    from netwright.doctor.probe.running import Examples, run
    from netwright.doctor.probe.surgery import standardise_inputs, without_dropout

    count = size_of(scene.train.batch)
    few = tuple(rows(part, torch.linspace(0, count - 1, min(16, count)).long()) for part in scene.train.batch)
    found = []
    for rate in (3e-3, 3e-2):
        fork = scene.program.fork(
            optimizer=lambda net, rate=rate: torch.optim.Adam(net.parameters(), rate), loss=FITTING.get(scene.kind)
        )
        without_dropout(fork)
        if scene.inputs is not None:
            standardise_inputs(fork, scene.inputs)
        batch = (few[0], few[1])
        outcome = run(fork, [batch] * 200, Examples(batch, scene.train.yardstick), deadline=scene.deadline)
        if not outcome.error:
            found.append(outcome.unexplained)
    return min(found, default=None)


def of_the_curve(scene: Scene, watched: Outcome) -> list[Finding]:
    """Overfitting and too short a run, from the marks of the watched run."""
    held = [(step, share) for step, _, share in watched.marks if share is not None and math.isfinite(share)]
    if len(held) >= 5:
        best = min(held, key=lambda pair: pair[1])
        last, train = held[-1], watched.marks[-1][1]
        if last[1] > _TURNED * best[1] and last[1] - best[1] > 0.1 and train < 0.5 * best[1] and best[0] < 0.6 * last[0]:
            evidence = say(
                "Unexplained in validation: {best:.0%} after {at} steps, {last:.0%} after {steps}; in training {train:.0%}.",
                best=best[1], at=best[0], last=last[1], steps=last[0], train=train,
            )  # fmt: skip
            return [told("overfitting", "error", "run", evidence, round(1 - best[1] / last[1], 4), True)]
    return []
