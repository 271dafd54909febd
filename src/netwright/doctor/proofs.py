"""What trials prove: a cause whose remedy takes away enough, for sure, is an error; one that is only likely, a warning.

How much is enough hangs on what else is known: how far the run came by itself, what the signals say of the cause, and
whether the measure is to be trusted at all.
"""

from dataclasses import replace

from netwright.core.messages import say
from netwright.doctor.findings import Finding, Probe, Severity
from netwright.doctor.probe.compare import in_words
from netwright.doctor.trials import DOUBT, NOWHERE, SOME, Trial, Trials
from netwright.doctor.words import CHANGED, finding_of

__all__ = ["backed", "proved_by"]

_MOST = 3  # findings; further remedies help by what the first ones have in common
_PLAIN = 0.6  # the share that makes a remedy for what the signals already show plain enough
_PLAINLY = 0.3  # the share that a plain loss takes away at least, where the step's is another
_UNMOVED = 0.9  # of the first loss: it has neither fallen nor, by its inverse, climbed
_CALM, _LEVEL = 0.3, 3.0  # the largest update of a run, and its highest loss over the first, that make no NaN
_LEAST_SURE, _MOST_SURE = 0.5, 0.9  # the confidence of a warning, by the share that its remedy takes away
_ABSORBS = {  # what makes a run diverge, so that a remedy of it is no chance
    "bad-init-scale", "exploding-gradient", "input-not-normalized", "lr-too-high", "missing-zero-grad", "oscillation",
    "over-regularized", "target-not-normalized", "wrong-mode",
}  # fmt: skip


def proved_by(trials: Trials) -> list[Finding]:
    """The first proved cause is an error; what would also have helped is told as a warning."""
    found: list[Finding] = []
    for trial in trials.ranked():
        severity = _severity(trials, trial, bool(found))
        if severity is not None and trial.cause.fault not in {finding.fault for finding in found}:
            found.append(_finding(trials, trial, severity))
    step = trials.returned
    if step.form and step.fault and step.fault not in {finding.fault for finding in found}:
        # A fact, however well the run may go.
        found.insert(0, finding_of(step.fault, "warning", "loop", step.evidence))
    return found[:_MOST]


def backed(trials: Trials, finding: Finding) -> Finding:
    """A static finding with the experiment that bears it out, where its remedy was tried and helps."""
    own = [trial for trial in trials.ranked() if trial.cause.fault == finding.fault and trial.effect.certain]
    if not own or finding.probe is not None or finding.severity == "note":  # the probe is told as a finding then
        return finding
    shown = _finding(trials, own[0], "error")
    evidence = f"{finding.evidence} {shown.evidence}"
    return replace(finding, probe=shown.probe, effect=shown.effect, evidence=evidence, proven=True)


def _severity(trials: Trials, trial: Trial, another: bool) -> Severity | None:
    """How gravely a helpful remedy's cause is told, none for not at all; beside `another`, nothing is an error."""
    if not trial.effect.certain:
        return None
    if trial.plain_loss and trials.returned.fault == trial.cause.fault and not trials.known.diverged:
        by_the_loss = _of_the_loss(trials, trial)
        if by_the_loss is not None:
            return "warning" if another else by_the_loss
        if not trials.returned.sure:
            return None
    return _measured(trials, trial, another)


def _of_the_loss(trials: Trials, trial: Trial) -> Severity | None:
    """A form that was recognised is a fact; what is only more than the loss, or another one, has to keep the run
    from what the plain loss comes to in the same time.
    """
    step = trials.returned
    wins = trial.effect.share > _PLAINLY and trial.effect.seeds > 1
    if step.form:
        return "error" if wins else "warning"
    lasts = trials.lasting is not None and trials.final - trials.lasting > max(step.apart, _PLAINLY * trials.final)
    if not wins or not lasts:
        return None
    return "error" if step.sure else "warning"


def _measured(trials: Trials, trial: Trial, another: bool) -> Severity | None:
    """What the gain of a remedy comes to, beside how far the run itself came."""
    seen, diverged = trials.known.seen, trials.known.diverged
    calm = seen.largest_update() < _CALM and seen.peak < _LEVEL  # before the NaN: then no long step made it
    if diverged and (calm or trial.cause.fault not in _ABSORBS):
        return "warning"
    if trials.scene.train.yardstick is None and not diverged:  # a GAN's loss, or a policy's, is no measure
        stuck = _UNMOVED < trials.final < 1 / _UNMOVED and trial.prior >= 0
        return "warning" if stuck and trial.effect.share > _PLAIN and not another else None
    moved = trials.final < NOWHERE or seen.end < _UNMOVED
    if not trials.scene.trusted and not diverged and moved:
        return None  # what is measured only goes along with the loss: little of it may be meant
    plain = trial.signalled and trial.effect.share > _PLAIN and trials.final - trials.best > SOME
    if trials.progress < trial.cause.gate or plain:
        sure = trial.effect.seeds > 1 or (trial.at_once and trial.prior > 0)
        return "error" if sure and not another else "warning"
    return "warning" if trials.progress < trial.cause.gate + DOUBT and not another else None


def _finding(trials: Trials, trial: Trial, severity: Severity) -> Finding:
    before, after = trials.scene.twins[: trial.effect.seeds], trials.tried[trial.change]
    words = say(CHANGED[trial.change])
    evidence = in_words(words, before, after, trials.start, trials.scene.steps)
    if trial.plain_loss and trials.returned.evidence:
        evidence = f"{trials.returned.evidence} {evidence}"
    if severity == "warning":
        share = min(_MOST_SURE, _LEAST_SURE + (_MOST_SURE - _LEAST_SURE) * trial.effect.share)
        evidence += say(" Confidence {share:.0%}.", share=share)
    effect, proven = round(trial.effect.share, 4), severity == "error"
    finding = finding_of(trial.cause.fault, severity, trial.cause.where, evidence, effect, proven)
    probe = Probe.of(trial.change, words, before[0].losses, after[0].losses)
    return replace(finding, probe=probe, remedy=_rated(trial.change) or finding.remedy)


def _rated(change: str) -> str:
    """What to do about a learning rate that is off by more than the usual factor: that by which it was proved to be."""
    way, factor = change[:3], change[3:]
    if way not in ("lr/", "lr*") or factor == "10":
        return ""
    if way == "lr/":
        return say("Divide the learning rate by {factor:,}.", factor=int(factor))
    return say("Multiply the learning rate by {factor:,}.", factor=int(factor))
