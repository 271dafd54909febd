"""From signals to findings. What is seen itself (a NaN, gradients never cleared) is an error; what a signal only makes
likely is a warning with its confidence, to be proved by `diagnose`.
"""

from collections.abc import Iterator
from dataclasses import replace

from netwright.core.messages import say
from netwright.doctor.findings import Finding
from netwright.doctor.watch.signals import Signals
from netwright.doctor.words import told

__all__ = ["piling_up", "suspicions"]

_ENOUGH = 30  # steps before a trend means anything
_STUCK = 0.95  # of the first loss


def suspicions(seen: Signals) -> list[Finding]:
    """Findings of a watch; several symptoms of one cause are told as one."""
    found = [*_facts(seen)]
    if not found:
        found = [*_of_steps(seen), *_of_layers(seen)][:3]
    return found


def piling_up(seen: Signals) -> bool:
    """Gradients are never cleared although the optimizer steps every time (an accumulation scheme steps rarely)."""
    return seen.piled >= 3 and seen.fresh <= 1 and seen.stepped >= 0.8 * (seen.piled + seen.fresh)


def _facts(seen: Signals) -> Iterator[Finding]:
    if piling_up(seen):
        evidence = say("In all {count} steps looked at, the gradient was added to the last step's.", count=seen.piled)
        yield told("missing-zero-grad", "error", "loop", evidence, proven=True)
    elif (step := seen.first_bad) is not None:
        evidence = say("The loss is not a number at step {step}.", step=step + 1)
        if seen.largest_update() > 0.3:
            evidence += say(" Before that a step changed weights by {ratio:.0%}.", ratio=seen.largest_update())
            yield told("lr-too-high", "warning", "optimizer.lr", evidence)
        yield told("non-finite", "error", "loss", evidence, proven=True)
    if seen.trained_asleep and not seen.trained_awake and seen.mode_matters:
        evidence = say("All {count} training passes ran in evaluation mode.", count=seen.trained_asleep)
        yield told("wrong-mode", "warning", "loop", evidence)
    if seen.tested_awake and not seen.tested_asleep and seen.mode_matters:
        evidence = say("All {count} passes without gradients ran in training mode.", count=seen.tested_awake)
        why = say("In training mode dropout makes predictions random, and batch norms take in validation examples.")
        remedy = say("Call net.eval() before validation, and net.train() after it.")
        found = told("wrong-mode", "warning", "loop", evidence + _confidence(0.7))
        yield replace(found, why=why, remedy=remedy)
    if len(seen.losses) >= 5 and seen.unchanged:
        yield from _unchanged(seen)
    if seen.sampled_inputs >= 3 and seen.constant_inputs == seen.sampled_inputs:
        yield told("input-degenerate", "warning", "data", say("All examples of a batch are the same, in every batch."))


def _unchanged(seen: Signals) -> Iterator[Finding]:
    everything = len(seen.unchanged) == len(seen.sizes) or (seen.stepped == 0 and seen.piled + seen.fresh > 0)
    rates = [rate for rate in seen.rates if rate > 0]
    if everything and (rates or not seen.rates):
        evidence = say("No parameter has changed in {count} steps.", count=len(seen.losses))
        yield told("frozen-parameters", "error" if seen.stepped == 0 else "warning", "optimizer", evidence,
                   proven=seen.stepped == 0)  # fmt: skip
    elif len(seen.losses) >= _ENOUGH and rates and not any(layer.dead > 0.9 for layer in seen.layers.values()):
        evidence = say("{name} has not changed in {count} steps.", name=seen.unchanged[0], count=len(seen.losses))
        yield told("frozen-parameters", "warning", seen.unchanged[0], evidence)


def _of_steps(seen: Signals) -> Iterator[Finding]:
    steps, update = len(seen.finite), seen.update()
    if steps < _ENOUGH:
        return
    climbs = max(seen.trend, seen.end) > 1.5 and seen.largest_update() > 0.1  # a GAN's loss may climb by itself
    back = seen.end > _STUCK and seen.peak > 20  # thrown far at once, and no lower than it began
    if climbs or back or (seen.trend > _STUCK and update > 0.05):
        yield _unsure("lr-too-high", "optimizer.lr", seen, 0.7, update)
    elif seen.trend > 0.98 and 0 < update < 2e-5:
        yield _unsure("lr-too-low", "optimizer.lr", seen, 0.7, update)
    if seen.rates and max(seen.rates) > 0:
        share = sum(rate < 1e-3 * max(seen.rates) for rate in seen.rates) / len(seen.rates)
        if share > 0.4:
            evidence = say(
                "For {share:.0%} of the steps the learning rate was under a thousandth of its best.", share=share
            )
            yield told("schedule-collapsed", "warning", "optimizer.lr", evidence + _confidence(0.6))
    if seen.labelled >= 3 and seen.one_label >= 0.9 * seen.labelled:
        evidence = say("{share:.0%} of the batches hold one label only.", share=seen.one_label / seen.labelled)
        yield told("not-shuffled", "warning", "data", evidence + _confidence(0.8))


def _of_layers(seen: Signals) -> Iterator[Finding]:
    if len(seen.finite) < _ENOUGH or seen.trend < 0.9:
        return
    for name, layer in seen.layers.items():
        if layer.dead > 0.9 and layer.units >= 8 and layer.seen >= 3:
            evidence = say("{share:.0%} of the units before {name} never fire.", share=layer.dead, name=name)
            yield told("dead-relu", "warning", name, evidence + _confidence(0.7))
            break
        if layer.saturated > 0.9:
            evidence = say(
                "{share:.0%} of the activations before {name} lie at their ends.", share=layer.saturated, name=name
            )
            yield told("saturation", "warning", name, evidence + _confidence(0.6))
            break
    ratio = seen.gradient_ratio()
    if ratio is not None and ratio < 1e-4:
        evidence = say(
            "The first layer's gradient is {ratio:.0e} of the last one's, each against its weight.", ratio=ratio
        )
        yield told("vanishing-gradient", "warning", next(iter(seen.gradients), "net"), evidence + _confidence(0.6))


def _unsure(fault: str, where: str, seen: Signals, confidence: float, update: float) -> Finding:
    evidence = say(
        "In {steps} steps the loss went to {trend:.3g} times its first value; a step changes weights by {update:.1e}.",
        steps=len(seen.losses), trend=seen.trend, update=update,
    )  # fmt: skip
    return told(fault, "warning", where, evidence + _confidence(confidence))


def _confidence(share: float) -> str:
    return say(" Confidence {share:.0%}.", share=share)
