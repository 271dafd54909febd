"""`netwright train`: a run, from a config to a report."""

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.cli.options import AsJson, Overrides, Trust
from netwright.cli.output import complain, emit, figures, number, quiet_stdout
from netwright.core.errors import ConfigError
from netwright.core.messages import filled, say

__all__ = ["HELP", "command"]

HELP = "Train what a config describes. Prints where the run and its report are. Exit code 1 below an expect: figure."

_log = logging.getLogger("netwright")

_CONFIG = say("A YAML file, or the name of a gallery example.")
_OUT = say("The run folder; by default a new one below runs/.")
_RESUME = say("Go on with the run in this folder.")


def command(
    config: Annotated[str | None, typer.Argument(metavar="CONFIG", help=_CONFIG, show_default=False)] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help=_OUT)] = None,
    resume: Annotated[Path | None, typer.Option("--resume", metavar="DIR", help=_RESUME)] = None,
    overrides: Overrides = None,
    trust: Trust = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help=say("No progress and no log, only errors."))] = False,
    as_json: AsJson = False,
) -> int:
    _agree(config, out, resume)
    if quiet:
        _log.setLevel(logging.ERROR)
    with quiet_stdout(as_json):
        from netwright.experiment.run import train

        run = train(config, out, resume, overrides or (), trust, quiet)
    if as_json:
        emit(run.to_dict())
    else:
        _show(run)
    for name, item in run.expectations.items():
        if not item["ok"]:
            template = "expected {name} {wanted}, got {got}"
            complain(say(template, name=name, wanted=item["wanted"], got=number(item["got"])), "missed")
    return 0 if run.expectations_met else 1


def _agree(config: str | None, out: Path | None, resume: Path | None) -> None:
    if config is None and resume is None:
        raise ConfigError("there is nothing to train; give a config, or --resume and a run folder")
    if resume is not None and out is not None and out.resolve() != resume.resolve():
        raise ConfigError("--resume {resume} goes on in that folder; leave --out {out} away", resume=resume, out=out)
    if resume is not None and config is not None:
        template = "{folder} goes on with the config it was started with; {config} is not read"
        _log.info(say(template, folder=resume, config=config))


def _show(run: Any) -> None:
    for part in ("train", "validation", "test"):
        if metrics := run.metrics.get(part):
            print(filled(say(part), 10), figures(metrics))
    print(filled(say("run"), 10), run.folder)
    if (report := run.folder / "report.html").exists():
        print(filled(say("report"), 10), report)
