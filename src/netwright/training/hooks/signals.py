"""SIGTERM, a lost terminal and Ctrl-C: finish the step, save, and leave with the exit code that says what happened.

After the last step everything is saved already, and the run leaves at once. So it does on a second Ctrl-C; the last
checkpoint is whole all the same.
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
def graceful_exit(run: Session, resume: str) -> Iterator[None]:
    """While inside, signals ask `run` to save and leave; the former handlers come back afterwards.

    Args:
        resume: the command that goes on with the run.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield
        return

    def preempted() -> Preempted:
        template = "preempted at step {step}; saved; go on with: {resume}"
        return Preempted(template, step=run.progress.step, resume=resume)

    def interrupted() -> Interrupted:
        template = "interrupted at step {step}; saved; go on with: {resume}"
        return Interrupted(template, step=run.progress.step, resume=resume)

    def ask(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and run.leave is not None:
            raise KeyboardInterrupt
        run.leave = interrupted if number == signal.SIGINT else preempted
        if run.over:
            raise run.leave()

    wanted = [signal.SIGTERM, signal.SIGINT]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup ignores it on purpose
        wanted.append(signal.SIGHUP)
    former = {number: signal.signal(number, ask) for number in wanted}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
