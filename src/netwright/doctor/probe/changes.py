"""The probes: what is changed. Each makes a fork on which exactly one thing differs; `words.CHANGED` says it.

A change returns the fork with the batches that it is to be run on, or None where it means nothing for this program.
"""

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor

from netwright.doctor.probe import surgery
from netwright.doctor.probe.activations import RELUS, SQUASHES, exchange_activations
from netwright.doctor.probe.batches import Batches
from netwright.doctor.probe.fitting import FITTING, are_shares
from netwright.doctor.probe.fork import Fork
from netwright.doctor.probe.penalties import plain_loss
from netwright.doctor.probe.scene import Scene
from netwright.doctor.probe.well import adam

__all__ = ["CHANGES"]

Made = tuple[Fork, Batches] | None
_USUAL = 1e-3  # Adam's own default rate


def _rate(factor: float) -> Callable[[Scene], Made]:
    def make(scene: Scene) -> Made:
        fork = scene.program.fork()
        surgery.scale_rate(fork, factor)
        return fork, scene.batches

    return make


def _constant_rate(scene: Scene) -> Made:
    fork = scene.program.fork()
    groups = scene.program.optimizer.param_groups
    surgery.hold_rate(fork, [float(group.get("initial_lr", group["lr"])) for group in groups])
    return fork, scene.batches


def _cleared(scene: Scene) -> Made:
    fork = scene.program.fork()
    fork.before.append(lambda running: running.optimizer.zero_grad())
    return (fork, scene.batches) if fork.custom else None


def _awake(scene: Scene) -> Made:
    fork = scene.program.fork()
    surgery.keep_awake(fork)
    return fork, scene.batches


def _unfrozen(scene: Scene) -> Made:
    fork = scene.program.fork()
    held = {id(p) for group in fork.optimizer.param_groups for p in group["params"]}
    missing = [p for p in fork.net.parameters() if id(p) not in held or not p.requires_grad]
    if not missing:
        return None
    for parameter in missing:
        parameter.requires_grad_(True)
    new = [p for p in missing if id(p) not in held]
    if new:
        fork.optimizer.add_param_group({"params": new})
    return fork, scene.batches


def _inputs_standardised(scene: Scene) -> Made:
    fork = scene.program.fork()
    if scene.inputs is None or not surgery.standardise_inputs(fork, scene.inputs):
        return None
    return fork, scene.batches


def _targets_standardised(scene: Scene) -> Made:
    fork = scene.program.fork()
    same = isinstance(scene.targets, Tensor) and scene.inputs is not None and scene.inputs.shape == scene.targets.shape
    if scene.kind != "numbers" or same or not surgery.standardise_targets(fork, scene.targets):
        return None
    return fork, scene.batches


def _raw_scores(scene: Scene) -> Made:
    fork = scene.program.fork()
    if scene.kind not in {"classes", "soft"} or scene.program.loss is None:
        return None
    output = fork.outputs(scene.train.batch[0])
    if not isinstance(output, Tensor) or output.dim() != 2 or not are_shares(output):
        return None
    surgery.map_output(fork, lambda scores: scores.clamp(min=1e-12).log())
    return fork, scene.batches


def _fitting_loss(scene: Scene) -> Made:
    loss = FITTING.get(scene.kind)
    if loss is None or scene.program.loss is None:
        return None
    return scene.program.fork(loss=loss), scene.batches


def _reinitialised(scene: Scene) -> Made:
    fork = scene.program.fork()
    return (fork, scene.batches) if surgery.reinitialise(fork) else None


def _normalised(scene: Scene) -> Made:
    fork = scene.program.fork()
    return (fork, scene.batches) if surgery.normalise_layers(fork) else None


def _relu(scene: Scene) -> Made:
    fork = scene.program.fork()
    found = exchange_activations(fork, scene.train.batch[0], SQUASHES, F.relu)
    return (fork, scene.batches) if found and surgery.reinitialise(fork, he=True) else None


