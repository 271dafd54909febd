"""From signals to findings. What is seen itself (a NaN, gradients never cleared) is an error; what a signal only makes
likely is a warning with its confidence, to be proved by `diagnose`.
"""

from collections.abc import Iterator
from dataclasses import replace

from netwright.core.messages import say
from netwright.doctor.findings import Finding
from netwright.doctor.watch.signals import Signals
from netwright.doctor.words import finding_of

__all__ = ["piling_up", "suspicions"]

_ENOUGH = 30  # steps before a trend means anything
_STUCK = 0.95  # of the first loss
_LASTING, _FEW = 10, 20  # steps
_FAR, _STEEP = 0.3, 100.0  # a step's change over the weight; the first gradient over the weights


def suspicions(seen: Signals) -> list[Finding]:
    """Findings of a watch; several symptoms of one cause are told as one."""
    found = [*_facts(seen)]
    if not found:
        found = [*_of_steps(seen), *_of_layers(seen)][:3]
    return found


def piling_up(seen: Signals) -> bool:
    """Gradients are never cleared although the optimizer steps every time (an accumulation scheme steps rarely)."""
    return (
        seen.piled >= 3 and seen.fresh <= max(1, 0.2 * seen.piled) and seen.stepped >= 0.8 * (seen.piled + seen.fresh)
    )


def _facts(seen: Signals) -> Iterator[Finding]:
    if piling_up(seen):
        evidence = say("In all {count} steps looked at, the gradient was added to the last step's.", count=seen.piled)
        yield finding_of("missing-zero-grad", "error", "loop", evidence, proven=True)
    elif (step := seen.first_bad) is not None:
        yield from _no_number(seen, step)
    yield from _of_modes(seen)
    if constant := seen.sampled_inputs >= 3 and seen.constant_inputs == seen.sampled_inputs:
        evidence = say("All examples of a batch are the same, in every batch.")
        yield finding_of("input-degenerate", "warning", "data", evidence)
    if len(seen.losses) >= 5 and seen.unchanged and not constant and seen.first_bad is None:
        yield from _unchanged(seen)


def _no_number(seen: Signals, step: int) -> Iterator[Finding]:
    evidence = say("The loss is not a number at step {step}.", step=step + 1)
    more = say(" The first module that gave it: {where}.", where=seen.bad_module) if seen.bad_module else ""
    more += say(" It came in with the inputs.") if seen.where_bad == "inputs" else ""
    if seen.where_bad == "batch":
        more += say(" The next batch passes well with the same weights: look at this one's examples, and at the loss.")
    if seen.largest_update() > _FAR and seen.where_bad != "inputs":
        more += say(" Before that a step changed weights by {ratio:.0%}.", ratio=seen.largest_update())
        steep = seen.steepness() > _STEEP
        at = "gradients" if steep else "optimizer.lr"
        yield finding_of("exploding-gradient" if steep else "lr-too-high", "warning", at, evidence + more)
    where = {"inputs": "data", "batch": "loss", "": "loss"}.get(seen.where_bad, seen.where_bad)
    yield finding_of("non-finite", "error", where, evidence + more, proven=True)


def _of_modes(seen: Signals) -> Iterator[Finding]:
    awake, asleep = seen.trained_awake, seen.trained_asleep
    if seen.mode_matters and asleep and (not awake or (asleep > awake and seen.asleep_since >= _LASTING)):
        evidence = say("All {count} training passes ran in evaluation mode.", count=asleep)
        if awake:
            template = "The last {count} training passes ran in evaluation mode; {awake} before them did not."
            evidence = say(template, count=seen.asleep_since, awake=awake)
        yield finding_of("wrong-mode", "warning", "loop", evidence)
    between = seen.tested_steps < 0.5 * len(seen.losses) or len(seen.losses) < _FEW  # a GAN draws before each step
    if seen.tested_awake and not seen.tested_asleep and seen.mode_matters and between:
        evidence = say("All {count} passes without gradients ran in training mode.", count=seen.tested_awake)
        why = say("In training mode dropout makes predictions random, and batch norms take in validation examples.")
        remedy = say("Call net.eval() before validation, and net.train() after it.")
        found = finding_of("wrong-mode", "warning", "loop", evidence + _confidence(0.7))
        yield replace(found, why=why, remedy=remedy)


def _unchanged(seen: Signals) -> Iterator[Finding]:
    """Frozen are those that no optimizer has, or that no gradient reaches while the units around them are alive."""
    never = seen.stepped == 0 and seen.piled + seen.fresh > 0
    alive = not any(layer.dead > 0.9 or layer.saturated > 0.9 for layer in seen.layers.values())
    cut = [name for name in seen.unchanged if name in seen.absent or (name in seen.idle and alive)]
    rates = [rate for rate in seen.rates if rate > 0]
    if (
        len(seen.unchanged) == len(seen.sizes) == len(cut)
        or (len(cut) >= len(seen.sizes) and not seen.updates)
        or never
    ):
        if rates or not seen.rates:
            evidence = say("No parameter has changed in {count} steps.", count=len(seen.losses))
            yield finding_of("frozen-parameters", "error" if never else "warning", "optimizer", evidence, proven=never)
    elif cut and len(seen.losses) >= _ENOUGH and rates:
        evidence = say("{name} has not changed in {count} steps.", name=cut[0], count=len(seen.losses))
        yield finding_of("frozen-parameters", "warning", cut[0], evidence)


