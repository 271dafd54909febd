"""`diagnose`: the static rules, a watched run on a copy, and probes on forks, within a budget of seconds.

The order of the work: what can be seen before a step; the user's run on a copy, watched; then suspects in the order of
their likelihood, each tried by changing exactly one thing. Only what a probe, or a direct observation, has proved is an
error. The user's network, optimizer and random states stay as they were.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from netwright.core.errors import ConfigError
from netwright.core.seeds import undisturbed
from netwright.doctor.causes import Evidence
from netwright.doctor.check import check
from netwright.doctor.check.reading import is_source
from netwright.doctor.findings import Finding
from netwright.doctor.learnable import Learnable, held_back, of_the_data, what_is_learnable
from netwright.doctor.outcomes import few_updates, of_the_curve, placed
from netwright.doctor.planning import NotRunning, Plan, planned_work
from netwright.doctor.probe import Batches, Outcome, Program, Scene, collect, passage, penalty, run, set_scene
from netwright.doctor.proofs import proved_by
from netwright.doctor.trials import Trials
from netwright.doctor.verdict import in_order, settled, verdict
from netwright.doctor.watch import Signals, Watch, suspicions

__all__ = ["Diagnosis", "diagnose"]

_SHORTEST = 20  # steps of a run that is judged by itself
_READ = 600  # steps that the batches kept are to last for
_SPENT = 0.9  # of the budget: what is under way at its end has to come to an end too
_RESERVED = 0.1  # of the budget, for what comes after the probes
_PENALTY, _CUT = 0.1, 0.5  # over the loss; what is left of a gradient
_WELL, _BEHIND = 0.8, 0.25  # of the way that the best probe came; of what a plain network explains
_LIKE_FEW = {"lr-too-low", "wrong-optimizer", "batch-too-large", "missing-normalization"}
_OF_TARGETS = {
    "class-imbalance", "head-size-mismatch", "leakage", "missing-output-activation", "not-shuffled", "output-range",
    "target-not-normalized", "wrong-loss",
}  # fmt: skip
_QUICK, _CHECKED = 5_000_000, 2048  # numbers that the static rules see whole; examples of a larger set


@dataclass
class Diagnosis:
    """`findings`, the likeliest cause first; `steps` of the watched run, and what it left `unexplained` of the targets
    (0: nothing; 1: as much as an answer that ignores the inputs). `progress`: how much of the best probe's way it came,
    0 to 1. `probes`: what was left with each change. `seconds`: of the whole diagnosis.
    """

    findings: list[Finding] = field(default_factory=list)
    verdict: str = ""
    steps: int = 0
    seconds: float = 0.0
    progress: float | None = None
    probes: dict[str, float] = field(default_factory=dict)
    unexplained: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        told = {**self.__dict__, "findings": [finding.to_dict() for finding in self.findings]}
        return {key: None if isinstance(value, float) and not math.isfinite(value) else value
                for key, value in told.items()}  # fmt: skip

    def __str__(self) -> str:
        return "\n".join([self.verdict, *(str(finding) for finding in self.findings)])


def diagnose(
    net: nn.Module,
    opt: Optimizer,
    loss_fn: Callable[..., Any] | None = None,
    train: Any = None,
    validation: Any = None,
    step: Callable[[nn.Module, Optimizer, Any], Any] | None = None,
    epochs: int | None = None,
    budget_seconds: float = 60.0,
    batch_size: int = 32,
) -> Diagnosis:
    """What is wrong with this training, with proof where there is time for it; nothing given is changed.

    Args:
        loss_fn: of (output, targets); may be None where `step` knows it.
        train: (inputs, targets) as tensors or arrays, or a loader of such batches.
        validation: the same, to see overfitting by.
        step: does one whole optimization step as your loop does it and returns the loss; by default zero_grad,
            forward, loss, backward, step. A batch is (inputs, targets).
        epochs: how long your run is (one epoch where it is not told; then nothing is said about its length).
        batch_size: for `train` given as tensors.

    Raises:
        ConfigError: without training data, or without a loss and a step.
    """
    begun = time.monotonic()
    end = begun + _SPENT * budget_seconds
    if train is None or (loss_fn is None and step is None):
        raise ConfigError("diagnose needs train=(inputs, targets) or a loader, and loss_fn or step; give both")
    if not hasattr(opt, "param_groups"):
        template = "diagnose needs the optimizer of the run, got {got!r}; give the one that takes its steps"
        raise ConfigError(template, got=opt)
    with undisturbed():
        diagnosis = _diagnosed(Program(net, opt, loss_fn, step), train, validation, epochs, end, batch_size)
    diagnosis.seconds = time.monotonic() - begun
    return diagnosis


def _diagnosed(
    program: Program, train: Any, validation: Any, epochs: int | None, deadline: float, batch_size: int
) -> Diagnosis:
    budget = deadline - time.monotonic()
    batches = collect(train, program.net, _READ, batch_size)
    held = _whole(validation, program.net) if validation is not None else None
    static = _static(program, batches, validation if is_source(validation) else held, epochs)
    scene = set_scene(program, batches, held, 0, max(1, epochs or 1) * batches.per_epoch, deadline)
    try:
        plan = planned_work(scene, budget)
    except NotRunning as error:
        return _concluded(static, [], Diagnosis(), str(error))
    scene.steps, scene.reserve, scene.length_known = plan.steps, _RESERVED * budget, epochs is not None
    seen, watched = _watched(scene, plan)
    if scene.length_known and watched.bad and _SHORTEST < scene.planned < len(watched.losses):
        plan = plan.within(scene.planned)
        seen, watched = _watched(scene, plan)
    scene.steps = plan.steps_for(seen.rates)
    if not scene.kind and program.loss is None:  # the second part of a batch is no target of the network
        static = [finding for finding in static if finding.fault not in _OF_TARGETS]
        seen.labelled = 0
    trials = _trials(scene, plan, static, seen, watched)
    data = what_is_learnable(scene, trials.final) if scene.left > 3 * scene.reserve else Learnable()
    trials.run()
    live = _live(scene, data, seen, watched, trials)
    probes = {name: runs[0].unexplained for name, runs in trials.tried.items() if runs}
    measured = Diagnosis(steps=len(watched.losses), progress=trials.progress, probes=probes, unexplained=trials.final)
    return _concluded(settled(static, trials, live), live, measured)


def _trials(scene: Scene, plan: Plan, static: list[Finding], seen: Signals, watched: Outcome) -> Trials:
    """What is known before the probes, and who makes them."""
    faults = frozenset(finding.fault for finding in static if finding.severity != "note")
    final = next((mark.share for mark in watched.marks if mark.step == plan.end), watched.unexplained)
    final = watched.unexplained if watched.bad or not math.isfinite(final) else final
    known = Evidence(seen, faults, scene, watched.bad, final, penalty(scene), passage(scene))
    scene.penalised = known.penalty > _PENALTY or known.passage.left < _CUT
    return Trials(scene, known, final, watched.marks[0].share if watched.each is not None else 1.0)


def _concluded(static: list[Finding], live: list[Finding], measured: Diagnosis, failure: str = "") -> Diagnosis:
    found = in_order(static, live)
    return replace(measured, findings=found, verdict=verdict(found, failure))


def _live(scene: Scene, data: Learnable, seen: Signals, watched: Outcome, trials: Trials) -> list[Finding]:
    """Facts, then proved causes, then what the curves and the data say; a symptom beside its cause is left out."""
    facts = [finding for finding in suspicions(seen) if _seen_itself(finding, trials, data)]
    of_data = list(of_the_data(scene, data, trials))
    proved = proved_by(trials) if not any(finding.proven and finding.where == "targets" for finding in of_data) else []
    if any(finding.fault == "missing-zero-grad" for finding in facts):  # whatever shortens the steps eases it
        proved = [finding for finding in proved if finding.fault == "missing-zero-grad"]
    found = _tied(facts, _in_large_steps(scene, watched, proved))
    if not any(finding.severity == "error" for finding in found):
        found = [*of_data, *([] if of_data else of_the_curve(scene, watched, trials)), *found]
    if not found:
        found = trials.unsettled(suspicions(seen)) or list(held_back(scene, data, trials))
    return [placed(scene, finding, seen) if finding.fault == "non-finite" else finding for finding in found]


def _seen_itself(finding: Finding, trials: Trials, data: Learnable) -> bool:
    """Whether a watch's finding is a fact; weights that never moved are one where the run lacks something."""
    if finding.fault == "missing-zero-grad":  # not of a parameter that the optimizer does not hold
        return bool(trials.known.passage.piled)
    behind = data.reference is not None and trials.final > data.reference.left + _BEHIND
    lacking = trials.scene.trusted and (trials.progress < _WELL or behind)
    return finding.proven or finding.fault == "wrong-mode" or (finding.fault == "frozen-parameters" and lacking)


