"""The folder of a run, from outside: which one is taken, which is refused, and what a finished one tells."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from netwright.core.errors import CheckpointError, ConfigError, ResourceError, because
from netwright.core.messages import say
from netwright.core.records import RunLock, read_json, read_jsonl
from netwright.doctor.findings import Finding
from netwright.experiment.config import Config

__all__ = ["Run", "finished_run", "held", "next_folder", "open_run", "refuse_used"]


@dataclass
class Run:
    """A finished run. `metrics` holds the figures of the best weights on train, validation and test."""

    folder: Path
    metrics: dict[str, dict[str, float]]
    findings: list[Finding]
    seconds: float
    name: str
    model: nn.Module | None = field(repr=False, default=None)
    expectations: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        part = next((part for part in ("test", "validation", "train") if self.metrics.get(part)), "")
        figures = ", ".join(f"{name} {value:.4g}" for name, value in self.metrics.get(part, {}).items())
        return f"Run({self.folder}: {part} {figures}; {len(self.findings)} findings)"

    @property
    def expectations_met(self) -> bool:
        """Whether every figure of the config's `expect:` was reached."""
        return all(item["ok"] for item in self.expectations.values())

    def to_dict(self) -> dict[str, Any]:
        """The document of `train --json`."""
        path = self.folder / "repairs.json"
        told: dict[str, Any] = {
            "run": str(self.folder), "model": self.name, "metrics": self.metrics,
            "findings": [finding.to_dict() for finding in self.findings], "seconds": self.seconds,
            "expect": self.expectations,
        }  # fmt: skip
        return told | ({"repairs": read_json(path)} if path.is_file() else {})


def open_run(folder: str | Path) -> Run:
    """What a run folder tells of a finished run; the weights are loaded by `netwright.load`.

    Raises:
        CheckpointError: not a run folder.
    """
    folder = Path(folder)
    summary = read_json(folder / "summary.json")
    try:
        findings = [Finding.from_dict(line) for line in read_jsonl(folder / "findings.jsonl")]
        expected = summary["expect"]
        return Run(folder, summary["metrics"], findings, summary["seconds"], summary["model"], expectations=expected)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        template = "{folder} holds a damaged summary.json or findings.jsonl ({reason}); train again"
        raise CheckpointError(template, folder=folder, reason=because(error)) from error


def finished_run(config: Config, folder: Path) -> Run | None:
    """The run, where nothing is left to be done."""
    path = folder / "summary.json"
    summary = read_json(path) if path.is_file() else None
    finished = isinstance(summary, dict) and summary.get("status") == "finished"
    return open_run(folder) if finished and not _to_mend(config, folder) else None


def _to_mend(config: Config, folder: Path) -> bool:
    """Whether the doctor is to repair the finished run, and has not done so yet."""
    path = folder / "repairs.json"
    return config.sections.doctor == "repair" and not (path.is_file() and "plan" not in read_json(path))


def refuse_used(folder: Path) -> None:
    """Raises ConfigError where a run is in the folder."""
    if (folder / "config.yaml").exists():
        template = "{out} holds a run already; go on with --resume {out}, or choose another folder with --out"
        raise ConfigError(template, out=folder)


def held(out: str | Path) -> tuple[Path, RunLock]:
    """The folder that was asked for, held, where a run can be written to it.

    Raises:
        ConfigError: it has no name, or holds a run.
        ResourceError: it cannot be written, or another run holds it.
    """
    if not str(out).strip():
        raise ConfigError("--out is empty; give the folder that the run is to be written to")
    out = Path(out)
    try:
        if "\0" in str(out):
            raise ValueError(say("it holds a NUL character"))
        taken = (out / "config.yaml").exists()
    except (OSError, ValueError) as error:  # a name that no file system takes
        shown, reason = repr(str(out)[:80]), because(error)
        template = "{out} cannot be written ({reason}); choose another folder with --out"
        raise ResourceError(template, out=shown, reason=reason) from error
    if taken and (out / ".lock").exists():
        RunLock(out).release()  # where the run in it is at work, that is the better reason
    refuse_used(out)
    if out.exists() and not out.is_dir():
        raise ResourceError("{out} is a file; choose another folder with --out", out=out)
    return out, RunLock(out)


def next_folder(file: str | None) -> tuple[Path, RunLock]:
    """The next free folder below `runs/`, held. Another run may take one at the same moment."""
    stem, number = Path(file).stem if file else "run", 0
    while True:
        number += 1
        folder = Path("runs") / f"{stem}-{number}"
        if folder.exists():
            continue
        try:
            return folder, RunLock(folder)
        except ResourceError:
            if not folder.exists():
                raise
