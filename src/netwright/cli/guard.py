"""Every way a command can end, as one clear line and an exit code; a traceback only for bugs of ours."""

import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Callable

import typer

from netwright.cli.output import complain
from netwright.core.errors import NetwrightError, ran_out_of_memory
from netwright.core.messages import say

__all__ = ["guarded"]

# typer may bring its own copy of click: the base of its errors is reached through the class that both share.
_ClickError = typer.BadParameter.__mro__[2]
_USER, _RESOURCE, _BUG, _INTERRUPTED = 2, 5, 70, 130
_FULL, _REFUSED = (errno.ENOSPC, errno.EDQUOT), (errno.EACCES, errno.EPERM, errno.EROFS)


def guarded(command: Callable[[], int | None]) -> int:
    """Run a command; the exit code it should leave with."""
    try:
        code = _attempt(command)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has gone, as in `netwright models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _attempt(command: Callable[[], int | None]) -> int:
    try:
        return command() or 0
    except BrokenPipeError:
        raise
    except typer.Exit as stop:
        return stop.exit_code
    except (Exception, KeyboardInterrupt) as error:
        return _told(error)


def _told(error: BaseException) -> int:
    """Say what went wrong; the exit code for it."""
    if isinstance(error, NetwrightError):
        complain(str(error))
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        complain(say("interrupted"))
        return _INTERRUPTED
    if isinstance(error, _ClickError):
        return _usage(error)
    return _resources(error) or _bug(error)


def _usage(error: BaseException) -> int:
    context = getattr(error, "ctx", None)
    said = " ".join(error.format_message().split())  # type: ignore[attr-defined]
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:
        print(context.get_help())
        return 0
    if context is None:
        complain(said)
    else:
        complain(say("{mistake} See: {command} --help", mistake=said, command=context.command_path))
    return _USER


def _resources(error: BaseException) -> int | None:
    """The exit code for what the machine refused, after saying so; None where that was not the reason."""
    if ran_out_of_memory(error):
        complain(say("out of memory; lower train.batch_size, and set train.accumulate to keep its effect"))
    elif isinstance(error, OSError) and error.errno in _FULL:
        complain(say("disk is full ({path}); free some space and try again", path=error.filename or "?"))
    elif isinstance(error, OSError) and error.errno in _REFUSED:
        complain(say("{path}: {reason}; check its permissions", path=error.filename or "?", reason=error.strerror))
    else:
        return None
    return _RESOURCE


def _bug(error: BaseException) -> int:
    traceback.print_exception(error)
    with contextlib.suppress(OSError, ValueError):
        complain(say("this is a bug in Netwright; please report it with the lines above"))
    return _BUG
