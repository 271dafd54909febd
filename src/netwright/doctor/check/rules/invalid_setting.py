"""NW124: settings with which nothing can be learned, whatever the network."""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.smoothing import smoothing_of
from netwright.doctor.findings import Finding, Severity
from netwright.metrics.catalog import METRICS

CODE, FAULT = "NW124", "invalid-setting"

_CLASS_METRICS = {name for name, card in METRICS.items() if {"multiclass", "binary"} & set(card.kinds)}
_NUMBER_METRICS = {name for name, card in METRICS.items() if "regression" in card.kinds} - _CLASS_METRICS
_EPS, _LEFT, _STILL = 1e-5, 0.03, 3e-4  # eps worth a look; of a step that it leaves; of the weights, a small step
_ALL = 0.95  # of the labels' weight, given to all classes alike
_CLIPS = ("train.clip", "train.clip_norm", "train.gradient_clip", "train.clip_grad_norm", "optimizer.clip")


def rule(case: Case) -> Iterator[Finding]:
    """The optimizer's groups, the config, and the metrics against the target."""
    yield from _optimizer(case)
    yield from _floor(case)
    yield from _smoothing(case)
    yield from _config(case)
    yield from _counts(case)
    yield from _metrics(case)


def _optimizer(case: Case) -> Iterator[Finding]:
    groups = case.optimizer.param_groups if case.optimizer is not None else []
    yield from itertools.islice((found for group in groups for found in _of_group(case, group)), 1)


