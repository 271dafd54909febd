import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In memory where there is such a folder: a search writes through to the disk at every turn."""
    place = Path("/dev/shm")
    if not os.access(place, os.W_OK):
        yield tmp_path_factory.mktemp("tuning")
        return
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


@pytest.fixture
def tmp_path(memory: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=memory))


@pytest.fixture(scope="session")
def server() -> ForkServerContext:
    """Its processes start with everything imported."""
    context = multiprocessing.get_context("forkserver")
    used = ["netwright.experiment.tuning.tuning", "netwright.tasks.classification", "netwright.models.vision.mlp"]
    slow = ["torch._dynamo", "netwright.metrics.factories", "netwright.reports", "netwright.cli.main", "optuna"]
    context.set_forkserver_preload([*slow, *used, "sqlalchemy.dialects.sqlite", "sklearn.datasets"])
    return context
