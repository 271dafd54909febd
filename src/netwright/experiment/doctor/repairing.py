"""Repair: from a diagnosis to a run that holds. Attempt after attempt, each with one remedy, judged by validation.

Nothing is made worse: the run keeps its weights unless an attempt is clearly better on the validation part. What is
done stands in `repairs.json` at every moment, so that a repair that was killed goes on where it was.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from torch import nn

from netwright.core.errors import CheckpointError, DivergedError, because
from netwright.core.messages import say
from netwright.core.records import read_json, read_jsonl, write_bytes, write_json, write_text
from netwright.doctor import Finding
from netwright.experiment.assemble import Given
from netwright.experiment.config import Config
from netwright.experiment.doctor.attempts import Attempt, Patient, attempt, figures_of, original_given
from netwright.experiment.doctor.diagnosing import Told, diagnose_run
from netwright.experiment.doctor.patches import longer
from netwright.experiment.doctor.remedies import Remedy, patched, remedies
from netwright.experiment.ending import report
from netwright.experiment.folders import Run, open_run
from netwright.experiment.model_folder import load_weights
from netwright.experiment.predictor import load
from netwright.experiment.record import write_findings
from netwright.experiment.run import carry_out
from netwright.training import checkpoints

__all__ = ["Repairs", "repair", "told_of", "train_and_repair"]

log = logging.getLogger("netwright")
_MOST = 3  # attempts; each costs at most what the run did
_LONGER = "longer"
_NEAR = 0.95
_AGAIN = 0.5  # of the budget, for the look at what an attempt left
_SHORTEST, _LONGEST = 20.0, 60.0  # seconds of probes for a run that repairs itself


@dataclass
class Repairs:
    """`repairs.json`. `kept` is "original" or the number of the attempt whose weights the run has now; `queue` holds
    what is still to be tried, `base` the attempt that it is tried upon (0: the run itself).
    """

    attempts: list[Attempt] = field(default_factory=list)
    kept: str | int = "original"
    verdict: str = ""
    base: int = 0
    queue: list[Remedy] = field(default_factory=list)
    running: bool = True
    tried: list[Remedy] = field(default_factory=list)

    @property
    def succeeded(self) -> bool:
        """Whether an attempt held and was kept."""
        return self.kept != "original"

    def to_dict(self) -> dict[str, Any]:
        """What stands in the file; what is still to be done only while it is."""
        told: dict[str, Any] = {
            "attempts": [one.to_dict() for one in self.attempts],
            "kept": self.kept,
            "verdict": self.verdict,
        }
        if self.running:
            queue, tried = ([asdict(remedy) for remedy in part] for part in (self.queue, self.tried))
            told["plan"] = {"base": self.base, "queue": queue, "tried": tried}
        return told

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> "Repairs":
        """Undo of `to_dict`."""
        plan = told.get("plan")
        queue, tried = (
            [Remedy(**remedy) for remedy in plan[part]] if plan is not None else [] for part in ("queue", "tried")
        )
        attempts = [Attempt(**one) for one in told["attempts"]]
        base = plan["base"] if plan is not None else 0
        return cls(attempts, told["kept"], told["verdict"], base, queue, plan is not None, tried)


def repair(patient: Patient, budget: float = 60.0, told: Told | None = None) -> Repairs:
    """Repair a run whose folder is held by the caller; `nothing to repair` leaves everything as it is.

    Args:
        budget: seconds for the probes of a diagnosis.
        told: a diagnosis of this run, where there is one already.

    Raises:
        Preempted, Interrupted: an attempt was stopped; the next call goes on with it.
    """
    repairs = told_of(patient.folder)
    if repairs is not None and not repairs.running:
        return repairs
    if repairs is None:
        repairs = _begun(patient, told or diagnose_run(patient.folder, budget=budget, given=patient.objects()))
    while repairs.queue and len(repairs.attempts) < _MOST:
        _save(patient, repairs)
        remedy = _at_length(patient, repairs, repairs.queue[0])
        done = attempt(patient, len(repairs.attempts) + 1, repairs.base, remedy)
        repairs.attempts.append(done)
        repairs.tried.append(remedy)
        _say(done)
        if done.held:
            repairs.base = done.number
            repairs.queue = _still(patient, repairs, budget) if remedy.change != _LONGER else []
        else:
            repairs.queue = repairs.queue[1:] if remedy.change != _LONGER else []
    _end(patient, repairs)
    return repairs


def told_of(folder: Path) -> Repairs | None:
    """What `repairs.json` of a run says; None where there is none.

    Raises:
        CheckpointError: it is damaged.
    """
    path = folder / "repairs.json"
    if not path.is_file():
        return None
    try:
        return Repairs.from_dict(read_json(path))
    except (KeyError, TypeError, ValueError) as error:
        template = "{file} is damaged ({reason}); remove it to repair from the beginning"
        raise CheckpointError(template, file=path, reason=because(error)) from error


def _begun(patient: Patient, told: Told) -> Repairs:
    """The plan that follows from a diagnosis, whose findings become the run's."""
    write_findings(patient.folder, told.findings)
    repairs = Repairs(queue=_for(patient, 0, told.findings, told.probes))
    if not repairs.queue:
        worst = next((finding for finding in told.findings if finding.severity == "error"), None)
        repairs.verdict = say("nothing to repair") if worst is None else say(
            "{fault} is found, but no setting of the config mends it: {remedy}", fault=worst.fault, remedy=worst.remedy
        )  # fmt: skip
    return repairs


