"""Suspects in the order of their likelihood, each tried on forks, and the verdict that the measurements allow."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from netwright.core.messages import say
from netwright.doctor.causes import CAUSES, Cause, Evidence
from netwright.doctor.findings import Finding, Probe, Severity
from netwright.doctor.probe.changes import CHANGES
from netwright.doctor.probe.compare import Effect, compare, in_words
from netwright.doctor.probe.fitting import fitting
from netwright.doctor.probe.returned import Returned, returned
from netwright.doctor.probe.running import Outcome
from netwright.doctor.probe.scene import Scene
from netwright.doctor.words import told

__all__ = ["Trial", "Trials"]

_SEEDS = 3
_CONFIRMED = 2  # suspects whose best remedy is run on every seed
_GAIN, _SHARE = 0.05, 0.1  # of what is unexplained, absolute and relative: what a remedy must take away
_TELLING, _SOME = 0.4, 0.1  # a prior that signals give; of what is unexplained, worth a word in any case
_AT_ONCE = 0.3  # the share that needs no second seed where the signals say the same
_CONFIRMING = 2  # runs for which time is kept, once there is something to confirm
_SURELY = 0.9  # a prior of what was recognised
_PLAIN = 0.6  # the share that makes a remedy for what the signals already show plain enough
_ABSORBS = {
    "bad-init-scale", "exploding-gradient", "input-not-normalized", "lr-too-high", "missing-zero-grad", "oscillation",
    "over-regularized", "target-not-normalized", "wrong-mode",
}  # fmt: skip
_NEARLY, _BEHIND, _LEVEL = 0.85, 0.35, 1.3
_DOUBT = 0.2  # above the gate for an error, still worth a warning
_HOLDS = 0.85  # unexplained of validation examples
_REFUTED, _LONG = 0.05, 100  # share of a remedy that does not matter, seen in so many steps
_UNMOVED = 0.9  # of the first loss: it has neither fallen nor, by its inverse, climbed
_SHORTENS = {"schedule-collapsed", "vanishing-gradient"}
_NOWHERE = 0.9  # unexplained, of a run that got nowhere
_PLAINLY, _STEP = 0.3, "plain-loss"  # the share that a plain loss takes away at least, where the step's is another
_STRETCH = 4  # times the steps of a probe, for what is learned only late


@dataclass
class Trial:
    """One suspect with its best remedy so far."""

    cause: Cause
    prior: float
    change: str
    effect: Effect

    def score(self, most: float) -> float:
        """Gain as a share of the best remedy's, and what the signals say."""
        return self.effect.gain / max(most, 1e-9) + self.prior


