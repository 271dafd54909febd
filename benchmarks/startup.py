"""How long a user waits before anything happens: the command's help, and imports over `import torch` alone.

Each time is the median of fresh processes, taken in turns. `table` gives the block of docs/bench.md that `make bench`
writes; run by itself, it prints it.
"""

import importlib.util
import statistics
import subprocess
import sys
import time

__all__ = ["table"]

_IMPORTS = {  # what is timed: a line of Python, and the package that it needs
    "torch alone": ("import torch", "torch"),
    "netwright": ("import torch, netwright", "netwright"),
    "netwright, all that `fit` needs": ("import torch, netwright; netwright.fit", "netwright"),
    "lightning": ("from netwright.metrics import torchvision_guard; import lightning", "lightning"),
    "keras": ("import os; os.environ['KERAS_BACKEND'] = 'torch'; import torch, keras", "keras"),
    "transformers' Trainer": ("import torch; from transformers import Trainer", "transformers"),
}


def table(rounds: int) -> str:
    """The times as Markdown."""
    commands = {"`netwright --help`": [sys.executable, "-m", "netwright.cli", "--help"]}
    for name, (line, package) in _IMPORTS.items():
        if importlib.util.find_spec(package) is not None:
            commands[name] = [sys.executable, "-c", line]
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            began = time.perf_counter()
            done = subprocess.run(command, capture_output=True, check=False)
            if done.returncode == 0:
                times[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(found) for name, found in times.items() if found}
    over = {name: f"{median - medians['torch alone']:+.2f}" for name, median in medians.items() if name in _IMPORTS}
    rows = [f"| {name} | {median:.2f} | {over.get(name, '')} |" for name, median in medians.items()]
    return "\n".join(["## Before anything happens", "", "| process | s | over torch, s |", "|---|---|---|", *rows, ""])


if __name__ == "__main__":
    print(table(5))
