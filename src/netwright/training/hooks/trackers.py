"""TensorBoard and MLflow: each takes the lines of `metrics.jsonl` as they are written.

A tracker that cannot be opened stops a run before its first step, as the config asked for what is not there. Later its
troubles are its own: they are said, and the run goes on without it.
"""

import importlib.util
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, final

from netwright.core.errors import ConfigError, need
from netwright.core.messages import say
from netwright.core.records import read_json, write_json

__all__ = ["Tracker", "TrackerName", "Trackers", "make_tracker"]

TrackerName = Literal["tensorboard", "mlflow"]
log = logging.getLogger("netwright")


class Tracker(ABC):
    """A log of somebody else's. Anything may be raised; `Trackers` takes care of it."""

    name: TrackerName

    @abstractmethod
    def start(self, step: int) -> None:
        """Open it for lines that come after `step`; what it holds of later steps is to be done again."""

    @abstractmethod
    def take(self, line: dict[str, Any]) -> None:
        """One line of figures."""

    @abstractmethod
    def close(self, finished: bool) -> None:
        """The run is over, or has left before its end; also called where `start` was not."""


def make_tracker(name: TrackerName, folder: Path, config: dict[str, Any]) -> Tracker:
    """The tracker of that name for the run in `folder`; nothing is opened yet.

    Raises:
        MissingExtra: its library is not installed.
    """
    need(name, "tracking")
    return _TensorBoard(folder) if name == "tensorboard" else _MLflow(folder, config)


@final
class Trackers:
    """All trackers of a run; one that fails is dropped."""

    def __init__(self, *trackers: Tracker) -> None:
        self._at_work = list(trackers)

    def start(self, step: int) -> None:
        """Open them.

        Raises:
            ConfigError: one cannot be opened, and nothing has been learnt yet.
        """
        for tracker in list(self._at_work):
            try:
                tracker.start(step)
            except Exception as error:
                if step == 0:
                    template = "train.track: {name} cannot be opened ({reason}); mend that or leave it out"
                    raise ConfigError(template, path="train.track", name=tracker.name, reason=error) from error
                self._drop(tracker, error)

    def take(self, line: dict[str, Any]) -> None:
        """Pass a line on."""
        for tracker in list(self._at_work):
            try:
                tracker.take(line)
            except Exception as error:
                self._drop(tracker, error)

    def close(self, finished: bool) -> None:
        """Close them."""
        while self._at_work:
            tracker = self._at_work.pop()
            try:
                tracker.close(finished)
            except Exception as error:
                self._drop(tracker, error)

    def _drop(self, tracker: Tracker, error: Exception) -> None:
        log.warning(say("{name} takes no more figures ({reason}); the run goes on", name=tracker.name, reason=error))
        if tracker in self._at_work:
            self._at_work.remove(tracker)


@final
class _TensorBoard(Tracker):
    name = "tensorboard"

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "tensorboard"
        self._writer: Any = None

    def start(self, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self._folder), purge_step=step + 1)

    def take(self, line: dict[str, Any]) -> None:
        for name, value in _figures(line):
            self._writer.add_scalar(f"{line['kind']}/{name}", value, line["step"])
        self._writer.flush()

    def close(self, finished: bool) -> None:
        if self._writer is not None:
            self._writer.close()


@final
class _MLflow(Tracker):
    """One MLflow run for a run, over all its resumes; a run that is active already is used, and left open."""

    name = "mlflow"

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self._folder, self._config = folder, config
        self._mlflow: Any = None
        self._owned = False

    def start(self, step: int) -> None:
        self._mlflow = need("mlflow", "tracking")
        if self._mlflow.active_run() is not None:
            return
        if not self._mlflow.is_tracking_uri_set() and importlib.util.find_spec("sqlalchemy") is None:
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # mlflow-skinny has no database of its own
            self._mlflow.set_tracking_uri((self._folder.parent / "mlruns").resolve().as_uri())
        known = self._folder / "mlflow.json"
        if known.exists():
            self._mlflow.start_run(run_id=read_json(known)["run_id"])
        else:
            run = self._mlflow.start_run(run_name=self._folder.resolve().name)
            write_json(known, {"run_id": run.info.run_id, "tracking_uri": self._mlflow.get_tracking_uri()})
            self._mlflow.log_params(dict(_flat(self._config)))
        self._owned = True

    def take(self, line: dict[str, Any]) -> None:
        figures = {f"{line['kind']}_{name}": value for name, value in _figures(line)}
        self._mlflow.log_metrics(figures, step=line["step"])

    def close(self, finished: bool) -> None:
        if self._owned:
            self._mlflow.end_run("FINISHED" if finished else "KILLED")


def _figures(line: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in line.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and name != "step":
            yield name, float(value)


def _flat(config: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """The settings one by one under their dotted names."""
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", str(value)[:500]
