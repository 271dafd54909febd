from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import torch
from training_runs import fork_server, write_config

from netwright.cli.main import main


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Runs choose the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def server() -> ForkServerContext:
    return fork_server()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small run, left alone."""
    folder = tmp_path_factory.mktemp("whole")
    assert main(["train", write_config(folder / "config.yaml"), "--out", str(folder / "run"), "-q"]) == 0
    return folder / "run"
