"""The doctor beside a run: it watches, and tells what it suspects at validations and at the end.

Nothing of the run changes: no weight, gradient or random state is written to. After a resume, trends cannot be judged
by what is left of the run (a schedule's end looks like a rate too low), so that only facts are told then, beside what
was told before.
"""

import logging
import math
from typing import TYPE_CHECKING, Any

import torch

from netwright.core.messages import say
from netwright.doctor.findings import Finding, ranked
from netwright.doctor.watch import Watch
from netwright.tasks.base import StepOutput
from netwright.training.hooks.base import Hook

if TYPE_CHECKING:
    from netwright.training.session import Session

__all__ = ["Advisor", "live_findings", "suspected"]

log = logging.getLogger("netwright")
_EVERY = 100  # steps from one that is looked into to the next
_SPACING = 1.3  # a look reads all losses, so looks become rarer as there are more of them
_FRESH = 0.1  # of the plan: later than that, a resumed watch has missed how the run began
_HOPELESS = 0.3  # of the plan, after which a run that learns nothing may be ended
_NOTHING_LEARNT = ("lr-too-high", "lr-too-low", "frozen-parameters", "dead-relu", "saturation", "vanishing-gradient")


class Advisor(Hook):
    """Watches a run with `doctor.Watch`.

    Args:
        trends: whether a loss that does not fall means anything; not so where two networks compete or an agent acts.
        may_stop: end a run that shows twice in a row that it learns nothing; for `doctor: repair`. A run that is
            resumed after that was not to be mended, and goes on to its end.
    """

    name, stride, looks_at_figures = "doctor", 1, False

    def __init__(self, trends: bool = True, may_stop: bool = False) -> None:
        self._trends, self._may_stop = trends, may_stop
        self._watch: Watch | None = None
        self._updates = self._looked = 0
        self._before: list[Finding] = []  # told by a process that this one resumes
        self._last: list[Finding] = []
        self._said: set[str] = set()
        self._over = self._ended = False
        self._device = torch.device("cpu")

    def start(self, run: "Session") -> None:
        """Begin to watch; from the middle of a run on, only for facts."""
        if isinstance(run.model, torch.jit.ScriptModule):
            log.warning(say("a network of TorchScript cannot be watched; the doctor does not look at this run"))
            return
        if run.progress.step > _FRESH * run.total_steps:
            self._trends = False
        self._updates, self._device = run.engine.updates, run.engine.device
        updater = next(iter(run.engine.updaters.values()))
        self._watch = Watch(run.model, updater.optimizer, _EVERY)
        self._watch.__enter__()

    def step_end(self, run: "Session", out: StepOutput) -> None:
        """Pass the loss on, where the weights were updated."""
        if self._watch is not None and run.engine.updates != self._updates:
            self._updates = run.engine.updates
            self._watch.step(out.loss)

    def validation_end(self, run: "Session") -> None:
        """Look, now and then; what is suspected twice in a row is said."""
        step = run.progress.step
        if self._watch is None or step < _SPACING * self._looked or step == run.total_steps:
            return
        earlier, found = {finding.fault for finding in self._last}, self.findings()
        self._looked, self._last = step, found
        lasting = [finding for finding in found if finding.proven or finding.fault in earlier]
        for finding in lasting:
            self._say(finding)
        hopeless = [finding for finding in lasting if finding.fault in _NOTHING_LEARNT]
        if self._may_stop and hopeless and step > _HOPELESS * run.total_steps:
            self._ended = True
            run.stop_reason = say("the doctor ends a run that learns nothing ({fault})", fault=hopeless[0].fault)

    def end(self, run: "Session") -> None:
        """The last look; what is done to the network from here on is no training."""
        self._last, self._over = self.findings(), True
        for finding in self._last:
            self._say(finding)
        self.close(run)

    def close(self, run: "Session") -> None:
        """Take the hooks off the network."""
        if self._watch is not None:
            self._watch.close()

    def diverged(self) -> list[Finding]:
        """Findings when the loss is no number any more, which the run itself stops at before it is seen here."""
        if self._watch is not None:
            self._watch.step(torch.full((), math.nan, device=self._device))
            self._watch.close()
        return [finding for finding in self.findings() if finding.fault != "non-finite"]

    def findings(self) -> list[Finding]:
        """What is suspected now, and what was before a resume."""
        if self._over:
            return self._last
        seen = self._watch.findings if self._watch is not None else []
        found = [finding for finding in seen if self._trends or finding.proven]
        known = {finding.fault for finding in found}
        return ranked([*found, *(finding for finding in self._before if finding.fault not in known)])

    def state(self) -> dict[str, Any]:
        """What the last look found, and whether it ended the run."""
        return {"findings": [finding.to_dict() for finding in self._last], "ended": self._ended}

    def load_state(self, run: "Session", state: dict[str, Any]) -> None:
        """Undo of `state`."""
        self._may_stop = self._may_stop and not state.get("ended", False)
        if run.progress.step > _FRESH * run.total_steps:
            self._before = self._last = [Finding.from_dict(told) for told in state["findings"]]
            self._said = {finding.fault for finding in self._before}

    def _say(self, finding: Finding) -> None:
        if finding.severity != "note" and finding.fault not in self._said:
            self._said.add(finding.fault)
            log.warning(say("doctor: {fault}? {evidence} {remedy}", **_words(finding)))


def live_findings(run: "Session", diverged: bool = False) -> list[Finding]:
    """What the run's doctor suspects; nothing where it has none."""
    for hook in run.hooks:
        if isinstance(hook, Advisor):
            return hook.diverged() if diverged else hook.findings()
    return []


def suspected(found: list[Finding]) -> str:
    """The first suspicion as a sentence to be added to an error; empty where there is none."""
    worst = next((finding for finding in found if finding.severity != "note"), None)
    return say("the doctor suspects {fault}: {evidence} {remedy}", **_words(worst)) if worst is not None else ""


def _words(finding: Finding) -> dict[str, str]:
    return {"fault": finding.fault, "evidence": finding.evidence, "remedy": finding.remedy}