def _of_group(case: Case, group: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong with one group of the optimizer's; other kinds of optimizers may mean other things by momentum."""
    lr, decay = float(group.get("lr", 1.0)), float(group.get("weight_decay", 0.0))
    momentum = group.get("momentum", 0.0)
    momentum = momentum if isinstance(momentum, int | float) else 0.0
    if not 0 <= lr < math.inf or (lr == 0 and not group.get("initial_lr")):  # a warm-up starts at 0 and remembers
        yield _no_rate(case, lr)
    if decay < 0:
        why = say("Negative decay makes weights grow without bound.")
        fix = case.patch("optimizer.weight_decay", 0.0)
        yield _setting("optimizer.weight_decay", decay, why, say("Use zero or a small positive number."), fix)
    if momentum >= 1:
        why = say("With a momentum of one or more past steps never fade, and the weights run away.")
        yield _setting("optimizer.momentum", momentum, why, say("Use 0.9."), case.patch("optimizer.momentum", 0.9))
    if momentum > 0 and float(group.get("dampening", 0) or 0) >= 1:
        why = say("With a dampening of one no gradient after the first ever enters the momentum.")
        yield _setting("optimizer.dampening", group["dampening"], why, say("Leave the dampening at 0."), None)
    if group.get("maximize") and case.loss is not None and case.loss.kind is not None and case.loss.sign > 0:
        why = say("The optimizer climbs, but this loss is to be made small.")
        yield _setting("optimizer.maximize", True, why, say("Leave out maximize=True."), None)


def _no_rate(case: Case, lr: float) -> Finding:
    why = say("A step of size zero changes nothing, and a negative one climbs the loss.")
    remedy = say("Use a positive learning rate, such as 1e-3 for Adam.")
    return _setting("optimizer.lr", lr, why, remedy, case.patch("optimizer.lr", 1e-3))


def _floor(case: Case) -> Iterator[Finding]:
    """An adaptive optimizer divides by the gradient's size plus eps. Far above that size, eps alone sets the step; some
    recipes do so with a rate that makes up for it.
    """
    for group in case.optimizer.param_groups if case.optimizer is not None and case.fresh else []:
        eps, rate = float(group.get("eps", 0.0) or 0.0), float(group.get("lr", 0.0))
        found = [(p, g) for p in group["params"] if (g := case.gradient(p)) is not None and g.any()]
        if eps < _EPS or not found:
            continue
        slope, weight = (_size([pair[at] for pair in found]) for at in (1, 0))
        left = slope / (slope + eps)
        if left < _LEFT and 0 < rate * left < _STILL * weight:
            why = say(
                "Each step is divided by the gradient's size plus eps. Here eps is {times:.0f} times that size and "
                "leaves steps of {step:.1e} of the weights' size.",
                times=eps / slope,
                step=rate * left / weight,
            )
            remedy = say("Leave eps at its default, 1e-8, or raise the learning rate with it.")
            severity: Severity = "error" if rate * left < _STILL / 10 * weight else "warning"
            yield _setting("optimizer.eps", eps, why, remedy, case.patch("optimizer.eps", 1e-8), severity)
            return


def _size(tensors: list[Tensor]) -> float:
    total = sum(float(tensor.detach().double().square().sum()) for tensor in tensors)
    return math.sqrt(total / sum(tensor.numel() for tensor in tensors))


def _smoothing(case: Case) -> Iterator[Finding]:
    share = smoothing_of(case)
    if share >= _ALL:
        why = say("Nothing of the label is left: the loss is least where all classes are equally likely.")
        remedy, fix = say("Use label_smoothing=0.1 or less."), case.changed("loss.label_smoothing", 0.1)
        yield _setting("loss.label_smoothing", round(share, 4), why, remedy, fix)


def _config(case: Case) -> Iterator[Finding]:
    clip = case.option(*_CLIPS)
    if clip is not None and type(clip[1]) in (int, float) and clip[1] <= 0:
        why = say("All gradients are cut down to nothing, so no weight ever changes.")
        yield _setting(*clip, why, say("Use 1.0, or leave it out."), case.patch(clip[0], 1.0))
    size = case.option("train.batch_size")
    if size is not None and case.examples and isinstance(size[1], int) and size[1] > case.examples:
        why = say(
            "There are only {count} training examples, so there is one "
            "update an epoch, or none where a short batch is dropped.",
            count=case.examples,
        )
        smaller = max(1, case.examples // 10)
        yield _setting(*size, why, say("Use {size} or less.", size=smaller), case.patch(size[0], smaller))
    epochs = case.option("train.epochs")
    if epochs is not None and isinstance(epochs[1], int | float) and epochs[1] <= 0:
        why, remedy = say("The run ends before its first step."), say("Train for at least one epoch.")
        yield _setting(*epochs, why, remedy, case.patch(epochs[0], 10))
    lr = case.option("optimizer.lr")
    if case.optimizer is None and lr is not None and isinstance(lr[1], int | float) and lr[1] <= 0:
        yield _no_rate(case, lr[1])


def _counts(case: Case) -> Iterator[Finding]:
    """More examples in the batch than there are in the data."""
    given = case.main_input
    if case.config is not None or case.examples is None or not case.batched or given is None or not given.dim():
        return
    if len(given) > case.examples:
        why = say("The batch holds more than the whole of the data: the same examples twice, or other data.")
        remedy = say("Give the true number of training examples, or a smaller batch.")
        yield _setting("examples", f"{case.examples} < {len(given)}", why, remedy, None)


def _metrics(case: Case) -> Iterator[Finding]:
    """Metrics that cannot be computed for this kind of target."""
    asked = {str(name).lower() for name in case.metrics}
    for option in ("train.monitor", "train.early_stop.monitor", "monitor"):
        found = case.option(option)
        if found is not None and isinstance(found[1], str):
            asked.add(found[1].lower())
    for option in ("expect", "metrics"):
        chosen = case.option(option)
        if chosen is not None and isinstance(chosen[1], dict | list):
            asked |= {str(name).lower() for name in chosen[1]}
    if case.target is None:
        return
    numbers = (
        case.target.kind == "number"
        and not case.target.integer
        and (case.loss is None or case.loss.target_kind == "number")
    )
    wrong = asked & (_CLASS_METRICS if numbers else _NUMBER_METRICS if _surely_classes(case) else set())
    if wrong:
        kind = say("numbers") if numbers else say("classes")
        why = say("The targets are {kind}; this metric has no meaning for them.", kind=kind)
        remedy = say("Use rmse, mae or r2.") if numbers else say("Use accuracy or f1.")
        yield _setting("metrics", ", ".join(sorted(wrong)), why, remedy, None)


def _surely_classes(case: Case) -> bool:
    target, loss = case.target, case.loss
    by_loss = loss is not None and loss.target_kind == "class"
    return target is not None and target.classes and (target.sure or by_loss)


def _setting(
    where: str, value: object, why: str, remedy: str, fix: dict[str, object] | None, severity: Severity = "error"
) -> Finding:
    return Finding(
        CODE,
        FAULT,
        severity,
        where,
        say("{where}={value}.", where=where, value=value),
        why,
        remedy,
        proven=severity == "error",
        fix=fix,
    )
