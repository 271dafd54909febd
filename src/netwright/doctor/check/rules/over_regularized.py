"""NW128: decay, clipping or label smoothing that leaves nothing of the gradient."""

import math
from collections.abc import Iterator

import torch

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.check.smoothing import smoothing_of
from netwright.doctor.findings import Finding

CODE, FAULT = "NW128", "over-regularized"

_PULL = 3.0  # decay over gradient
_HALF_LIFE = 100.0  # steps
_CLIPPED = 1e-3
_ALONG = 0.9  # cosine between a penalty's gradient and the weights
_SMOOTHED, _ALL = 0.5, 0.95  # of the labels' weight, given to all classes alike
_DECOUPLED = ("AdamW", "LAMB", "Lamb", "Lion", "AdEMAMix")


def rule(case: Case) -> Iterator[Finding]:
    """Scale-free: the pull of the decay against the first gradient, or the steps in which decay alone halves a
    weight.
    """
    if case.optimizer is not None and case.fresh:
        yield from _decay(case)
    yield from _penalty(case)
    yield from _clip(case)
    yield from _smoothing(case)


def _decay(case: Case) -> Iterator[Finding]:
    assert case.optimizer is not None
    name = type(case.optimizer).__name__
    for group in case.optimizer.param_groups:
        decay, lr = float(group.get("weight_decay", 0) or 0), float(group.get("lr", 0) or 0)
        if decay <= 0:
            continue
        if name in _DECOUPLED or group.get("decoupled_weight_decay"):
            steps = math.log(2) / max(lr * decay, 1e-30)
            if steps < _HALF_LIFE:
                evidence = say(
                    "weight_decay={decay:g} at lr={lr:g} alone halves every weight in {steps:.0f} steps.",
                    decay=decay,
                    lr=lr,
                    steps=steps,
                )
                yield _finding(case, evidence)
                return
        elif (pull := _pull(case, group["params"], decay)) > _PULL:
            evidence = say(
                "weight_decay={decay:g} pulls {pull:.3g} times as hard as the first gradient.", decay=decay, pull=pull
            )
            yield _finding(case, evidence)
            return


def _pull(case: Case, parameters: list[torch.Tensor], decay: float) -> float:
    weights, slopes = 0.0, 0.0
    for parameter in parameters:
        gradient = case.gradient(parameter)
        if gradient is not None:
            weights += float(parameter.detach().double().square().sum())
            slopes += float(gradient.double().square().sum())
    return float(decay * weights**0.5 / slopes**0.5) if slopes > 0 else 0.0


def _norm(case: Case) -> float:
    """Of the whole first gradient."""
    squares = (float(g.double().square().sum()) for g in (case.gradients or {}).values() if g is not None)
    return math.sqrt(sum(squares))


def _finding(case: Case, evidence: str) -> Finding:
    why = say("The decay moves the weights to zero faster than the data can move them anywhere else.")
    fix = case.changed("optimizer.weight_decay", 0.01)
    return Finding(
        CODE,
        FAULT,
        "warning",
        "optimizer.weight_decay",
        evidence,
        why,
        say("Use 1e-4 to 1e-1, less for small networks."),
        fix=fix,
    )


def _penalty(case: Case) -> Iterator[Finding]:
    """A term in the loss that pulls the weights along themselves (L2) or their signs (L1)."""
    if not case.penalty or not case.gradients:
        return
    weights = dict(case.net.named_parameters())
    pulls = [
        (weights[name].detach().flatten(), pull.flatten()) for name, pull in case.penalty.items() if pull is not None
    ]
    weight, pull = (torch.cat(parts).double() for parts in zip(*pulls, strict=True))
    along = max(float(torch.cosine_similarity(pull, guess, dim=0)) for guess in (weight, weight.sign()))
    slopes = _norm(case)
    if along < _ALONG or slopes <= 0 or float(pull.norm()) < _PULL * slopes:
        return
    evidence = say(
        "A penalty on the weights in the loss pulls {ratio:.3g} times as hard as the data.",
        ratio=float(pull.norm()) / slopes,
    )
    why = say("The decay moves the weights to zero faster than the data can move them anywhere else.")
    yield Finding(
        CODE, FAULT, "warning", "loss", evidence, why, say("Weaken the penalty a thousandfold, or leave it out.")
    )


def _clip(case: Case) -> Iterator[Finding]:
    found = case.option("train.clip", "train.clip_norm", "train.gradient_clip", "optimizer.clip")
    if found is None or type(found[1]) not in (int, float) or found[1] <= 0 or not case.gradients:
        return
    norm = _norm(case)
    adaptive = case.optimizer is not None and type(case.optimizer).__name__.startswith(
        ("Adam", "NAdam", "RMS", "LAMB", "Lamb", "Adagrad")
    )
    if norm > 0 and found[1] / norm < _CLIPPED and not adaptive:
        evidence = say(
            "{where}={value:g} leaves {share:.1e} of the first gradient (norm {norm:.3g}).",
            where=found[0],
            value=found[1],
            share=found[1] / norm,
            norm=norm,
        )
        why = say("Every step is cut to a fraction of its length, which is a hidden, far smaller learning rate.")
        yield Finding(
            CODE,
            FAULT,
            "warning",
            found[0],
            evidence,
            why,
            say("Clip near the usual norm of the gradient, such as 1.0."),
            fix=case.patch(found[0], 1.0),
        )


def _smoothing(case: Case) -> Iterator[Finding]:
    """A label that stands for little more than any other class; where it stands for nothing, the setting is invalid."""
    share = smoothing_of(case)
    if not _SMOOTHED < share < _ALL:
        return
    evidence = say("Label smoothing gives {share:.0%} of every label to all classes alike.", share=share)
    why = say("What is left of the label is hardly more than for any other class, so little can be learned from it.")
    remedy = say("Use label_smoothing=0.1 or less.")
    fix = case.changed("loss.label_smoothing", 0.1)
    yield Finding(CODE, FAULT, "warning", "loss", evidence, why, remedy, fix=fix)
