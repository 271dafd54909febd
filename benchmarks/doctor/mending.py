"""Repair at the level of a program: a proved change is applied for the whole planned run, against random search.

Both work on forks of the same program with the same tools, and both are judged by the figure on honest examples after a
whole run: repaired means at least 80 % of the way from the faulty program's figure to the twin's.
"""

import random
import time
from dataclasses import replace
from typing import Any

import torch
from figures import figure
from material import Built
from torch import nn

from netwright.doctor.probe import Program, Scene, collect, run, set_scene
from netwright.doctor.probe.batches import Batches
from netwright.doctor.probe.changes import CHANGES
from netwright.doctor.probe.fork import Fork
from netwright.doctor.probe.surgery import reinitialise, scale_rate, standardise_inputs

__all__ = ["changed", "random_search", "reached"]

_WAY = 0.8
_MOST = 60  # random runs
_OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda p, lr: torch.optim.SGD(p, lr, 0.9), "adam": torch.optim.Adam, "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
}  # fmt: skip


def reached(faulty: float, twin: float, got: float) -> bool:
    """At least 80 % of the way."""
    return got - faulty >= _WAY * (twin - faulty)


def changed(built: Built, change: str) -> float | None:
    """The figure after the whole run with one change of `CHANGES`; None where it means nothing here."""
    scene = _staged(built)
    made = CHANGES[change](scene)
    return _whole_run(built, scene, *made) if made is not None else None


def random_search(built: Built, seconds: float, least: int, seed: int = 0) -> list[tuple[float, float]]:
    """(seconds since the start, figure) of each random run, until `seconds` are over and `least` runs are made."""
    chance, scene, begun = random.Random(seed), _staged(built), time.monotonic()
    told: list[tuple[float, float]] = []
    while len(told) < least or (time.monotonic() - begun < seconds and len(told) < _MOST):
        got = _whole_run(built, scene, *_drawn(scene, chance))
        told.append((time.monotonic() - begun, got))
    return told


def _staged(built: Built) -> Scene:
    program = Program(built.net, built.opt, built.loss, built.step)
    batches = collect(built.train, built.net, 10_000, 32)
    planned = built.epochs * batches.per_epoch
    return set_scene(program, batches, built.validation, planned, planned)


def _whole_run(built: Built, scene: Scene, fork: Fork, batches: Batches) -> float:
    steps = built.epochs * batches.per_epoch
    run(fork, batches.sequence(steps), replace(scene.train, yardstick=None))
    held = built.test or built.validation
    assert held is not None
    inputs, targets = fork.take(held)
    try:
        return figure(built.kind, fork.outputs(inputs), targets)
    except (RuntimeError, ValueError, IndexError):
        return -1.0


def _drawn(scene: Scene, chance: random.Random) -> tuple[Fork, Batches]:
    """Rate x 10^U(-3, 3), optimizer, decay, initial weights, inputs and batch size, each by chance."""
    kind, factor = chance.choice(["own", *_OPTIMIZERS]), 10 ** chance.uniform(-3, 3)
    own = float(scene.program.optimizer.param_groups[0]["lr"]) or 1e-3

    def other(net: nn.Module) -> torch.optim.Optimizer:
        return _OPTIMIZERS[kind]([p for p in net.parameters() if p.requires_grad], lr=own)

    fork = scene.program.fork(optimizer=None if kind == "own" else other)
    scale_rate(fork, factor)
    decay = chance.choice([None, 0.0, 1e-4, 1e-2])
    for group in fork.optimizer.param_groups:
        group["weight_decay"] = group.get("weight_decay", 0.0) if decay is None else decay
    init = chance.choice(["own", "fresh", "he"])
    if init != "own":
        reinitialise(fork, seed=chance.randrange(1000), he=init == "he")
    if chance.random() < 0.5 and scene.inputs is not None:
        standardise_inputs(fork, scene.inputs)
    size = chance.choice([0, 8, 16, 32, 64, 128])
    return fork, (scene.batches.rebatched(size) if size else None) or scene.batches
