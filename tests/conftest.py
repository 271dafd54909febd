import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """The command line takes the log over; the next test wants it as it was."""
    log = logging.getLogger("netwright")
    handlers, level, propagate = list(log.handlers), log.level, log.propagate
    log.propagate, log.disabled = True, False
    yield
    log.handlers, log.level, log.propagate = handlers, level, propagate
