"""A run that is killed with SIGKILL at random instants ends with the same bits as one that was left alone.

Each attempt is a process of its own (a fork server keeps torch imported, so that most kills hit work, not imports); the
kill falls anywhere: in a step, in a save, in validation, while the model is written.
"""

import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
from training_runs import start, traces

from netwright.core.errors import NetwrightError
from netwright.core.records import read_json

# 84 steps, 42 saves, 7 validations
CONFIG: dict[str, Any] = {
    "data": "fashion-mnist-small",
    "model": {"name": "mlp", "hidden": [16], "dropout": 0.2, "norm": "batch"},
    "optimizer": {"name": "adamw", "lr": 1e-3, "schedule": "cosine", "warmup": 0.1, "clip": 1.0, "average": "ema"},
    "augment": [{"crop": {"padding": 2}}, {"mixup": {"alpha": 0.2}}],
    "train": {
        "epochs": 2, "batch_size": 128, "checkpoint_every": 2, "validate_every": 12, "threads": 1, "accumulate": 2,
    },
}  # fmt: skip
# 96 steps in 12 bursts; the memory is part of each save
ACTING: dict[str, Any] = {
    "data": {"environment": "CartPole-v1", "learning_starts": 200, "collect": 64, "updates": 8, "steps_per_epoch": 32},
    "model": {"name": "dqn", "hidden": [16]},
    "train": {"epochs": 3, "batch_size": 32, "checkpoint_every": 5, "threads": 1},
}
# 96 steps in 12 rollouts, most saves amid one
PLAYING: dict[str, Any] = {
    "data": {"environment": "Pendulum-v1", "environments": 2, "rollout_steps": 32, "rollouts_per_epoch": 4},
    "task": {"name": "actor-critic", "passes": 4},
    "model": {"name": "actor_critic", "hidden": [16]},
    "train": {"epochs": 3, "batch_size": 32, "checkpoint_every": 5, "threads": 1},
}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a folder: a SIGKILL loses no written page, so waiting for a disk proves nothing."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def attempt(config: dict[str, Any], folder: str, resume: bool) -> None:
    from netwright.experiment.run import train

    train(None if resume else config, out=folder, resume=folder if resume else None, quiet=True)


def idle() -> None:
    """Gets the server going."""


def finish(
    server: ForkServerContext, config: dict[str, Any], folder: Path, kill_after: float | None = None
) -> int | None:
    """Start or go on; the exit code."""
    process = start(server, attempt, config, str(folder), (folder / "config.yaml").exists())
    if kill_after is not None:
        time.sleep(kill_after)
        if process.is_alive():
            os.kill(process.pid or 0, signal.SIGKILL)
    process.join(120)
    return process.exitcode


def is_finished(folder: Path) -> bool:
    return (folder / "summary.json").exists() and read_json(folder / "summary.json")["status"] == "finished"


def kill(server: ForkServerContext, config: dict[str, Any], place: Path, times: int) -> None:
    """Run after run, each killed and resumed until it ends, and compared then; `times` kills in all."""
    start(server, idle).join()
    assert finish(server, config, place / "first") == 0
    began = time.monotonic()
    assert finish(server, config, place / "whole") == 0
    length = time.monotonic() - began
    wanted = traces(place / "whole")
    assert traces(place / "first") == wanted
    chance = random.Random(0)
    killed, tries, folder = 0, 0, place / "killed"
    while killed < times:
        tries += 1
        assert tries < 8 * times, "runs end before they can be killed"
        if is_finished(folder):
            assert traces(folder) == wanted
            folder = place / f"killed-{tries}"
        hit = finish(server, config, folder, chance.uniform(0.05, 0.7) * length) == -signal.SIGKILL
        killed += hit
        length *= 1 if hit else 0.8  # the machine has become quicker than when the length was taken
    assert finish(server, config, folder) == 0
    assert traces(folder) == wanted


def test_twenty_five_kills_change_nothing(place: Path, server: ForkServerContext) -> None:
    kill(server, CONFIG, place, 25)


@pytest.mark.slow
def test_kills_of_a_run_that_acts_change_nothing(place: Path, server: ForkServerContext) -> None:
    kill(server, ACTING, place, 10)


@pytest.mark.slow
def test_kills_of_a_run_that_learns_from_its_own_policy_change_nothing(place: Path, server: ForkServerContext) -> None:
    kill(server, PLAYING, place, 10)


def test_sigterm_saves_and_leaves_with_75(place: Path, server: ForkServerContext) -> None:
    process = start(server, leave, str(place / "run"))
    while not (place / "run" / "checkpoints" / "last").exists():
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGTERM)
    process.join(60)
    assert process.exitcode == 75


def leave(folder: str) -> None:
    longer = {**CONFIG, "train": {**CONFIG["train"], "epochs": 50}}
    try:
        attempt(longer, folder, resume=False)
    except NetwrightError as error:
        assert "--resume" in str(error)
        os._exit(error.exit_code)
