"""What a run says of itself, at its start and at its end: the JSON files of the run folder."""

import logging
import os
import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import netwright
from netwright.core.architecture import Architecture
from netwright.core.devices import describe_machine
from netwright.core.errors import CheckpointError, DataError
from netwright.core.messages import say
from netwright.core.records import read_json, write_json, write_jsonl, write_text
from netwright.data import DataBundle
from netwright.doctor.findings import Finding
from netwright.experiment.assemble import Assembly
from netwright.experiment.beginning import keep_beginning

__all__ = ["check_data", "write_findings", "write_start", "write_summary"]

log = logging.getLogger("netwright")


def write_start(made: Assembly, architecture: Architecture | None, findings: list[Finding]) -> None:
    """Everything that is known before the first step. A resumed run keeps its record of the split and its findings."""
    folder = made.session.folder
    write_text(folder / "config.yaml", made.config.to_yaml())
    write_json(folder / "environment.json", _environment(made))
    write_json(folder / "schema.json", made.bundle.schema.to_dict())
    if _reads_files(made):
        keep_beginning(folder, made.recipe["model"], made.preprocess)
    if not (folder / "split.json").exists():
        write_json(folder / "split.json", made.bundle.split)
    if architecture is not None:
        write_json(folder / "architecture.json", architecture.to_dict())
    write_findings(folder, findings)
    write_summary(made, "running", {})


def _reads_files(made: Assembly) -> bool:
    """Whether the run began with files that need not be there when it goes on."""
    model, tokens = made.config.sections.model, made.bundle.schema.tokens
    tuned = isinstance(model, Mapping) and (model.get("weights") or model.get("embeddings"))
    return "name" in made.recipe["model"] and bool(tuned or (tokens is not None and tokens.path is not None))


def check_data(folder: Path, bundle: DataBundle) -> None:
    """Say when the data are no longer those that the run in `folder` began with.

    Raises:
        DataError: a part has another size; the rows are dealt out anew then, and what was test may be trained on.
    """
    begun = read_json(folder / "split.json") if (folder / "split.json").is_file() else {}
    then, now = begun.get("sizes", bundle.split["sizes"]), bundle.split["sizes"]
    if then != now:
        raise DataError(
            "the data of {folder} have changed since it began: train, validation and test held {then} examples, and "
            "now {now}; restore the data, or start a new run",
            folder=folder, then=_sizes(then), now=_sizes(now),
        )  # fmt: skip
    if begun.get("sha256", bundle.split["sha256"]) != bundle.split["sha256"]:
        template = "the data of {folder} are as many as when it began, but not the same; its figures mix the two"
        log.warning(say(template, folder=folder))


def _sizes(sizes: Any) -> str:
    return ", ".join(map(str, sizes.values())) if isinstance(sizes, Mapping) else str(sizes)


def write_findings(folder: Path, findings: list[Finding]) -> None:
    """Replace the run's findings."""
    write_jsonl(folder / "findings.jsonl", (finding.to_dict() for finding in findings))


def write_summary(made: Assembly, status: str, figures: dict[str, dict[str, float]], note: str = "") -> dict[str, Any]:
    """`summary.json`: how the run stands, its figures, and what was expected of it."""
    session = made.session
    progress = session.progress
    per_step = session.train_source.examples / max(session.train_source.steps_per_epoch, 1)
    test = figures.get("test") or figures.get("validation") or {}
    summary = {
        "run": session.folder.name,
        "status": status,
        "note": note,
        "model": made.recipe["model"].get("name") or made.recipe["model"].get("python"),
        "task": made.recipe["task"]["name"],
        "data": made.bundle.name,
        "metrics": {part: figures.get(part, {}) for part in ("train", "validation", "test")},
        "monitor": list(session.monitor),
        "best_step": progress.best_step,
        "best_epoch": progress.best_epoch + 1,
        "steps": progress.step,
        "epochs": progress.epoch + 1,
        "seconds": round(progress.seconds, 3),
        "examples_per_second": round(progress.step * per_step / max(progress.seconds, 1e-9), 1),
        "parameters": sum(p.numel() for p in made.model.parameters()),
        "expect": _expectations(made.config.sections.expect, test, session.monitor) if test else {},
    }
    write_json(session.folder / "summary.json", summary)
    return summary


def _expectations(wanted: dict[str, float], got: dict[str, float], monitor: tuple[str, str]) -> dict[str, Any]:
    from netwright.metrics import direction

    result = {}
    for name, value in wanted.items():
        reached = got.get(name)
        lower = (monitor[1] if name == monitor[0] else "min" if name == "loss" else direction(name)) == "min"
        ok = reached is not None and (reached <= value if lower else reached >= value)
        result[name] = {"wanted": value, "got": reached, "ok": ok}
    return result


def _environment(made: Assembly) -> dict[str, Any]:
    device = made.session.engine.device
    try:
        started = read_json(made.session.folder / "environment.json").get("started")
    except CheckpointError:  # there is none yet, or it is damaged: no reason not to go on
        started = None
    return {
        "netwright": netwright.__version__,
        **describe_machine(device),
        "precision": made.precision.name,
        "precision_reason": made.precision.reason,
        "memory_format": "channels-last" if made.channels_last else "contiguous",
        "started": started or time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": shlex.join([os.path.basename(sys.argv[0] or "python"), *sys.argv[1:]]),
    }
