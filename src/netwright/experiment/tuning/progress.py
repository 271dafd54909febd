"""What is seen of a search while it goes on: a bar on a terminal, and a line a trial."""

import logging
import math
import sys
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from netwright.core.messages import say
from netwright.tuning.results import Sense, Trial, best_of

__all__ = ["Progress", "told_settings"]

_log = logging.getLogger("netwright")
_LONGEST = 160  # characters of a reason with its settings


class Progress:
    """Shows a search on standard error.

    Args:
        total: trials there are to be; infinite where only time ends the search.
    """

    def __init__(self, quiet: bool, total: float) -> None:
        self._quiet, self._total = quiet, total if math.isfinite(total) else None
        self._console = Console(file=sys.stderr)
        self._bar: Bar | None = None
        self._metric = ""

    def __enter__(self) -> "Progress":
        if sys.stderr.isatty() and not self._quiet:
            columns = (
                SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                TextColumn("{task.fields[best]}"), TimeElapsedColumn(),
            )  # fmt: skip
            self._bar = Bar(*columns, console=self._console, refresh_per_second=5)
            self._task = self._bar.add_task(say("tuning"), total=self._total, best="")
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def known(self, trials: Sequence[Trial], metric: str, sense: Sense) -> None:
        """What is there when the search begins, or goes on."""
        self._metric = metric
        if trials:
            self._say(say("{count} trials are there already; the search goes on", count=len(trials)))
        self._draw(len(trials), best_of(trials, sense))

    def begun(self, number: int) -> None:
        """A trial begins."""
        if self._bar is not None:
            self._bar.update(self._task, description=say("trial {number}", number=number))

    def done(self, trial: Trial, best: Trial | None) -> None:
        """A trial has ended."""
        star = " *" if best is not None and best.number == trial.number else ""
        self._say(f"{say('trial {number}', number=trial.number)}  {self._figure(trial)}  {told_settings(trial)}{star}")
        self._draw(trial.number + 1, best)

    def again(self, trial: Trial, name: str) -> None:
        """A run that is done once more has ended."""
        self._say(f"{say('again')}: {name}  {self._figure(trial)}")

    def _figure(self, trial: Trial) -> str:
        figure = f"{self._metric} {trial.value:.4f}" if trial.value is not None else say(trial.status)
        early = f" ({say(trial.status)})" if trial.status in ("pruned", "cut") else ""
        return f"{figure}{early}  {trial.seconds:.1f} s"

    def _draw(self, done: int, best: Trial | None) -> None:
        if self._bar is not None:
            told = f"{self._metric} {best.value:.4f}" if best is not None else ""
            self._bar.update(self._task, completed=done, best=told)

    def _say(self, line: str) -> None:
        if self._quiet:
            return
        if self._bar is not None:
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)
        else:
            _log.info(line)


def told_settings(trial: Trial) -> str:
    """What a trial changed, and why it failed, in one line."""
    if trial.number == 0:
        return trial.reason[:_LONGEST] or say("the config as it is")
    short = {path: path.removesuffix(".name").rpartition(".")[2] for path in trial.settings}
    told = " ".join(f"{short[path]}={value}" for path, value in trial.settings.items())
    return f"{told}: {trial.reason}"[:_LONGEST] if trial.reason else told
