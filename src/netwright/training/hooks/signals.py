"""SIGTERM and Ctrl-C: finish the step, save, and leave with the exit code that says what happened.

A second Ctrl-C leaves at once; the last checkpoint is whole all the same.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from netwright.core.errors import Interrupted, Preempted
from netwright.training.session import Session

__all__ = ["graceful_exit"]


@contextmanager
def graceful_exit(run: Session) -> Iterator[None]:
    """While inside, signals ask `run` to save and leave; the former handlers come back afterwards."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield
        return

    resume = f"netwright train --resume {run.folder}"

    def terminate(number: int, frame: FrameType | None) -> None:
        run.leave = Preempted("preempted at step {step}; saved; go on with: {resume}", step=run.progress.step, resume=resume)

    def interrupt(number: int, frame: FrameType | None) -> None:
        if run.leave is not None:
            raise KeyboardInterrupt
        template = "interrupted at step {step}; saved; go on with: {resume}"
        run.leave = Interrupted(template, step=run.progress.step, resume=resume)

    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
