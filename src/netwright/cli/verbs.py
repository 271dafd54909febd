"""All verbs, as one command line. Imported when the language of the help texts is chosen."""

from typing import Annotated, Literal

import typer

import netwright
from netwright.cli import (
    check,
    data,
    doctor,
    evaluate,
    explain,
    export,
    generate,
    models,
    predict,
    report,
    serve,
    train,
    tune,
)
from netwright.cli.usage import Verb, Verbs
from netwright.core.messages import say

__all__ = ["app"]

_LANG = say("Language of messages; otherwise NETWRIGHT_LANG, or the locale.")
_VERSION = say("Print the version and stop.")


def app() -> typer.Typer:
    """The command line; offers what works and nothing else."""
    verbs = typer.Typer(
        cls=Verbs,
        help=say("Design, check, train, diagnose, tune and ship deep networks."),
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    verbs.callback()(_everywhere)
    for module in (models, explain, check, train, tune, doctor, evaluate, predict, generate, export, serve, report):
        verbs.command(name=module.__name__.rpartition(".")[2], cls=Verb, help=say(module.HELP))(module.command)
    verbs.add_typer(data.app(), name="data")
    return verbs


def _version(wanted: bool) -> None:
    if wanted:
        print(f"netwright {netwright.__version__}")
        raise typer.Exit


def _everywhere(
    version: Annotated[bool, typer.Option("--version", help=_VERSION, is_eager=True, callback=_version)] = False,
    lang: Annotated[Literal["en", "zh"] | None, typer.Option("--lang", help=_LANG)] = None,
) -> None:
    """What may stand before any verb; `main` has taken `--lang` out of the arguments by now."""
