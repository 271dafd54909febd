"""The way in: language, log, the command line, and the exit code."""

import logging
import os
import sys
from collections.abc import Sequence

import typer

from netwright.cli.guard import guarded
from netwright.core import messages
from netwright.core.errors import ConfigError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives its exit code.

    0 fine · 1 findings stand or a figure was missed · 2 the user's error · 3 bad data · 4 bad checkpoint · 5 out of a
    resource · 6 diverged · 70 a bug of ours · 75 preempted · 130 interrupted.
    """
    # Threads that wait for each other sleep instead of spinning: as quick on an idle machine, many times quicker on a
    # busy one. libgomp reads this when torch is imported, which is later.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows "?", and no traceback
    given = list(sys.argv[1:] if arguments is None else arguments)
    return guarded(lambda: _run(given), as_json="--json" in given)


def _open_streams() -> None:
    """A command whose standard output or error was closed (`>&-`) says into nothing."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - open as long as the process


def _run(arguments: list[str]) -> int | None:
    _choose_language(arguments)
    _log_to_stderr()
    from netwright.cli.verbs import app

    command = typer.main.get_command(app())
    with command.make_context("netwright", arguments) as context:
        code = command.invoke(context)
    return code if isinstance(code, int) else None


def _choose_language(arguments: list[str]) -> None:
    """Before the commands are imported: the texts of their help are chosen by then. `--lang` may stand anywhere."""
    for place, word in enumerate(arguments):
        if word == "--":
            return
        if word == "--lang" or word.startswith("--lang="):
            name = word.partition("=")[2] or "".join(arguments[place + 1 : place + 2])
            if name not in ("en", "zh"):
                raise ConfigError("--lang {name!r} is not known; use en or zh", name=name)
            messages.set_language(name)
            os.environ["NETWRIGHT_LANG"] = name  # worker processes speak it too
            del arguments[place : place + (1 if "=" in word else 2)]
            return


def _log_to_stderr() -> None:
    log = logging.getLogger("netwright")
    for handler in list(log.handlers):
        log.removeHandler(handler)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
