"""Every way a command can end, as one clear line and an exit code; a traceback only for bugs of ours.

With `--json` a mistake is a document on standard output as well, so that there is always one to read.
"""

import errno
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict

import typer

from netwright.cli.output import complain, emit
from netwright.core.errors import ConfigError, NetwrightError, ran_out_of_memory
from netwright.core.messages import say

__all__ = ["guarded"]

# typer may bring its own copy of click: the base of its errors is reached through the class that both share.
_ClickError = typer.BadParameter.__mro__[2]
_USER, _RESOURCE, _BUG, _INTERRUPTED = 2, 5, 70, 130
_FULL, _REFUSED = (errno.ENOSPC, errno.EDQUOT), (errno.EACCES, errno.EPERM, errno.EROFS)


def guarded(command: Callable[[], int | None], as_json: bool = False) -> int:
    """Run a command; the exit code it should leave with."""
    try:
        code = _attempt(command, as_json)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has gone, as in `netwright models | head`
        _forget_stdout()
        return 0
    except OSError as error:
        _forget_stdout()
        complain(say("standard output cannot be written ({reason})", reason=error.strerror))
        return _RESOURCE
    return code


def _attempt(command: Callable[[], int | None], as_json: bool) -> int:
    try:
        return command() or 0
    except BrokenPipeError:
        raise
    except typer.Exit as stop:
        return stop.exit_code
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:  # of standard output
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.ctx.get_help())  # type: ignore[attr-defined, union-attr]
            return 0
        code, told = _told(error)
        complain(told)
        if as_json:
            emit({"error": told, "exit_code": code, "problems": _problems(error)})
        return code


def _forget_stdout() -> None:
    """What is still to be written goes nowhere; else Python would try again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _told(error: BaseException) -> tuple[int, str]:
    """The exit code for what went wrong, and what to say."""
    if isinstance(error, NetwrightError):
        return error.exit_code, str(error)
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return _INTERRUPTED, say("interrupted")
    if isinstance(error, _ClickError):
        return _USER, _usage(error)
    if refused := _refused(error):
        return _RESOURCE, refused
    traceback.print_exception(error)
    return _BUG, say("this is a bug in Netwright; please report it with the lines above")


def _refused(error: BaseException) -> str:
    """What the machine refused; nothing where that was not the reason."""
    if ran_out_of_memory(error):
        return say("out of memory; lower train.batch_size, and set train.accumulate to keep its effect")
    if isinstance(error, OSError) and error.errno in _FULL:
        return say("disk is full ({path}); free some space and try again", path=error.filename or "?")
    if isinstance(error, OSError) and error.errno in _REFUSED:
        return say("{path}: {reason}; check its permissions", path=error.filename or "?", reason=error.strerror)
    return ""


def _usage(error: BaseException) -> str:
    from netwright.cli.usage import mistake

    context = getattr(error, "ctx", None)
    if context is None:
        return mistake(error)
    said = mistake(error)
    template = "{mistake} See: {command} --help" if said.endswith(("?", "？")) else "{mistake}. See: {command} --help"
    return say(template, mistake=said, command=context.command_path)


def _problems(error: BaseException) -> list[dict[str, object]]:
    """The mistakes of a config one by one."""
    return [asdict(problem) for problem in error.problems] if isinstance(error, ConfigError) else []
