"""Small runs for the tests of training, in this process and in others of a fork server that holds torch already."""

import hashlib
import json
import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML

from netwright.core.records import read_jsonl
from netwright.tasks.base import StepOutput
from netwright.tasks.classification import Classification
from netwright.training import checkpoints

# 23 steps an epoch; validation at its end, saves in between
DIGITS: dict[str, Any] = {
    "data": "digits",
    "model": {"name": "mlp", "hidden": [16], "dropout": 0.2},
    "optimizer": {"name": "adamw", "lr": 1e-3, "schedule": "cosine"},
    "train": {"epochs": 2, "batch_size": 64, "checkpoint_every": 10, "threads": 1},
}
CLOCKS = ("seconds", "examples_per_second")


def write_config(path: Path, **train: Any) -> str:
    """The config of a small run as a file, with changes to its `train:` section."""
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump({**DIGITS, "train": {**DIGITS["train"], **train}}, file)
    return str(path)


def fork_server() -> ForkServerContext:
    """Processes of it start with everything imported, so that signals hit work and not imports."""
    context = multiprocessing.get_context("forkserver")
    slow = ["torch._dynamo", "netwright.metrics.factories", "netwright.experiment.run", "netwright.reports"]
    used = ["netwright.cli.main", "netwright.tasks.classification", "netwright.models.vision.mlp"]
    context.set_forkserver_preload([*slow, *used])
    return context


def start(server: ForkServerContext, target: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    process = server.Process(target=target, args=arguments)
    process.start()
    return process


def command(arguments: list[str], log: str | None = None) -> None:
    """In a process of its own: the command line, what it says going to a file, its exit code being the process's."""
    from netwright.cli.main import main

    if log is not None:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(file, 1)
        os.dup2(file, 2)
    sys.exit(main(arguments))


def at_step(step: int, then: Callable[[StepOutput], StepOutput | None]) -> Callable[..., StepOutput]:
    """A training step for `Classification` that does as ever, but in the `step`-th call also what is asked."""
    calls, real = 0, Classification.training_step

    def patched(*arguments: Any) -> StepOutput:
        nonlocal calls
        calls += 1
        out = real(*arguments)
        return (then(out) if calls == step else None) or out

    return patched


def traces(folder: Path) -> tuple[str, list[str]]:
    """The weights' hash and the log without its clocks."""
    weights = hashlib.sha256((folder / "model" / "model.safetensors").read_bytes()).hexdigest()
    lines = [{k: v for k, v in line.items() if k not in CLOCKS} for line in read_jsonl(folder / "metrics.jsonl")]
    return weights, [str(line) for line in lines]


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text("utf-8"))


def healthy(folder: Path) -> int:
    """The step of the newest checkpoint, which is whole, finite, and the newest folder there is."""
    state = checkpoints.newest(folder / "checkpoints")
    assert state is not None
    assert all(bool(torch.isfinite(tensor).all()) for tensor in state["model"].values())
    step = state["progress"]["step"]
    assert checkpoints.steps(folder / "checkpoints")[-1] == step
    assert not list((folder / "checkpoints").glob(".*tmp"))
    return int(step)
