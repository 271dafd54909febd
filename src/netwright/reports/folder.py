"""A run folder as the report sees it: every file optional, a half-written one forgiven and named.

A report is wanted most when a run went wrong, so nothing but a folder that is no run at all is an error here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netwright.core.errors import CheckpointError
from netwright.core.messages import say

__all__ = ["MetricLine", "RunRecord", "mapping", "read_run"]

MARKS = ("summary.json", "metrics.jsonl", "config.yaml")
MOST_BYTES = 48 * 2**20  # of metrics.jsonl parsed line by line; a longer log is thinned evenly while it is read

MetricLine = dict[str, Any]


@dataclass
class RunRecord:
    """What was found in `folder`; an absent file leaves its field empty."""

    folder: Path
    summary: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    split: dict[str, Any] = field(default_factory=dict)
    schema: dict[str, Any] = field(default_factory=dict)
    architecture: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    config_text: str = ""
    train: list[MetricLine] = field(default_factory=list)
    validation: list[MetricLine] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    exhibits: list[dict[str, Any]] = field(default_factory=list)
    repairs: dict[str, Any] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.summary.get("run") or self.folder.resolve().name)

    def part(self, name: str) -> dict[str, Any]:
        """A mapping inside the summary, empty when it is absent or of another type."""
        return mapping(self.summary.get(name))


def mapping(value: Any) -> dict[str, Any]:
    """`value` where it is a mapping, else an empty one: files of a run may be of another version, or edited."""
    return value if isinstance(value, dict) else {}


def read_run(folder: Path) -> RunRecord:
    """Read what stands in `folder`.

    Raises CheckpointError when it is not a run folder.
    """
    folder = Path(folder)
    _refuse_strangers(folder)
    run = RunRecord(folder)
    for name in ("summary", "environment", "split", "schema", "architecture", "repairs"):
        setattr(run, name, mapping(_read(run, f"{name}.json", json.loads)))
    exhibits = _read(run, "exhibits.json", json.loads)
    run.exhibits = [item for item in exhibits if isinstance(item, dict)] if isinstance(exhibits, list) else []
    run.config_text = _read(run, "config.yaml", str) or ""
    run.config = mapping(_read(run, "config.yaml", _yaml))
    run.findings = list(_lines(run, "findings.jsonl"))
    for line in _log(run):
        (run.validation if line.get("kind") == "validation" else run.train).append(line)
    return run


def _refuse_strangers(folder: Path) -> None:
    if any((folder / mark).is_file() for mark in MARKS):
        return
    if not folder.exists():
        raise CheckpointError(
            "{folder} does not exist; give the run folder that `netwright train` printed", folder=folder
        )
    inside = sorted(mark.parent.name for mark in folder.glob("*/summary.json")) if folder.is_dir() else []
    if inside:
        raise CheckpointError(
            "{folder} holds runs but is not one itself; give one of them: {runs}",
            folder=folder,
            runs=", ".join(inside[:3]) + (", …" if len(inside) > 3 else ""),
        )
    raise CheckpointError(
        "{folder} is not a run folder: it has none of {marks}; give the run folder that `netwright train` printed",
        folder=folder,
        marks=", ".join(MARKS),
    )


def _read(run: RunRecord, name: str, parse: Callable[[str], Any]) -> Any:
    path = run.folder / name
    if not path.is_file():
        return None
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        run.unreadable.append(say("{file} could not be read: {reason}", file=name, reason=reason))
        return None


def _yaml(text: str) -> Any:
    from ruamel.yaml import YAML  # only here, and slow to import
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise ValueError(str(error)) from error


def _log(run: RunRecord) -> list[MetricLine]:
    """The log of what was kept: of a repaired run that of its attempt, behind the steps from which it went on."""
    lines = list(_lines(run, "metrics.jsonl"))
    kept = run.repairs.get("kept")
    tried = list(_lines(run, f"repairs/{kept}/metrics.jsonl")) if isinstance(kept, int) else []
    steps = [line["step"] for line in tried if isinstance(line.get("step"), int)]
    if not steps:
        return lines
    before = [line for line in lines if isinstance(line.get("step"), int) and line["step"] < min(steps)]
    attempts = run.repairs.get("attempts")
    told = [mapping(one) for one in attempts] if isinstance(attempts, list) else []
    goes_on = any(one.get("from_step") for one in told if one.get("number") == kept)
    return (before if goes_on else []) + tried


def _lines(run: RunRecord, name: str) -> Iterator[dict[str, Any]]:
    """The objects of a .jsonl file. A last line cut short is what a running process leaves, so it is no complaint."""
    path = run.folder / name
    if not path.is_file():
        return
    stride = 1 + path.stat().st_size // MOST_BYTES
    damaged, damaged_before_last = 0, 0
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, text in enumerate(file):
            if number % stride and '"validation"' not in text:
                continue
            damaged_before_last = damaged
            line = _object(text)
            if line is not None:
                yield line
            elif text.strip():
                damaged += 1
    if damaged_before_last:
        run.unreadable.append(
            say("lines of {file} that could not be read: {count}", count=damaged_before_last, file=name)
        )


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
