"""`doctor`: what is wrong with a config or a run, by the static rules, the run's own record, and probes.

Probes take steps as our loop does: the task's loss under the engine's precision, its accumulation, clipping, penalty,
optimizer and schedule, on our own batches. Tasks without pairs of inputs and targets get what can be seen without.
"""

import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from netwright.core.errors import ConfigError, DataError, DivergedError
from netwright.core.messages import say
from netwright.data.batching import Batch, BatchSource
from netwright.doctor.diagnose import Diagnosis, diagnose
from netwright.doctor.findings import RANK, Finding, ranked
from netwright.doctor.probe import Program
from netwright.doctor.probe.yardstick import yardstick_for
from netwright.doctor.verdict import verdict
from netwright.experiment.assemble import Assembly, Given, assemble
from netwright.experiment.checking import check_assembly
from netwright.experiment.config import load_config
from netwright.experiment.doctor.attempts import figures_of
from netwright.experiment.doctor.recorded import is_run, learnt_nothing, recorded_findings
from netwright.optim import split_spec
from netwright.tasks import task_class
from netwright.training.engine import Engine, Updater

__all__ = ["Told", "diagnose_assembly", "diagnose_config", "diagnose_run", "subject_of"]

_HELD_OUT = 2048  # examples of the validation part that probes look at


@dataclass
class Told:
    """A diagnosis of ours. `note` says why there were no probes, where there were none; `probes` is every one's result
    by name: the share of the targets that stayed unexplained.
    """

    subject: str
    findings: list[Finding]
    verdict: str = ""
    note: str = ""
    steps: int = 0
    seconds: float = 0.0
    probes: dict[str, float] = field(default_factory=dict)
    progress: float | None = None

    @property
    def probed(self) -> bool:
        """Whether steps were taken."""
        return self.steps > 0

    def to_dict(self) -> dict[str, Any]:
        """The document of `doctor --json`."""
        told = {**self.__dict__, "findings": [finding.to_dict() for finding in self.findings], "probed": self.probed}
        return told


def diagnose_config(
    source: str | Path | Mapping[str, Any], overrides: Sequence[str] = (), budget: float = 60.0
) -> Told:
    """What is wrong with what a config describes; nothing is written.

    Args:
        budget: seconds that probes may take.

    Raises:
        ConfigError, DataError: it cannot be assembled.
    """
    config = load_config(source, overrides)
    with tempfile.TemporaryDirectory() as nowhere:
        told = diagnose_assembly(assemble(config, Path(nowhere), quiet=True), budget)
    return replace(told, subject=str(source) if isinstance(source, str | Path) else "config")


def diagnose_run(
    folder: str | Path, overrides: Sequence[str] = (), budget: float = 60.0, given: Given | None = None
) -> Told:
    """What is wrong with a run: its record first, then its config, from the beginning again, on the same data.

    Raises:
        CheckpointError: not a run folder.
    """
    folder = Path(folder)
    recorded = recorded_findings(folder)
    config = load_config(folder / "config.yaml", overrides)
    try:
        made = assemble(config, folder, given, quiet=True)
        told = diagnose_assembly(made, budget, recorded)
    except (ConfigError, DataError) as error:
        if not _from_python(config.sections.data):
            raise
        note = say("The data were given in Python, so only the record was read ({reason}).", reason=error)
        told = Told(str(folder), recorded, _verdict(recorded, probed=False), note)
    else:
        told = _with_outcome(told, learnt_nothing(figures_of(folder), made.session.validation_source))
    return replace(told, subject=str(folder))


def _with_outcome(told: Told, outcome: list[Finding]) -> Told:
    """Where no cause is known, what became of the run is all that there is to say."""
    if not outcome or any(finding.severity == "error" for finding in told.findings):
        return told
    findings = _in_order([*told.findings, *outcome])
    return replace(told, findings=findings, verdict=_verdict(findings, told.probed))


def diagnose_assembly(made: Assembly, budget: float = 60.0, recorded: Sequence[Finding] = ()) -> Told:
    """The same for an assembled run that has not begun; `made` is as it was afterwards."""
    begun = time.monotonic()
    static, note = check_assembly(made), _why_not(made)
    if note:
        findings = _in_order([*recorded, *static])
        return Told("", findings, _verdict(findings, probed=False), note, seconds=time.monotonic() - begun)
    found = _probe(made, budget)
    probed = found.steps > 0
    findings = _in_order(_told_with_record(_with_fixes(found.findings, static), recorded))
    if not probed:
        note = say("The network did not run on its data, so nothing could be probed.")
    return Told(
        "", findings, _verdict(findings, probed), note, found.steps, round(time.monotonic() - begun, 3),
        {name: value for name, value in found.probes.items() if math.isfinite(value)}, found.progress,
    )  # fmt: skip


class OurStep:
    """One step as the engine and the task take it. A fork of the doctor's copies it with everything it holds."""

    def __init__(self, made: Assembly) -> None:
        session = made.session
        engine, self.task = session.engine, session.task
        self.phase = self.task.phases[0]
        updater = engine.updaters[self.phase.name]
        clip = _probed_clip(made) or updater.clip
        own = Updater(updater.optimizer, updater.schedule, clip, updater.l1)
        self.engine = Engine({self.phase.name: own}, engine.device, engine.precision, engine.accumulate)

    def __call__(self, net: nn.Module, optimizer: Optimizer, batch: tuple[Any, Any]) -> Any:
        for group in optimizer.param_groups:  # a probe may bring an optimizer that no schedule has seen
            group.setdefault("initial_lr", float(group["lr"]))
        net.train()
        try:
            with self.engine.autocast():
                out = self.task.training_step(net, Batch(batch[0], batch[1], None), self.phase)
            self.engine.backward(out.loss, self.phase)
            if self.engine.update_if_due(self.phase):
                self.task.after_update(net, self.engine.updates)
        except DivergedError:
            return math.nan
        return out.loss.detach()