def _in_large_steps(scene: Scene, watched: Outcome, proved: list[Finding]) -> list[Finding]:
    """A longer step helps a run of few large batches, too; smaller batches are what it lacks."""
    if any(finding.severity == "error" and finding.fault not in _LIKE_FEW for finding in proved):
        return proved
    few = list(few_updates(scene, watched)) if any(finding.severity == "error" for finding in proved) else []
    rest = [finding for finding in proved if finding.fault != "batch-too-large"]
    return [*few, *(replace(f, severity="warning", proven=False) for f in rest)] if few else proved


def _tied(facts: list[Finding], proved: list[Finding]) -> list[Finding]:
    """One finding where a proved cause explains a fact: a NaN that a remedy makes go away is only its symptom."""
    by_fault = {finding.fault: finding for finding in proved}
    kept = []
    for fact in facts:
        if fact.fault in by_fault:
            cause = by_fault.pop(fact.fault)
            kept.append(replace(fact, evidence=f"{fact.evidence} {cause.evidence}", effect=cause.effect,
                                severity="error", proven=True, probe=cause.probe))  # fmt: skip
        elif fact.fault != "non-finite" or not any(finding.severity == "error" for finding in proved):
            kept.append(fact)
    return [*kept, *by_fault.values()]


def _static(program: Program, batches: Batches, held: Any, epochs: int | None = None) -> list[Finding]:
    source = batches.pool if batches.pool is not None else batches.epochs[0][0]
    inputs, targets = (
        part if not isinstance(part, Tensor) or part.numel() < _QUICK else part[:_CHECKED] for part in source
    )
    try:
        return check(
            program.net, inputs, targets, loss=program.loss, optimizer=program.optimizer, validation=held,
            examples=batches.examples, batch_size=batches.size, epochs=epochs,
        )  # fmt: skip
    except ConfigError:  # a network that only its own step knows how to call, such as a GAN's two
        if program.step is None:
            raise
        return []


def _watched(scene: Scene, plan: Plan) -> tuple[Signals, Outcome]:
    fork = scene.program.fork()
    with Watch(fork.net, fork.optimizer) as watch:
        fork.aside = watch.paused
        outcome = run(
            fork, scene.batches.sequence(plan.length), scene.train, scene.validation,
            marks=plan.marks, deadline=scene.deadline, watcher=watch.step,
        )  # fmt: skip
        return watch.signals(), outcome


def _whole(validation: Any, net: nn.Module) -> Any:
    batches = collect(validation, net, 1, 1_000_000)
    return batches.pool if batches.pool is not None else batches.epochs[0][0]
