"""A trial as a run: trained by the code of `netwright train`, but for the test set, which is not there at all.

What goes wrong with one trial is its result, and the search goes on.
"""

import gc
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from netwright.core.errors import (
    ConfigError,
    DivergedError,
    Interrupted,
    NetwrightError,
    Preempted,
    ResourceError,
    ran_out_of_memory,
)
from netwright.core.messages import say
from netwright.core.records import is_number, read_json, read_jsonl
from netwright.data import DataBundle
from netwright.experiment.assemble import Given
from netwright.experiment.config import load_config
from netwright.experiment.folders import Run, open_run
from netwright.experiment.run import carry_out
from netwright.training import checkpoints
from netwright.training.hooks.base import Hook
from netwright.training.hooks.judge import Judge
from netwright.tuning.results import Status, Trial

if TYPE_CHECKING:
    from netwright.training.session import Session

__all__ = ["Bench", "train_trial"]

_log = logging.getLogger("netwright")
_TOLD = ("code", "fault", "severity", "where", "evidence", "remedy")  # of a finding
_LONGEST = 300  # characters of a reason


@dataclass(frozen=True)
class Bench:
    """What all trials share.

    `values` is the config as it is, with nothing left out; `accepted` are faults that `check` finds in it already,
    for which no trial is refused. `command` goes on with the search.
    """

    values: dict[str, Any]
    bundle: DataBundle
    metric: str
    accepted: frozenset[str]
    command: str


def train_trial(
    bench: Bench, number: int, values: dict[str, Any], settings: dict[str, Any], folder: Path, judge: Judge
) -> Trial:
    """Train in `folder`, or go on there.

    Raises:
        NetwrightError: the machine is out of disk, or it is trial 0 and the config as it is cannot be trained.
        Interrupted, Preempted: the search was stopped; the next call goes on with this trial.
    """
    began = time.monotonic()
    value, reason, findings = None, "", []
    status: Status = "failed"
    try:
        with _hushed():
            run = _trained(bench, values, folder, judge)
        value = run.metrics["validation"].get(bench.metric)
        findings = [one.to_dict() for one in run.findings if one.severity != "note"]
        status = judge.verdict or "finished"
    except (Interrupted, Preempted, KeyboardInterrupt):
        raise
    except Exception as error:
        reason = _reason(error, number)
    if not reason and not is_number(value):
        status, reason = "failed", say("its {metric} is no number", metric=bench.metric)
    summary = _summary(folder)
    return Trial(
        number, status, float(value) if is_number(value) and value is not None else None, settings,
        _seconds(summary, time.monotonic() - began), summary.get("epochs") or 0, reason, str(folder.absolute()),
        [{key: one[key] for key in _TOLD} for one in findings],
    )  # fmt: skip


class _Entrance(Hook):
    """Refuses a trial of which `check` has found an error that the config as it is does not have."""

    name = "entrance"

    def __init__(self, accepted: frozenset[str]) -> None:
        self._accepted = accepted

    def start(self, run: "Session") -> None:
        """Read what was found before the first step."""
        for told in read_jsonl(run.folder / "findings.jsonl"):
            if told.get("severity") == "error" and told.get("fault") not in self._accepted:
                template = "check refuses it: {fault}: {evidence}"
                raise ConfigError(template, fault=told["fault"], evidence=told.get("evidence", ""))


def _trained(bench: Bench, values: dict[str, Any], folder: Path, judge: Judge) -> Run:
    if _summary(folder).get("status") == "finished":  # killed between its end and the store
        judge.verdict = _verdict(folder)
        return open_run(folder)
    hooks = (_Entrance(bench.accepted), judge)
    given = Given(bundle=replace(bench.bundle, test=None), hooks=hooks)
    resumed = (folder / "config.yaml").is_file()
    run = carry_out(load_config(values), folder, given, quiet=True, resumed=resumed, command=bench.command)
    run.model = None
    return run


def _verdict(folder: Path) -> Any:
    """What the judge had said of a run that is over."""
    state = checkpoints.newest(folder / "checkpoints") or {}
    return (state.get("hooks") or {}).get("judge", {}).get("verdict", "")


def _summary(folder: Path) -> dict[str, Any]:
    path = folder / "summary.json"
    return read_json(path) if path.is_file() else {}


def _seconds(summary: dict[str, Any], passed: float) -> float:
    """What the run itself counts, over its resumes, where that is more."""
    return round(max(passed, float(summary.get("seconds") or 0.0)), 3)


def _reason(error: Exception, number: int) -> str:
    """Why a trial failed; what is not the trial's fault is raised again."""
    memory = ran_out_of_memory(error) or ran_out_of_memory(error.__cause__ or error)
    if isinstance(error, ResourceError | OSError) and not memory:
        raise error
    if number == 0 and not memory and not isinstance(error, DivergedError):
        raise error
    if memory:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return say("out of memory")
    _log.debug("trial %s failed", number, exc_info=error)
    said = str(error) if isinstance(error, NetwrightError) else f"{type(error).__name__}: {error}"
    return " ".join(said.split())[:_LONGEST]


@contextmanager
def _hushed() -> Iterator[None]:
    """Without each trial's own log; what is worth telling of it is told with the others."""
    level = _log.level
    _log.setLevel(max(level, logging.ERROR))
    try:
        yield
    finally:
        _log.setLevel(level)
