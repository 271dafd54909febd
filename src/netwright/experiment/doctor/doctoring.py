"""`doctor`: diagnosis, and on demand repair, of a run folder or of a config, as one document."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from netwright.core.errors import ResourceError
from netwright.core.records import RunLock
from netwright.doctor import Finding
from netwright.experiment.doctor.attempts import Patient
from netwright.experiment.doctor.diagnosing import Told, diagnose_config, diagnose_run, subject_of
from netwright.experiment.doctor.patches import Patch
from netwright.experiment.doctor.repairing import Repairs, repair, told_of
from netwright.experiment.record import write_findings
from netwright.experiment.run import train

__all__ = ["doctor"]


def doctor(
    subject: str | Path, overrides: Sequence[str] = (), budget: float = 60.0, mend: bool = False
) -> dict[str, Any]:
    """The document of `doctor --json`: a diagnosis (see `Told`), `repairs` where they were asked for, and `ok`, false
    while an error stands.

    A run's diagnosis becomes its `findings.jsonl`. To repair a config it is trained first, in a new folder below
    `runs/`.

    Args:
        budget: seconds that probes may take.

    Raises:
        NetwrightError: see `core.errors`.
    """
    folder = subject_of(subject)
    if mend:
        return _mended(subject, folder, overrides, budget)
    if folder is None:
        told = diagnose_config(subject, overrides, budget)
    else:
        told = diagnose_run(folder, overrides, budget)
        if not overrides:
            _note_down(folder, told)
    return {**told.to_dict(), "ok": not _errors(told.findings)}


def _mended(subject: str | Path, folder: Path | None, overrides: Sequence[str], budget: float) -> dict[str, Any]:
    if folder is None:
        run = train(subject, overrides=overrides, doctor="repair")
        repairs, told = told_of(run.folder), Told(str(run.folder), run.findings)
        told = replace(told, verdict=repairs.verdict if repairs is not None else "")
    else:
        told, repairs = _repaired(folder, overrides, budget)
    fine = (repairs is not None and repairs.succeeded) or not _errors(told.findings)
    document = {**told.to_dict(), "ok": fine}
    return document | ({"repairs": repairs.to_dict()} if repairs is not None else {})


def _repaired(folder: Path, overrides: Sequence[str], budget: float) -> tuple[Told, Repairs]:
    lock = RunLock(folder)
    try:
        known = told_of(folder)
        told = None if known is not None else diagnose_run(folder, overrides, budget)
        command = f"netwright doctor {shlex.quote(str(folder))} --repair"
        repairs = repair(Patient(folder, command=command, changes=_asked(overrides)), budget, told)
    finally:
        lock.release()
    return told or Told(str(folder), [], repairs.verdict), repairs


def _asked(overrides: Sequence[str]) -> Patch:
    """`--set` as a patch; that its paths and values stand has been checked by the diagnosis."""
    pairs = [override.partition("=") for override in overrides]
    return {path.strip(): YAML(typ="safe", pure=True).load(text) if text.strip() else None for path, _, text in pairs}


def _note_down(folder: Path, told: Told) -> None:
    try:
        lock = RunLock(folder)
    except ResourceError:  # a run at work writes its findings itself, and a folder may be there to be read only
        return
    try:
        write_findings(folder, told.findings)
    finally:
        lock.release()


def _errors(findings: Sequence[Finding]) -> bool:
    return any(finding.severity == "error" for finding in findings)
