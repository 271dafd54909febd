import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """The command line takes the log over, in fixtures of whole modules too; each test wants it as it was at first."""
    log = logging.getLogger("netwright")
    handlers, level, propagate = list(log.handlers), log.level, log.propagate
    log.handlers, log.propagate, log.disabled = [], True, False
    log.setLevel(logging.NOTSET)
    yield
    log.handlers, log.propagate = handlers, propagate
    log.setLevel(level)
