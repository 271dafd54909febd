"""Suspects in the order of their likelihood, each tried on forks by changing one thing (see `proofs` for what of it is
told).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from netwright.doctor.causes import CAUSES, Cause, Evidence
from netwright.doctor.findings import Finding
from netwright.doctor.probe.changes import CHANGES
from netwright.doctor.probe.compare import Effect, compare
from netwright.doctor.probe.fitting import fitting
from netwright.doctor.probe.returned import Returned, returned
from netwright.doctor.probe.running import Outcome
from netwright.doctor.probe.scene import Scene

__all__ = ["DOUBT", "NOWHERE", "SOME", "Trial", "Trials"]

_SEEDS = 3
_CONFIRMED = 2  # suspects whose best remedy is run on every seed
_CONFIRMING = 2  # runs for which time is kept, once there is something to confirm
_GAIN, _SHARE = 0.05, 0.1  # of what is unexplained, absolute and relative: what a remedy must take away
_TELLING, SOME = 0.4, 0.1  # a prior that signals give; of what is unexplained, worth a word in any case
_SURELY = 0.9  # a prior of what was recognised
_AT_ONCE = 0.3  # the share that needs no second seed where the signals say the same
_NEARLY, _BEHIND = 0.85, 0.35  # of what a probe leaves: a remedy that no other outdoes; how much likelier its cause is
_LEVEL = 1.3  # of the unexplained share: beyond, a run has diverged, and how far says nothing
DOUBT = 0.2  # above the gate for an error, still worth a warning
_HOLDS = 0.85  # unexplained of validation examples
_REFUTED, _LONG = 0.05, 100  # share of a remedy that does not matter, seen in so many steps
NOWHERE = 0.9  # unexplained, of a run that got nowhere
_SHORTENS = {"schedule-collapsed", "vanishing-gradient"}
_STRETCH = 4  # times the steps of a probe, for what is learned only late
_STEP = "plain-loss"  # the change that puts another loss in the place of the step's


@dataclass
class Trial:
    """One suspect with its best remedy so far."""

    cause: Cause
    prior: float
    change: str
    effect: Effect

    @property
    def plain_loss(self) -> bool:
        """Whether the remedy is a plain loss in the place of the step's."""
        return self.change == _STEP

    @property
    def signalled(self) -> bool:
        """Whether the signals alone say as much."""
        return self.prior >= _TELLING

    @property
    def at_once(self) -> bool:
        """Whether the remedy takes so much away that one seed is enough."""
        return self.effect.share >= _AT_ONCE

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
                if count == 2 or not trial.at_once:
                    self._try(trial.change, count)
                    self._note(trial.cause, trial.prior, trial.change)
        if self.returned.fault and any(trial.plain_loss for trial in self.ranked()):
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
        made = CHANGES[_STEP](self.scene)
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
        self.scene.twins.clear()
        self.tried, self.trials = {}, []

    def _trial(self, cause: Cause) -> Trial:
        return next(trial for trial in self.trials if trial.cause is cause)

    def _idle(self, cause: Cause, prior: float) -> bool:
        """Whatever its remedy might reach, the run itself has come too far for a word."""
        far = 1 - self.final >= cause.gate + DOUBT and (prior < _TELLING or self.final < SOME)
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
        return bool(self.scene.kind) and min(self.best, self.final) > NOWHERE

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
        return trial.plain_loss and (self.returned.drawn or self.returned.fault not in {"", trial.cause.fault})

    def refuted(self, fault: str) -> bool:
        """Whether the remedy for this fault was tried for long enough and did not matter."""
        mine = [trial for trial in self.trials if trial.cause.fault == fault]
        return bool(mine) and self.scene.steps >= _LONG and all(trial.effect.share < _REFUTED for trial in mine)

    def unsettled(self, suspected: Iterable[Finding]) -> list[Finding]:
        """What signals make one suspect of a run that got nowhere, and no probe has refuted: of no use is one that was
        cut short, or did not get anywhere itself.
        """
        stuck = bool(self.scene.kind) and self.final > NOWHERE
        open_end = self.hurried or self.nowhere
        kept = [one for one in suspected if open_end or (stuck and not self.refuted(one.fault))]
        explained = any(one.fault in _SHORTENS for one in kept)  # steps are short then, whatever the rate
        return [one for one in kept if not (explained and one.fault == "lr-too-low")]

    def _try(self, change: str, seeds: int) -> bool:
        """Run a change on so many seeds; a run that the budget cuts short says nothing and is not kept."""
        runs = self.tried.setdefault(change, [])
        while len(runs) < seeds:
            made = CHANGES[change](self.scene) if self._affordable(seeds) else None
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
        effect = compare(self.scene.twins, self.tried[change])
        trial = next((one for one in self.trials if one.cause.fault == cause.fault), None)
        if trial is None:
            self.trials.append(Trial(cause, prior, change, effect))
        elif effect.gain > trial.effect.gain or change == trial.change:
            trial.change, trial.effect = change, effect
