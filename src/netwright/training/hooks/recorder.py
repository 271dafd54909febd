"""`metrics.jsonl`: a line every few steps and one a validation. Also passes each line on to trackers.

On resume the file is cut back to where the checkpoint saw it, so that steps done twice stand in it once; where there
was no checkpoint, to nothing.
"""

import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netwright.core.records import append_jsonl, writing
from netwright.tasks.base import StepOutput
from netwright.training.hooks.base import Hook
from netwright.training.hooks.trackers import Trackers

if TYPE_CHECKING:
    from netwright.training.session import Session

__all__ = ["Recorder"]


class Recorder(Hook):
    """Writes what the run measures. `stride`: steps between two lines of training figures."""

    name = "recorder"

    def __init__(self, path: Path, stride: int, trackers: Trackers | None = None) -> None:
        self.stride = stride
        self._path, self._trackers = path, trackers or Trackers()
        self._since = time.monotonic()
        self._examples = 0

    def start(self, run: "Session") -> None:
        """Open the file; each line's norms are those of the first update after the line before."""
        with writing(self._path):
            self._path.open("ab" if run.progress.step else "wb").close()
        self._trackers.start(run.progress.step)
        self._restart(run)
        if run.progress.step == 0:
            run.engine.measure_next()

    def step_end(self, run: "Session", out: StepOutput) -> None:
        """One line of training figures."""
        progress, now = run.progress, time.monotonic()
        share = run.train_source.examples / max(run.train_source.steps_per_epoch, 1)
        line: dict[str, Any] = {"kind": "train", "step": progress.step, "epoch": _epochs_done(run)}
        line["loss"] = out.loss.item()
        line |= {name: float(value) for name, value in out.logs.items()} | run.train_source.logs()
        for phase, updater in run.engine.updaters.items():
            line[_label("lr", phase, run)] = updater.lr
            if (signals := run.engine.signals.get(phase)) is not None:
                line[_label("grad_norm", phase, run)] = signals.grad_norm
                line[_label("update_ratio", phase, run)] = signals.update_ratio
        line["examples_per_second"] = round((progress.step - self._examples) * share / max(now - self._since, 1e-9), 1)
        line["seconds"] = round(run.elapsed(), 3)
        self._write(line)
        self._restart(run)
        run.engine.measure_next()

    def validation_end(self, run: "Session") -> None:
        """One line of validation figures; the time it took is not counted as training."""
        progress = run.progress
        line = {"kind": "validation", "step": progress.step, "epoch": _epochs_done(run), **run.last_metrics}
        self._write({**line, "best": progress.best_step == progress.step, "seconds": round(progress.seconds, 3)})
        self._restart(run)

    def close(self, run: "Session") -> None:
        """Close the trackers."""
        self._trackers.close(run.over)

    def state(self) -> dict[str, Any]:
        """Where the file ends now."""
        with writing(self._path), self._path.open("ab") as file:
            os.fsync(file.fileno())
            return {"bytes": file.tell()}

    def load_state(self, run: "Session", state: dict[str, Any]) -> None:
        """Cut off what was written after the checkpoint."""
        with writing(self._path):
            self._path.touch()
            if self._path.stat().st_size > state["bytes"]:
                os.truncate(self._path, state["bytes"])

    def _write(self, line: dict[str, Any]) -> None:
        append_jsonl(self._path, {key: _json_number(value) for key, value in line.items()})
        self._trackers.take(line)

    def _restart(self, run: "Session") -> None:
        self._since, self._examples = time.monotonic(), run.progress.step


def _epochs_done(run: "Session") -> float:
    return round(run.progress.step / run.train_source.steps_per_epoch, 4)


def _label(name: str, phase: str, run: "Session") -> str:
    return name if len(run.engine.updaters) == 1 else f"{name}_{phase}"


def _json_number(value: Any) -> Any:
    """JSON has no NaN: it is written as null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