def _at_length(patient: Patient, repairs: Repairs, remedy: Remedy) -> Remedy:
    """A longer run takes the time of all attempts that are left, so that none comes after it."""
    if remedy.change != _LONGER:
        return remedy
    values = _values(patient, repairs.base)
    return replace(remedy, patch=longer(values, _MOST - len(repairs.attempts)))


def _for(
    patient: Patient, base: int, findings: Sequence[Finding], probes: Mapping[str, float], left: int = _MOST
) -> list[Remedy]:
    again = base > 0 and not _is_near_all(patient.base(base))
    found = remedies(findings, _values(patient, base), probes, left, again)
    if patient.given is not None:  # the user's own network has its weights, whatever the seed
        found = [remedy for remedy in found if remedy.keeps_network and remedy.change != "fresh"]
    return found


def _is_near_all(folder: Path) -> bool:
    """Whether a share is so high that a longer run cannot add much."""
    name, sense = read_json(folder / "summary.json")["monitor"]
    return bool(sense == "max" and figures_of(folder).get(name, 0.0) > _NEAR)


def _values(patient: Patient, base: int) -> dict[str, Any]:
    text, _ = patched(patient.text(base), patient.changes)
    values: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return values


def _still(patient: Patient, repairs: Repairs, budget: float) -> list[Remedy]:
    """What is still wrong with an attempt that held."""
    if len(repairs.attempts) >= _MOST:
        return []
    folder = patient.base(repairs.base)
    told = diagnose_run(folder, budget=_AGAIN * budget, given=patient.objects())
    tried = [remedy.patch for remedy in repairs.tried]
    found = _for(patient, repairs.base, told.findings, {}, _MOST - len(repairs.attempts))
    return [remedy for remedy in found if remedy.patch not in tried]


def _end(patient: Patient, repairs: Repairs) -> None:
    """Keep the best: the last attempt that held, since each had to be better than what it was made upon."""
    if repairs.base:
        _adopt(patient, repairs.base)
        repairs.kept = repairs.base
        held = repairs.attempts[repairs.base - 1]
        repairs.verdict = say("repaired by attempt {number} ({fault})", number=held.number, fault=held.fault)
    elif repairs.attempts:
        template = "attempts: {count}; none is clearly better, the run stays as it was"
        repairs.verdict = say(template, count=len(repairs.attempts))
    repairs.running = False
    _save(patient, repairs)
    log.info(repairs.verdict)
    report(patient.folder)


def _adopt(patient: Patient, number: int) -> None:
    """The run gets the attempt's model, figures and config; its own config is set aside. Safe to be done twice."""
    folder, source = patient.folder, patient.base(number)
    original = patient.text(0)
    write_text(folder / "config.original.yaml", original)
    doctor = YAML(typ="safe", pure=True).load(original).get("doctor", "advise")
    text, _ = patched(patient.text(number), {"doctor": _written(doctor)})
    for path in sorted((source / "model").iterdir(), key=lambda path: path.name == "config.json"):
        write_bytes(folder / "model" / path.name, path.read_bytes())
    for name in ("exhibits.json", "architecture.json"):
        if (source / name).is_file():
            write_bytes(folder / name, (source / name).read_bytes())
    if (source / "exhibits").is_dir():
        shutil.copytree(source / "exhibits", folder / "exhibits", dirs_exist_ok=True)
    write_text(folder / "config.yaml", text)
    summary = read_json(source / "summary.json")
    note = say("repaired by attempt {number}; its record is in {folder}", number=number, folder=source)
    write_json(folder / "summary.json", {**summary, "run": folder.resolve().name, "note": note, "repaired": number})
    _count_looks(folder, source)


