"""A run that is killed with SIGKILL at random instants ends with the same bits as one that was left alone.

Each attempt is a process of its own (a fork server keeps torch imported, so that most kills hit work, not imports); the
kill falls anywhere: in a step, in a save, in validation, while the model is written.
"""

import hashlib
import multiprocessing
import os
import random
import signal
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

CONFIG: dict[str, Any] = {
    "data": "fashion-mnist-small",
    "model": {"name": "mlp", "hidden": [32], "dropout": 0.2, "norm": "batch"},
    "optimizer": {"name": "adamw", "lr": 1e-3, "schedule": "cosine", "warmup": 0.1, "clip": 1.0, "average": "ema"},
    "augment": [{"crop": {"padding": 2}}, {"mixup": {"alpha": 0.2}}],
    "train": {"epochs": 3, "batch_size": 64, "checkpoint_every": 5, "validate_every": 40, "threads": 1, "accumulate": 2},
}


def attempt(folder: str, resume: bool) -> None:
    from netwright.experiment.run import train

    train(None if resume else CONFIG, out=folder, resume=folder if resume else None, quiet=True)


@pytest.fixture(scope="module")
def server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["netwright.experiment.run", "torchmetrics", "netwright.reports"])
    return context


def finish(server: ForkServerContext, folder: Path, resume: bool, kill_after: float | None = None) -> int | None:
    process = server.Process(target=attempt, args=(str(folder), resume))
    process.start()
    if kill_after is not None:
        time.sleep(kill_after)
        if process.is_alive():
            os.kill(process.pid or 0, signal.SIGKILL)
    process.join(120)
    return process.exitcode


def traces(folder: Path) -> tuple[str, list[str]]:
    """The weights' hash and the log without its clocks."""
    from netwright.core.records import read_jsonl

    weights = hashlib.sha256((folder / "model" / "model.safetensors").read_bytes()).hexdigest()
    clocks = ("seconds", "examples_per_second")
    lines = [{k: v for k, v in line.items() if k not in clocks} for line in read_jsonl(folder / "metrics.jsonl")]
    return weights, [str(line) for line in lines]


def test_twenty_five_kills_change_nothing(tmp_path: Path, server: ForkServerContext) -> None:
    began = time.monotonic()
    assert finish(server, tmp_path / "whole", resume=False) == 0
    length = time.monotonic() - began
    chance = random.Random(0)
    killed, tries, folder = 0, 0, tmp_path / "killed"
    while killed < 25:
        tries += 1
        assert tries < 60, "runs end before they can be killed"
        if (folder / "summary.json").exists() and '"finished"' in (folder / "summary.json").read_text():
            assert traces(folder) == traces(tmp_path / "whole")
            folder = tmp_path / f"killed-{tries}"
        resume = (folder / "config.yaml").exists()
        killed += finish(server, folder, resume, chance.uniform(0.05, 0.6 * length)) == -signal.SIGKILL
    while finish(server, folder, resume=(folder / "config.yaml").exists()) != 0:
        pytest.fail("the last resume did not end")
    assert traces(folder) == traces(tmp_path / "whole")


def test_sigterm_saves_and_leaves_with_75(tmp_path: Path, server: ForkServerContext) -> None:
    process = server.Process(target=leave, args=(str(tmp_path / "run"),))
    process.start()
    while not (tmp_path / "run" / "checkpoints" / "last").exists():
        time.sleep(0.02)
    os.kill(process.pid or 0, signal.SIGTERM)
    process.join(60)
    assert process.exitcode == 75


def leave(folder: str) -> None:
    from netwright.core.errors import NetwrightError

    try:
        attempt(folder, resume=False)
    except NetwrightError as error:
        assert "--resume" in str(error)
        os._exit(error.exit_code)
