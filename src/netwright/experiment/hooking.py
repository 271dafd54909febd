"""Which hooks listen to a run: its log, early stopping, the doctor, progress."""

from pathlib import Path

from netwright.experiment.config import Config
from netwright.tasks import Task
from netwright.training.hooks.base import Hook
from netwright.training.hooks.doctor import Advisor
from netwright.training.hooks.early_stop import EarlyStop
from netwright.training.hooks.progress import ProgressBar
from netwright.training.hooks.recorder import Recorder
from netwright.training.hooks.trackers import Trackers, make_tracker

__all__ = ["make_hooks"]

_LINES_PER_EPOCH, _LINES_PER_RUN = 20, 20  # of training figures in metrics.jsonl, where steps are many
_LEAST_STRIDE = 25  # steps between two lines: a line takes two looks at all weights, which small steps would feel


def make_hooks(
    config: Config, folder: Path, task: Task, kind: str, steps_per_epoch: int, total_steps: int, quiet: bool
) -> list[Hook]:
    """The hooks of a run in `folder`.

    Args:
        kind: of the data's schema.
    """
    least = max(1, min(_LEAST_STRIDE, total_steps // _LINES_PER_RUN))
    stride = max(least, steps_per_epoch // _LINES_PER_EPOCH)
    trackers = Trackers(*(make_tracker(name, folder, config.to_dict()) for name in config.train.track))
    hooks: list[Hook] = [Recorder(folder / "metrics.jsonl", stride, trackers)]
    if (doctor := config.sections.doctor) != "off" and len(task.phases) == 1:  # of a game of two, no loss tells much
        hooks.append(Advisor(trends=kind != "environment", may_stop=doctor == "repair"))
    if config.train.early_stopping is not None:
        hooks.append(EarlyStop(config.train.early_stopping.patience, config.train.early_stopping.min_delta))
    if not quiet:
        hooks.append(ProgressBar(max(1, stride // 2)))
    return hooks