def _count_looks(folder: Path, source: Path) -> None:
    """The attempt looked at the test set as well: the run's count says that it has been looked at."""
    if (source / "split.json").is_file() and (folder / "split.json").is_file():
        own, other = read_json(folder / "split.json"), read_json(source / "split.json")
        looks = max(int(own.get("test_looks", 0)), int(other.get("test_looks", 0)))
        write_json(folder / "split.json", {**own, "test_looks": looks})


def _written(doctor: Any) -> str:
    return {False: "off", True: "advise"}.get(doctor, str(doctor))


def _say(done: Attempt) -> None:
    shown = "  ".join(f"{name} {value:.4f}" for name, value in (done.after or {}).items() if value is not None)
    if done.held:
        log.info(say("repair {number} holds: {figures}", number=done.number, figures=shown))
    else:
        log.info(
            say("repair {number} does not hold: {figures} {note}", number=done.number, figures=shown, note=done.note)
        )


def _save(patient: Patient, repairs: Repairs) -> None:
    write_json(patient.folder / "repairs.json", repairs.to_dict())


def _network(folder: Path, given: Given | None) -> nn.Module:
    """The network with the weights that were kept; the user's own module where there is one."""
    if given is None or given.model is None:
        return load(folder / "model").network
    load_weights(given.model, folder / "model" / "model.safetensors")
    return given.model


def train_and_repair(
    config: Config, folder: Path, given: Given | None, *, quiet: bool, resumed: bool, command: str
) -> Run:
    """A run under `doctor: repair`: trained, and where it went wrong, mended. Its folder is held by the caller.

    Raises:
        DivergedError: it diverged, and no attempt held.
    """
    how: dict[str, Any] = {"quiet": quiet, "resumed": resumed, "command": command}
    if given is not None and given.optimizer is not None:
        log.warning(say("an optimizer that was made in Python is not changed; the doctor only advises"))
        return carry_out(config, folder, given, **how)
    try:
        again = original_given(given)
    except Exception as error:  # copying runs code of anybody's
        log.warning(say("the network cannot be copied ({error}); the doctor only advises", error=error))
        return carry_out(config, folder, given, **how)
    failure, run = None, None
    try:
        run = _done_before(folder) if resumed else None
        run = run or carry_out(config, folder, given, **how)
    except DivergedError as error:
        failure = error
    patient = Patient(folder, again, quiet, command)
    repairs = repair(patient, min(_LONGEST, max(_SHORTEST, run.seconds if run is not None else _SHORTEST)))
    if failure is not None and not repairs.succeeded:
        raise failure
    if not repairs.succeeded and _was_ended(folder):
        run = _gone_on(config, folder, given, quiet, command)
    told = open_run(folder)
    told.model = run.model if run is not None else None
    if repairs.succeeded:
        told.model = _network(folder, given)
    return told


def _was_ended(folder: Path) -> bool:
    """Whether the doctor ended the run before its time."""
    state = checkpoints.newest(folder / "checkpoints") or {}
    return bool((state.get("hooks") or {}).get("doctor", {}).get("ended", False))


def _gone_on(config: Config, folder: Path, given: Given | None, quiet: bool, command: str) -> Run:
    """A run that the doctor ended and could not mend comes to its own end after all, with what was found."""
    found = [Finding.from_dict(line) for line in read_jsonl(folder / "findings.jsonl")]
    run = carry_out(config, folder, given, quiet=quiet, resumed=True, command=command)
    write_findings(folder, found)
    report(folder)
    return run


def _done_before(folder: Path) -> Run | None:
    """The run, where it was already being mended when it was stopped."""
    repairs = told_of(folder)
    finished = repairs is not None and read_json(folder / "summary.json").get("status") == "finished"
    return open_run(folder) if finished and repairs is not None and repairs.running else None
