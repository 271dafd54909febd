"""How a run ends before its end: the truth goes into the run folder, one clear error to the user."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netwright.core.errors import DivergedError, Interrupted, MissingExtra, Preempted, ResourceError, ran_out_of_memory
from netwright.core.messages import say
from netwright.core.records import writing
from netwright.doctor.findings import Finding, ranked
from netwright.experiment.assemble import Assembly
from netwright.experiment.doctor.recorded import non_finite
from netwright.experiment.record import write_findings, write_summary
from netwright.training.hooks.doctor import live_findings, suspected

__all__ = ["merged", "recorded_ending", "report", "resources"]

log = logging.getLogger("netwright")
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@contextmanager
def resources(folder: Path) -> Iterator[None]:
    """Say out of memory, and a disk that is full or read-only, in one line, whoever met it.

    Raises:
        ResourceError: in place of torch's, NumPy's or Python's error.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        with writing(Path(error.filename or folder)):
            raise
    except (MemoryError, RuntimeError) as error:
        if not ran_out_of_memory(error):
            raise
        raise ResourceError(
            "out of memory; lower train.batch_size (and set train.accumulate to keep its effect); "
            "{folder} can be resumed",
            folder=folder,
        ) from error


@contextmanager
def recorded_ending(made: Assembly, findings: list[Finding]) -> Iterator[None]:
    """While inside, whatever stops the run is written into summary, findings and report; then it goes on its way."""
    try:
        with resources(made.session.folder):
            yield
    except (KeyboardInterrupt, Exception) as error:
        try:
            _look_once_more(made, findings, error)
            _record(made, findings, error)
        except Exception as second:  # a full disk may have no room for last words; the first error is the one to tell
            template = "{folder} does not tell how the run ended: {error}"
            log.warning(say(template, folder=made.session.folder, error=second))
        raise


def report(folder: Path) -> None:
    """Write `report.html`, where the libraries for it are installed."""
    from netwright.reports import write_report

    try:
        write_report(folder)
    except MissingExtra as error:
        log.warning(say("no report.html: {error}", error=error))


def merged(static: list[Finding], live: list[Finding]) -> list[Finding]:
    """Both, the worst first; a fault that was found before the first step is not told twice."""
    known = {finding.fault for finding in static}
    return ranked([*static, *(finding for finding in live if finding.fault not in known)])


def _look_once_more(made: Assembly, findings: list[Finding], error: BaseException) -> None:
    """What the doctor suspected goes into the findings, and into the error of a run that diverged."""
    if isinstance(error, KeyboardInterrupt):
        return
    live = live_findings(made.session, diverged=isinstance(error, DivergedError))
    if isinstance(error, DivergedError):
        findings.append(non_finite(str(error), proven=False))
        if words := suspected(live):
            error.args = (f"{error}; {words}",)
    findings[:] = merged(findings, live)


def _record(made: Assembly, findings: list[Finding], error: BaseException) -> None:
    folder = made.session.folder
    if isinstance(error, KeyboardInterrupt):  # a second Ctrl-C: nobody wants to wait for a report
        write_summary(made, "interrupted", {}, say("interrupted"))
        return
    kinds = {DivergedError: "diverged", Interrupted: "interrupted", Preempted: "preempted"}
    status = next((status for kind, status in kinds.items() if isinstance(error, kind)), "failed")
    write_summary(made, status, {}, str(error) or type(error).__name__)
    write_findings(folder, findings)
    report(folder)
