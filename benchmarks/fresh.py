"""What the benchmarks share: a measurement is a process of its own, and contenders take turns."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from netwright.core.devices import describe_machine

__all__ = ["machine", "measured", "turns"]

HERE = Path(__file__).resolve().parent


def measured(script: str, *words: str) -> dict[str, Any]:
    """Run `script` of this folder in a fresh process; the JSON of its last line."""
    done = subprocess.run([sys.executable, str(HERE / script), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{script} {' '.join(words)} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def turns(names: Sequence[str], turn: int) -> list[str]:
    """All names, another one first each turn, so that a machine that slows down does so for all."""
    return [names[(turn + place) % len(names)] for place in range(len(names))]


def machine() -> str:
    """The machine in one line."""
    known = describe_machine(torch.device("cpu"))
    return f"{known['cpu']}, {known['threads']} threads, Python {known['python']}, PyTorch {known['torch']}"