@dataclass
class Trials:
    """All trials on one scene. `final`: the unexplained share after the whole watched run."""

    scene: Scene
    known: Evidence
    final: float
    start: float
    tried: dict[str, list[Outcome]] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    hurried: bool = False  # the budget ended before the suspects did
    pace: float = 0.1  # seconds that a probe is expected to take, before one has run
    returned: Returned = field(default_factory=Returned)  # what the step's own loss is made of
    lasting: float | None = None  # what a plain loss leaves unexplained after the whole watched run

    def run(self) -> None:
        """Try every suspect while there is time, then the best ones on more seeds."""
        self.returned = returned(self.scene)
        suspects = [(prior, cause) for cause in CAUSES if (prior := cause.prior(self.known)) is not None]
        suspects += self._of_the_step()
        suspects.sort(key=lambda pair: (not self._named(pair[1]), -pair[0]))  # the budget holds for what is plain
        self._try_all(suspects)
        if self.nowhere and self.scene.planned > self.scene.steps and not self.known.diverged:
            self._stretch()
            self._try_all([(prior, cause) for prior, cause in suspects if prior >= 0])
        for trial in self.ranked()[:_CONFIRMED]:
            for count in range(2, _SEEDS + 1):
                if count == 2 or trial.effect.share < _AT_ONCE:
                    self._try(trial.change, count)
                    self._note(trial.cause, trial.prior, trial.change)
        if self.returned.fault and _STEP in {trial.change for trial in self.ranked()}:
            self.lasting = self._last()

    def _of_the_step(self) -> list[tuple[float, Cause]]:
        """What the step's loss makes a suspect of, to be tried with the plain one in its place."""
        fault = self.returned.fault
        if not fault:
            return []
        self.scene.penalised = True
        if self.returned.form:
            self.scene.loss, self.scene.trusted = self.scene.loss or fitting(self.scene.kind), True
        prior = _SURELY if self.returned.form else _TELLING
        gate = 2.0 if self.returned.form else 0.7
        return [(prior, Cause(fault, (_STEP,), "loop", lambda _: prior, gate))]

    def _last(self) -> float | None:
        """The plain loss for as long as the run was watched and judged: some losses only need longer."""
        steps = min(max(self.scene.planned, self.scene.steps), len(self.known.seen.rates))
        if self.scene.left < self.scene.reserve + 1.5 * self.slowest() * steps / max(1, self.scene.steps):
            return None
        made = CHANGES[_STEP].make(self.scene)
        outcome = self.scene.play(*made, 0, steps) if made is not None else None
        return outcome.unexplained if outcome is not None and outcome.whole and not outcome.error else None

    def _try_all(self, suspects: list[tuple[float, Cause]]) -> None:
        for prior, cause in suspects:
            for change in cause.changes:
                if self._idle(cause, prior) or self._outdone(cause, prior) or not self._try(change, 1):
                    continue
                self._note(cause, prior, change)
                if prior < 0 and self._trial(cause).effect.gain < _GAIN:
                    break  # the next one only takes it further

    def _stretch(self) -> None:
        """From here on probes are longer, as long as the run itself: some tasks begin to be learned only late."""
        steps = min(self.scene.planned, _STRETCH * self.scene.steps)
        self.pace = self.slowest() * steps / self.scene.steps
        self.scene.steps = steps
        self.scene.outcomes.clear()
        self.tried, self.trials = {}, []

    def _trial(self, cause: Cause) -> Trial:
        return next(trial for trial in self.trials if trial.cause is cause)

    def _idle(self, cause: Cause, prior: float) -> bool:
        """Whatever its remedy might reach, the run itself has come too far for a word."""
        far = 1 - self.final >= cause.gate + _DOUBT and (prior < _TELLING or self.final < _SOME)
        return far and not self._named(cause)

    def _outdone(self, cause: Cause, prior: float) -> bool:
        """A likelier suspect's remedy takes nearly everything away, so that one of this prior cannot come near it."""
        most = min(self.scene.unchanged(0).unexplained, _LEVEL) if self.trials else 0.0
        beyond = any(t.effect.gain > _NEARLY * most and t.prior > prior + _BEHIND for t in self.trials)
        return beyond and not self._named(cause)

    def _named(self, cause: Cause) -> bool:
        return cause.fault in self.known.static

    def slowest(self) -> float:
        """Seconds that the longest probe took."""
        return max((outcome.seconds for runs in self.tried.values() for outcome in runs), default=self.pace)

    @property
    def best(self) -> float:
        """The lowest unexplained share that any run came to."""
        return min([self.final, *(o.unexplained for runs in self.tried.values() for o in runs if not o.error)])

    @property
    def progress(self) -> float:
        """How much of the way that the best run came the user's run came, 0 to 1."""
        start = 1.0 if self.best < 0.98 else max(self.start, 1.0)  # reaching the labels' frequencies is no progress
        return min(1.0, max(0.0, start - self.final) / max(start - self.best, 1e-6)) if self.best < start else 1.0

    @property
    def nowhere(self) -> bool:
        """Whether neither the run nor any remedy got anywhere, so that no remedy was refuted."""
        return bool(self.scene.kind) and min(self.best, self.final) > _NOWHERE

    def generalised(self) -> bool:
        """Whether some remedy lets the program explain examples that it was not trained on."""
        held = [o.held for runs in self.tried.values() for o in runs[:1] if not o.error and o.held is not None]
        return any(float(share.mean()) < _HOLDS for share in held)

    def ranked(self) -> list[Trial]:
        """Suspects whose remedy helps, the likeliest first."""
        own = [trial for trial in self.trials if not self._borrowed(trial)]
        helpful = [t for t in own if t.effect.gain > _GAIN and t.effect.share > _SHARE]
        most = max((t.effect.gain for t in helpful), default=0.0)
        return sorted(helpful, key=lambda t: -t.score(most))

    def _borrowed(self, trial: Trial) -> bool:
        """What the plain loss mends is told by the name of what the step's loss is found to be."""
        other = self.returned.drawn or self.returned.fault not in {"", trial.cause.fault}
        return trial.change == _STEP and other

    def findings(self) -> list[Finding]:
        """The verdict: the first proved cause is an error; what would also have helped is told as a warning."""
        found: list[Finding] = []
        for trial in self.ranked():
            severity = self._severity(trial, bool(found))
            if severity is not None and trial.cause.fault not in {finding.fault for finding in found}:
                found.append(self._told(trial, severity))
        mine = self.returned
        if mine.form and mine.fault and mine.fault not in {finding.fault for finding in found}:
            found.insert(0, told(mine.fault, "warning", "loop", mine.evidence))  # a fact, however well the run may go
        return found[:3]

    def refuted(self, fault: str) -> bool:
        """Whether the remedy for this fault was tried for long enough and did not matter."""
        mine = [trial for trial in self.trials if trial.cause.fault == fault]
        return bool(mine) and self.scene.steps >= _LONG and all(trial.effect.share < _REFUTED for trial in mine)

    def unsettled(self, suspected: Iterable[Finding]) -> list[Finding]:
        """What signals make one suspect of a run that got nowhere, and no probe has refuted: of no use is one that was
        cut short, or did not get anywhere itself.
        """
        stuck = bool(self.scene.kind) and self.final > _NOWHERE
        open_end = self.hurried or self.nowhere
        kept = [one for one in suspected if open_end or (stuck and not self.refuted(one.fault))]
        explained = any(one.fault in _SHORTENS for one in kept)  # steps are short then, whatever the rate
        return [one for one in kept if not (explained and one.fault == "lr-too-low")]

    def backed(self, finding: Finding) -> Finding:
        """A static finding with the experiment that bears it out, where its remedy was tried and helps."""
        mine = [trial for trial in self.ranked() if trial.cause.fault == finding.fault and trial.effect.certain]
        if not mine or finding.probe is not None or finding.severity == "note":  # the probe is told as a finding then
            return finding
        shown = self._told(mine[0], "error")
        evidence = f"{finding.evidence} {shown.evidence}"
        return replace(finding, probe=shown.probe, effect=shown.effect, evidence=evidence, proven=True)

    def _severity(self, trial: Trial, another: bool) -> Severity | None:
        if trial not in self.ranked() or not trial.effect.certain:
            return None
        if trial.change == _STEP and self.returned.fault == trial.cause.fault and not self.known.diverged:
            own = self._of_the_loss(trial)
            if own is not None or not self.returned.sure:
                return "warning" if another and own is not None else own
        return self._measured(trial, another)

    def _measured(self, trial: Trial, another: bool) -> Severity | None:
        """What the gain of a remedy comes to, beside how far the run itself came."""
        seen = self.known.seen
        calm = seen.largest_update() < 0.3 and seen.peak < 3  # before the NaN: then no long step made it
        if self.known.diverged and (calm or trial.cause.fault not in _ABSORBS):
            return "warning"
        if self.scene.train.yardstick is None and not self.known.diverged:  # a GAN's loss, or a policy's, is no measure
            stuck = _UNMOVED < self.final < 1 / _UNMOVED and trial.prior >= 0
            return "warning" if stuck and trial.effect.share > _PLAIN and not another else None
        moved = self.final < _NOWHERE or seen.end < _UNMOVED
        if not self.scene.trusted and not self.known.diverged and moved:
            return None  # what is measured only goes along with the loss: little of it may be meant
        plain = trial.prior >= _TELLING and trial.effect.share > _PLAIN and self.final - self.best > _SOME
        if self.progress < trial.cause.gate or plain:
            sure = trial.effect.seeds > 1 or (trial.effect.share > _AT_ONCE and trial.prior > 0)
            return "error" if sure and not another else "warning"
        return "warning" if self.progress < trial.cause.gate + _DOUBT and not another else None

    def _of_the_loss(self, trial: Trial) -> Severity | None:
        """A form that was recognised is a fact; what is only more than the loss, or another one, has to keep the run
        from what the plain loss comes to in the same time.
        """
        wins = trial.effect.share > _PLAINLY and trial.effect.seeds > 1
        if self.returned.form:
            return "error" if wins else "warning"
        lasts = self.lasting is not None and self.final - self.lasting > max(self.returned.apart, _PLAINLY * self.final)
        if not wins or not lasts:
            return None
        return "error" if self.returned.sure else "warning"

    def _told(self, trial: Trial, severity: Severity) -> Finding:
        before = self.scene.outcomes[""][: trial.effect.seeds]
        words = say(CHANGES[trial.change].words)
        evidence = in_words(words, before, self.tried[trial.change], self.start, self.scene.steps)
        if trial.change == _STEP and self.returned.evidence:
            evidence = f"{self.returned.evidence} {evidence}"
        if severity == "warning":
            evidence += say(" Confidence {share:.0%}.", share=min(0.9, 0.5 + 0.4 * trial.effect.share))
        proven = severity == "error"
        finding = told(trial.cause.fault, severity, trial.cause.where, evidence, round(trial.effect.share, 4), proven)
        return replace(
            finding, probe=Probe.of(trial.change, words, before[0].losses, self.tried[trial.change][0].losses)
        )

    def _try(self, change: str, seeds: int) -> bool:
        """Run a change on so many seeds; a run that the budget cuts short says nothing and is not kept."""
        runs = self.tried.setdefault(change, [])
        while len(runs) < seeds:
            made = CHANGES[change].make(self.scene) if self._affordable(seeds) else None
            if made is None or not self.scene.unchanged(len(runs)).whole:
                break
            outcome = self.scene.play(*made, len(runs))
            if not outcome.whole and not outcome.error:
                break
            runs.append(outcome)
        return len(runs) >= seeds and not runs[0].error

    def _affordable(self, seeds: int) -> bool:
        spared = _CONFIRMING if seeds == 1 and self.ranked() else 0
        enough = self.scene.left > self.scene.reserve + (1.2 + spared) * self.slowest()
        self.hurried |= not enough
        return enough

    def _note(self, cause: Cause, prior: float, change: str) -> None:
        effect = compare(self.scene.outcomes[""], self.tried[change])
        trial = next((one for one in self.trials if one.cause.fault == cause.fault), None)
        if trial is None:
            self.trials.append(Trial(cause, prior, change, effect))
        elif effect.gain > trial.effect.gain or change == trial.change:
            trial.change, trial.effect = change, effect
