"""`netwright tune`: search for better settings of a config; the winner is a config of its own."""

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.cli.options import AsJson, ConfigFile, Overrides, Trust
from netwright.cli.output import emit, number, quiet_stdout, table
from netwright.core.messages import filled, say

__all__ = ["HELP", "command"]

HELP = "Search for better settings of a config; writes the best one. Exit code 1 when no trial came to a figure."

_log = logging.getLogger("netwright")

_TRIALS = say("Trials in all, the config as it is among them; 20 where no time is set.")
_MINUTES = say("Minutes after which the search ends.")
_STORAGE = say("A store that several machines share, such as postgresql://… or FILE.journal.")
_SPACE = say("What to change: path=low..high, path=low..high:log or path=a,b,c; repeatable.")
_OUT = say("The folder of the search; one with the same search in it is gone on with.")
_AGAIN = say("With how many more seeds the best config and yours are trained in the end.")
_PRUNER = say("How trials that fall behind are ended early: median, asha or none.")
_SHOWN = 10  # trials in the table


def command(
    config: ConfigFile,
    trials: Annotated[int | None, typer.Option("--trials", metavar="N", help=_TRIALS)] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", metavar="M", help=_MINUTES)] = None,
    storage: Annotated[str | None, typer.Option("--storage", metavar="URL", help=_STORAGE)] = None,
    space: Annotated[list[str] | None, typer.Option("--space", metavar="PATH=RANGE", help=_SPACE)] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help=_OUT)] = None,
    again: Annotated[int, typer.Option("--again", metavar="N", help=_AGAIN)] = 2,
    pruner: Annotated[str, typer.Option("--pruner", metavar="NAME", help=_PRUNER)] = "median",
    overrides: Overrides = None,
    trust: Trust = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help=say("No progress and no log, only errors."))] = False,
    as_json: AsJson = False,
) -> int:
    if quiet:
        _log.setLevel(logging.ERROR)
    with quiet_stdout(as_json):
        from netwright.experiment.tuning.tuning import tune
        from netwright.tuning.space import read_options

        told = tune(
            config, trials, minutes, storage, read_options(space or ()), out, overrides=overrides or (),
            pruner=pruner, again=again, trust=trust, quiet=quiet,  # type: ignore[arg-type]
        )  # fmt: skip
    if as_json:
        emit(told.to_dict())
    else:
        _show(told)
    return 0 if told.best is not None else 1


def _show(told: Any) -> None:
    ranked = sorted(told.trials, key=lambda trial: _rank(trial, told.sense))
    shown = [*ranked[:_SHOWN], *(trial for trial in ranked[_SHOWN:] if trial.number == 0)]
    rows = [
        [str(trial.number), say(trial.status), number(trial.value) if trial.value is not None else "–",
         f"{trial.seconds:.1f}", _settings(trial)]
        for trial in shown
    ]  # fmt: skip
    table([say("trial"), say("status"), told.metric, say("seconds"), say("settings")], rows, right=(0, 2, 3))
    if len(shown) < len(ranked):
        print(say("and {count} more", count=len(ranked) - len(shown)))
    print()
    print(told.verdict)
    for note in told.notes:
        print(note)
    for finding in told.best.findings if told.best is not None else ():
        print(f"{finding['code']} {finding['fault']}: {finding['evidence']}")
    if told.importance:
        shares = "  ".join(f"{path} {share:.0%}" for path, share in told.importance.items())
        print(filled(say("matters"), 10), shares)
    if told.config is not None:
        print(filled(say("config"), 10), told.config)
    if (report := told.folder / "report.html").exists():
        print(filled(say("report"), 10), report)
    if told.kept == "best":
        template = "The test set was not opened; netwright train {config} does so once, at its end."
        print(say(template, config=told.config))


def _rank(trial: Any, sense: str) -> tuple[bool, float]:
    """Those that may be the best first, the best one at the top."""
    value = trial.value if trial.value is not None else 0.0
    return not trial.counts, -value if sense == "max" else value


def _settings(trial: Any) -> str:
    from netwright.experiment.tuning.progress import told_settings

    text = told_settings(trial)
    return text if len(text) <= 120 else f"{text[:119]}…"