def _of_steps(seen: Signals) -> Iterator[Finding]:
    if len(seen.finite) < _ENOUGH:
        return
    collapsed = list(_of_schedule(seen))
    if _too_high(seen):
        yield _unsure("lr-too-high", "optimizer.lr", seen, 0.7, seen.update())
    elif _swinging(seen):
        yield _unsure("exploding-gradient", "gradients", seen, 0.6, seen.update())
    elif not collapsed and _too_low(seen):
        yield _unsure("lr-too-low", "optimizer.lr", seen, 0.7, seen.update())
    yield from collapsed
    if seen.labelled >= 3 and seen.one_label >= 0.7 * seen.labelled:
        evidence = say("{share:.0%} of the batches hold one label only.", share=seen.one_label / seen.labelled)
        yield finding_of("not-shuffled", "warning", "data", evidence + _confidence(0.8))


def _too_high(seen: Signals) -> bool:
    """Thrown far, and no lower than it began, or than an answer that ignores the inputs gets."""
    climbs = max(seen.trend, seen.end) > 1.5 and seen.throw() > 0.1  # a GAN's loss may climb by itself
    back = seen.end > _STUCK and seen.peak > 20
    thrown = (seen.throw() > 0.5 or seen.grown > 5) and (seen.stuck or seen.same_answer or seen.at_chance)
    return seen.has_floor and (climbs or back or thrown or (seen.trend > _STUCK and seen.update() > 0.05))


def _too_low(seen: Signals) -> bool:
    """The weights have hardly moved and the loss has not, though it is not low already."""
    rates = seen.rates
    warming = bool(rates) and rates[-1] >= 0.999 * max(rates) and rates[0] < 0.5 * max(rates)
    slow = 0 < seen.update() < 1e-4 and seen.moved < 0.02
    level = seen.trend > 0.9 and seen.end > 0.5  # which a noisy loss may fall by
    return slow and seen.has_floor and level and not warming and not seen.below_chance


def _swinging(seen: Signals) -> bool:
    """Again and again the loss leaps far over what it was, and over the first one, on a steep gradient."""
    losses, leaps = seen.finite, 0
    for at in range(_LASTING, len(losses)):
        usual = sorted(losses[at - _LASTING : at])[_LASTING // 2]
        leaps += losses[at] > 10 * max(usual, losses[0]) > 0
    return seen.has_floor and leaps >= 3 and seen.gradient_peak() > 100


def _of_schedule(seen: Signals) -> Iterator[Finding]:
    if seen.rates and max(seen.rates) > 0 and seen.end > 0.05:
        share = sum(rate < 1e-3 * max(seen.rates) for rate in seen.rates) / len(seen.rates)
        if share > 0.4:
            evidence = say(
                "For {share:.0%} of the steps the learning rate was under a thousandth of its best.", share=share
            )
            yield finding_of("schedule-collapsed", "warning", "optimizer.lr", evidence + _confidence(0.6))


def _of_layers(seen: Signals) -> Iterator[Finding]:
    if len(seen.finite) < _ENOUGH or (seen.trend < 0.9 and not seen.same_answer and not seen.idle):
        return
    for name, layer in seen.layers.items():
        if layer.dead > 0.9 and layer.units >= 8 and layer.seen >= 3:
            evidence = say("{share:.0%} of the units before {name} never fire.", share=layer.dead, name=name)
            yield finding_of("dead-relu", "warning", name, evidence + _confidence(0.7))
            break
        if layer.saturated > 0.9:
            evidence = say(
                "{share:.0%} of the activations before {name} lie at their ends.", share=layer.saturated, name=name
            )
            yield finding_of("saturation", "warning", name, evidence + _confidence(0.6))
            break
    ratio = seen.gradient_ratio()
    if ratio is not None and ratio < 1e-4:
        evidence = say(
            "The first layer's gradient is {ratio:.0e} of the last one's, each against its weight.", ratio=ratio
        )
        first = next(iter(seen.gradients), "net")
        yield finding_of("vanishing-gradient", "warning", first, evidence + _confidence(0.6))


def _unsure(fault: str, where: str, seen: Signals, confidence: float, update: float) -> Finding:
    evidence = say(
        "In {steps} steps the loss went to {trend:.3g} times its first value; a step changes weights by {update:.1e}.",
        steps=len(seen.losses), trend=seen.trend, update=update,
    )  # fmt: skip
    return finding_of(fault, "warning", where, evidence + _confidence(confidence))


def _confidence(share: float) -> str:
    return say(" Confidence {share:.0%}.", share=share)
