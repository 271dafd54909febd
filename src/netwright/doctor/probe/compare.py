"""Was it the change, or chance? Runs with and without it are compared in pairs: same seed, batches and examples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from netwright.core.messages import say
from netwright.doctor.probe.running import Outcome
from netwright.doctor.probe.yardstick import WORST

__all__ = ["Effect", "compare", "in_words"]

_SURE = 3.0  # standard errors
_NOTHING = 1.3
_LEAST = 0.1  # of what was unexplained: less is not worth a word


@dataclass(frozen=True)
class Effect:
    """`gain`: unexplained share that went away; `share`: of what there was; `noise`: standard error of the gain."""

    gain: float
    share: float
    noise: float
    seeds: int

    @property
    def certain(self) -> bool:
        """Whether the gain is beyond chance, and large enough to matter."""
        return self.gain > _SURE * self.noise and self.share > _LEAST


def compare(before: Sequence[Outcome], after: Sequence[Outcome]) -> Effect:
    """The effect of a change over seeds. The noise is that between seeds or between examples, whichever is larger;
    where every seed alone is beyond chance, a run that differs wildly from seed to seed makes it no less sure.
    """
    pairs = list(zip(before, after, strict=False))
    gains = [_level(one) - _level(other) for one, other in pairs]
    mean = sum(gains) / len(gains)
    base = sum(_level(one) for one, _ in pairs) / len(pairs)
    chances = [_of_examples(*pair) for pair in pairs]
    noise = max(chances)
    if any(gain <= _SURE * chance for gain, chance in zip(gains, chances, strict=True)):
        spread = math.sqrt(sum((gain - mean) ** 2 for gain in gains) / max(1, len(gains) - 1))
        noise = max(noise, spread / math.sqrt(len(gains)))
    return Effect(mean, mean / max(base, 1e-9), noise, len(gains))


def _level(outcome: Outcome) -> float:
    """Beyond "ignores the input" nothing is gained: a remedy that only keeps a NaN away has not made it learn."""
    return min(outcome.unexplained, _NOTHING)


def _of_examples(one: Outcome, other: Outcome) -> float:
    if one.each is None or other.each is None or one.each.shape != other.each.shape or one.each.numel() < 2:
        return 0.01
    apart = one.each.clamp(max=WORST) - other.each.clamp(max=WORST)  # how far off hopeless ones are tells nothing
    return float(torch.std(apart) / math.sqrt(apart.numel()))


def in_words(words: str, before: Sequence[Outcome], after: Sequence[Outcome], start: float, steps: int) -> str:
    """The effect in a sentence, measured from where both began."""
    changed, unchanged = _fall(after, start), _fall(before, start)
    same = _said(before, unchanged)
    if changed >= 0:
        return say("With {change} the error falls {fall:.0%} in {steps} steps; unchanged, {same}.",
                   change=words, fall=changed, steps=steps, same=same)  # fmt: skip
    return say("With {change} the error rises {rise:.0%} in {steps} steps; unchanged, {same}.",
               change=words, rise=-changed, steps=steps, same=same)  # fmt: skip


def _fall(outcomes: Sequence[Outcome], start: float) -> float:
    level = sum(outcome.unexplained for outcome in outcomes) / len(outcomes)
    return (start - level) / max(start, 1e-9)


def _said(outcomes: Sequence[Outcome], fall: float) -> str:
    if any(outcome.bad for outcome in outcomes):
        return say("it ends in NaN")
    return f"{fall:z.1%}" if fall > -0.005 else say("it rises {rise:.0%}", rise=-fall)