class _Epochs:
    """Our batches as a loader: every pass over it is the next epoch."""

    def __init__(self, source: BatchSource, most: int | None = None) -> None:
        self._source, self._most, self._epoch = source, most, 0

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        taken, epoch = 0, self._epoch
        self._epoch += 1
        for batch in self._source.epoch(epoch):
            yield batch.inputs, batch.targets
            taken += len(batch.inputs if isinstance(batch.inputs, Tensor) else batch.inputs[0])
            if self._most is not None and taken >= self._most:
                return


def _probe(made: Assembly, budget: float) -> Diagnosis:
    session = made.session
    step = OurStep(made)
    optimizer = session.engine.updaters[step.phase.name].optimizer
    held = session.validation_source
    modes = made.model.training
    try:
        return diagnose(
            made.model, optimizer, made.loss if callable(made.loss) else None, _Epochs(session.train_source),
            _Epochs(held, _HELD_OUT) if held is not None else None, step,
            epochs=max(1, math.ceil(session.total_steps / max(session.train_source.steps_per_epoch, 1))),
            budget_seconds=budget, batch_size=made.config.train.batch_size,
        )  # fmt: skip
    finally:
        made.model.train(modes)


def _why_not(made: Assembly) -> str:
    """Why there can be no probes, as a sentence; empty where there can be."""
    task = made.recipe["task"]["name"]
    if len(made.session.task.phases) > 1:
        template = (
            "Task {task} trains networks against each other, and no single loss says which did better; no probes."
        )
        return say(template, task=task)
    if made.bundle.schema.kind == "environment" or made.preprocess is None:
        return say("Task {task} learns from its own acts, which differ from probe to probe; no probes.", task=task)
    if made.bundle.schema.kind == "graph":
        return say("The rows of a batch of graphs belong together, and probes take examples apart; no probes.")
    if not task_class(task).answers_targets or not _is_measurable(made):
        template = "Task {task} has no pairs of inputs and targets that answers could be held against; no probes."
        return say(template, task=task)
    return ""


@torch.no_grad()
def _is_measurable(made: Assembly) -> bool:
    """Whether there is a yardstick for the network's answers; a network that does not run is left to the probes."""
    batch = next(iter(made.session.train_source.epoch(0)))
    optimizer = next(iter(made.session.engine.updaters.values())).optimizer
    try:
        output = Program(made.model, optimizer, None).fork().outputs(batch.inputs)
    except Exception:  # anybody's network
        return True
    return yardstick_for(output, batch.targets, made.loss if callable(made.loss) else None) is not None


def _probed_clip(made: Assembly) -> Any:
    """Clipping through torch's own function, which the probe without clipping knows how to leave out."""
    if made.config.sections.optimizer is None:
        return None
    plan = split_spec(made.config.sections.optimizer)
    if plan.clip is not None:
        return partial(_clip_norm, most=plan.clip)
    return partial(_clip_value, most=plan.clip_value) if plan.clip_value is not None else None


def _clip_norm(parameters: Sequence[Tensor], most: float) -> Tensor:
    return torch.nn.utils.clip_grad_norm_(parameters, most)


def _clip_value(parameters: Sequence[Tensor], most: float) -> Tensor:
    torch.nn.utils.clip_grad_value_(parameters, most)
    return torch.zeros(())


def _with_fixes(found: Sequence[Finding], static: Sequence[Finding]) -> list[Finding]:
    """The diagnosis's findings, those of static rules as our check with config and schema words them, with its fixes.

    What only the check without them found is left out: it takes a code for a number, or tokens for labels.
    """
    ours = {(finding.code, finding.fault): finding for finding in reversed(static)}
    fixes = {finding.fault: finding.fix for finding in reversed(static) if finding.fix}
    kept = []
    for finding in found:
        if finding.of_run:
            kept.append(replace(finding, fix=finding.fix or fixes.get(finding.fault)))
        elif (mine := ours.pop((finding.code, finding.fault), None)) is not None:
            kept.append(replace(mine, severity=finding.severity, proven=finding.proven))
    known = {finding.fault for finding in kept}
    return [*kept, *(finding for finding in ranked(ours.values()) if finding.fault not in known)]


def _told_with_record(found: list[Finding], recorded: Sequence[Finding]) -> list[Finding]:
    """A fault that probes have proved again is told by the probe; the record's other findings come after it."""
    known = {finding.fault for finding in found if finding.severity != "note"}
    rest = [finding for finding in recorded if finding.fault not in known]
    told = {finding.fault for finding in rest}
    return [*(finding for finding in found if finding.fault not in told), *rest]


def _in_order(findings: Sequence[Finding]) -> list[Finding]:
    """Errors, warnings, notes; within each as they came, since a diagnosis has the likeliest first."""
    return sorted(findings, key=lambda finding: RANK[finding.severity])


def _verdict(findings: Sequence[Finding], probed: bool) -> str:
    return verdict(findings, "" if probed else say("Nothing stands out in what can be seen without probes."))


def _from_python(data: Any) -> bool:
    return isinstance(data, Mapping) and "python" in data


def subject_of(source: str | Path) -> Path | None:
    """The run folder that `source` is; None where it is a config."""
    path = Path(source)
    return path if path.is_dir() and is_run(path) else None
