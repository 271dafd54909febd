"""The command `netwright`, and `python -m netwright`: what is imported takes a moment, and Ctrl-C may come in it."""

import os
import signal
import sys
from types import FrameType

__all__ = ["main"]

_INTERRUPTED = 130


def main() -> int:
    """Run the command line; gives its exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored, as in the background
        signal.signal(signal.SIGINT, _interrupt)
    try:
        from netwright.cli.main import main as run

        return run()
    except KeyboardInterrupt:  # before the command line takes care of it
        _say()
        return _INTERRUPTED


def _interrupt(number: int, frame: FrameType | None) -> None:
    """As Python's own; but an exception amid an import may be lost there, or end the process within C++."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            _say()
            os._exit(_INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


def _say() -> None:
    try:
        from netwright.core.messages import say

        line = f"{say('error')}: {say('interrupted')}\n"
    except Exception:  # it is what was being imported
        line = "error: interrupted\n"
    os.write(2, line.encode())


if __name__ == "__main__":
    sys.exit(main())
