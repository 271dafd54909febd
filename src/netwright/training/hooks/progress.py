"""The progress bar: a live line with loss, metric, examples/s and time left; without a terminal a line a validation."""

import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from netwright.core.messages import say
from netwright.tasks.base import StepOutput
from netwright.training.hooks.base import Hook

if TYPE_CHECKING:
    from netwright.training.session import Session

__all__ = ["ProgressBar"]

_REFRESH_SECONDS = 0.2


class ProgressBar(Hook):
    """Shows the run on standard error. `stride` is chosen so that the bar costs nothing."""

    name = "progress"

    def __init__(self, stride: int) -> None:
        self.stride = stride
        self._console = Console(file=sys.stderr)
        self._bar: Progress | None = None
        self._shown = self._began = 0.0
        self._first_step = 0

    def start(self, run: "Session") -> None:
        """Draw the bar where there is a terminal."""
        self._began, self._first_step = time.monotonic(), run.progress.step
        if sys.stderr.isatty():  # rich also draws where it only looks like a terminal, as under FORCE_COLOR
            columns = (
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                TextColumn("{task.fields[figures]}"), TimeElapsedColumn(), TimeRemainingColumn(),
            )  # fmt: skip
            self._bar = Progress(*columns, console=self._console, refresh_per_second=5)
            done, total = run.progress.step, run.total_steps
            self._task = self._bar.add_task(say("training"), total=total, completed=done, figures="")
            self._bar.start()

    def step_end(self, run: "Session", out: StepOutput) -> None:
        """Refresh, at most a few times a second."""
        now = time.monotonic()
        if self._bar is None or now - self._shown < _REFRESH_SECONDS:
            return
        self._shown = now
        metric = run.monitor[0]
        value = f" · {metric} {run.last_metrics[metric]:.4f}" if metric in run.last_metrics else ""
        figures = f"loss {out.loss.item():.4f}{value} · {self._speed(run):,.0f}/s"
        self._bar.update(self._task, completed=run.progress.step, figures=figures)

    def validation_end(self, run: "Session") -> None:
        """One lasting line a validation."""
        progress = run.progress
        figures = "  ".join(f"{name} {value:.4f}" for name, value in run.last_metrics.items())
        star = " *" if progress.best_step == progress.step else ""
        template = "epoch {epoch:>3}  step {step:>6}  {figures}"
        line = say(template, epoch=progress.epoch + 1, step=progress.step, figures=figures)
        self._console.print(f"{line}  {self._speed(run):,.0f}/s{star}", highlight=False, soft_wrap=True)
        self._began, self._first_step = time.monotonic(), progress.step

    def end(self, run: "Session") -> None:
        """Take the bar away and say why the run ended, where it was not the plan's end."""
        self.close(run)
        if run.stop_reason:
            self._console.print(say("stopped early: {reason}", reason=run.stop_reason), highlight=False)

    def close(self, run: "Session") -> None:
        """Give the terminal back."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _speed(self, run: "Session") -> float:
        """Examples a second since the last validation, or the start; what the next one takes counts."""
        done = run.progress.step - self._first_step
        share = run.train_source.examples / max(run.train_source.steps_per_epoch, 1)
        return done * share / max(time.monotonic() - self._began, 1e-9)
