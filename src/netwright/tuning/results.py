"""What a search tells: its trials, which of them is best, and whether that holds when it is trained again."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

__all__ = ["Again", "Sense", "Status", "Trial", "Tuning", "best_of", "is_better"]

Sense = Literal["min", "max"]
Status = Literal["running", "finished", "pruned", "cut", "failed"]


@dataclass(frozen=True)
class Trial:
    """One run of a search. Trial 0 is the config as it is.

    `value` is the watched figure on the validation part, of the best weights; `settings` are what was changed. A trial
    that was `cut` ended with the time there was, one that was `pruned` because it fell behind. `curve` holds the figure
    of each validation. `findings` are what the doctor said of the run, `folder` is where it stands.
    """

    number: int
    status: Status
    value: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    epochs: float = 0.0
    reason: str = ""
    folder: str = ""
    findings: list[dict[str, Any]] = field(default_factory=list)
    curve: list[float | None] = field(default_factory=list)

    @property
    def counts(self) -> bool:
        """Whether it may be the best one."""
        return self.status in ("finished", "cut") and self.value is not None


@dataclass(frozen=True)
class Again:
    """The config as it is and the best one, each trained again with the same other seeds."""

    seeds: list[int]
    baseline: list[float]
    best: list[float]
    sense: Sense

    @property
    def gain(self) -> float:
        """By how much the best one is better, on average."""
        return gained(fmean(self.baseline), fmean(self.best), self.sense)

    @property
    def holds(self) -> bool:
        """Whether the best one is better on average, by more than the standard error of the pairs' differences."""
        pairs = [gained(before, after, self.sense) for before, after in zip(self.baseline, self.best, strict=True)]
        error = stdev(pairs) / math.sqrt(len(pairs)) if len(pairs) > 1 else 0.0
        return self.gain > error

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {**asdict(self), "gain": self.gain, "holds": self.holds}


@dataclass
class Tuning:
    """A finished search. `best` and `baseline` are trials, None where none counts; `config` is the winning config's
    file, and `kept` says which that is: the best trial's, or the original. `importance` has each setting's share in
    how much the figures differ.
    """

    folder: Path
    config: Path | None
    metric: str
    sense: Sense
    trials: list[Trial]
    best: Trial | None
    baseline: Trial | None
    space: dict[str, Any]
    kept: Literal["best", "original"] = "original"
    again: Again | None = None
    importance: dict[str, float] = field(default_factory=dict)
    verdict: str = ""
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def gain(self) -> float | None:
        """By how much the best trial is better than the config as it is, on the validation part they were chosen by."""
        if self.best is None or self.baseline is None or self.best.value is None or self.baseline.value is None:
            return None
        return gained(self.baseline.value, self.best.value, self.sense)

    @property
    def settings(self) -> dict[str, Any]:
        """What the best trial changes."""
        return dict(self.best.settings) if self.best is not None else {}

    def to_dict(self) -> dict[str, Any]:
        """The document of `tune --json`, and of the folder's tuning.json."""
        return {
            "folder": str(self.folder), "config": str(self.config) if self.config is not None else None,
            "metric": self.metric, "sense": self.sense, "verdict": self.verdict, "kept": self.kept, "gain": self.gain,
            "best": asdict(self.best) if self.best is not None else None,
            "baseline": asdict(self.baseline) if self.baseline is not None else None,
            "again": self.again.to_dict() if self.again is not None else None, "importance": self.importance,
            "notes": self.notes, "space": self.space, "trials": [asdict(trial) for trial in self.trials],
            "seconds": self.seconds,
        }  # fmt: skip

    def __repr__(self) -> str:
        return f"Tuning({self.folder}: {self.verdict})"


def best_of(trials: Sequence[Trial], sense: Sense) -> Trial | None:
    """The best trial that counts; of equals the first."""
    best: Trial | None = None
    for trial in trials:
        if trial.counts and (best is None or is_better(trial.value, best.value, sense)):
            best = trial
    return best


def is_better(value: float | None, than: float | None, sense: Sense) -> bool:
    """Whether a figure is better than another; anything is better than none."""
    if value is None:
        return False
    return than is None or gained(than, value, sense) > 0


def gained(before: float, after: float, sense: Sense) -> float:
    """By how much `after` is better."""
    return after - before if sense == "max" else before - after