def _leaky(scene: Scene) -> Made:
    fork = scene.program.fork()
    found = exchange_activations(fork, scene.train.batch[0], RELUS, lambda value: F.leaky_relu(value, 0.1))
    return (fork, scene.batches) if found else None


def _clipped(scene: Scene) -> Made:
    fork = scene.program.fork()
    surgery.clip(fork, 1.0)
    return fork, scene.batches


def _unclipped(scene: Scene) -> Made:
    fork = scene.program.fork(unclipped=True)
    return (fork, scene.batches) if fork.custom else None


def _unpushed(scene: Scene) -> Made:
    fork = scene.program.fork()
    surgery.keep_steps(fork)
    return (fork, scene.batches) if fork.custom else None


def _no_decay(scene: Scene) -> Made:
    fork = scene.program.fork()
    if not any(group.get("weight_decay") for group in fork.optimizer.param_groups):
        return None
    for group in fork.optimizer.param_groups:
        group["weight_decay"] = 0.0
    return fork, scene.batches


def _no_dropout(scene: Scene) -> Made:
    fork = scene.program.fork()
    return (fork, scene.batches) if surgery.without_dropout(fork) else None


def _adam(scene: Scene) -> Made:
    if type(scene.program.optimizer).__name__ in {"Adam", "AdamW"}:
        return None
    fork = scene.program.fork(optimizer=partial(adam, rate=_USUAL))
    surgery.hold_rate(fork, [_USUAL])
    return fork, scene.batches


def _smaller_batches(scene: Scene) -> Made:
    size = scene.batches.size // 8
    other = scene.batches.rebatched(size) if size >= 4 else None
    return (scene.program.fork(), other) if other is not None else None


def _larger_batches(scene: Scene) -> Made:
    size = scene.batches.size
    other = scene.batches.rebatched(max(16, size * 8)) if size <= 8 else None
    return (scene.program.fork(), other) if other is not None and scene.batches.examples >= 32 else None


def _shuffled(scene: Scene) -> Made:
    other = scene.batches.rebatched(scene.batches.size) if not scene.batches.shuffled else None
    return (scene.program.fork(), other) if other is not None else None


def _longer(scene: Scene) -> Made:
    """Nothing is changed: it is the watched run that goes on beyond the user's own length."""
    return scene.program.fork(), scene.batches


def _less_momentum(scene: Scene) -> Made:
    fork = scene.program.fork()
    if not any(float(group.get("momentum") or 0) > 0.9 for group in fork.optimizer.param_groups):
        return None
    for group in fork.optimizer.param_groups:
        group["momentum"] = 0.9
    return fork, scene.batches


CHANGES: dict[str, Callable[[Scene], Made]] = {
    "cleared": _cleared,
    "awake": _awake,
    "unfrozen": _unfrozen,
    "lr/10": _rate(0.1),
    "lr/100": _rate(0.01),
    "lr/1000": _rate(0.001),
    "lr*10": _rate(10),
    "lr*100": _rate(100),
    "lr*1000": _rate(1000),
    "lr*10000": _rate(10_000),
    "lr*100000": _rate(100_000),
    "constant-rate": _constant_rate,
    "inputs": _inputs_standardised,
    "targets": _targets_standardised,
    "raw-scores": _raw_scores,
    "loss": _fitting_loss,
    "fresh": _reinitialised,
    "normalised": _normalised,
    "relu": _relu,
    "leaky": _leaky,
    "clipped": _clipped,
    "unclipped": _unclipped,
    "unpushed": _unpushed,
    "no-decay": _no_decay,
    "no-dropout": _no_dropout,
    "plain-loss": plain_loss,
    "adam": _adam,
    "smaller-batches": _smaller_batches,
    "larger-batches": _larger_batches,
    "shuffled": _shuffled,
    "longer": _longer,
    "less-momentum": _less_momentum,
}
