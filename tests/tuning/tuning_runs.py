"""A small search: irises, and a learning rate that teaches nothing."""

from pathlib import Path
from typing import Any

from netwright.tuning.results import Tuning

RUINOUS: dict[str, Any] = {
    "data": "iris",
    "model": {"name": "mlp", "hidden": [8]},
    "optimizer": {"name": "adam", "lr": 1e-7},
    "train": {"epochs": 6, "batch_size": 16, "threads": 1},
}
RATE = {"optimizer.lr": [1e-5, 1e-1, "log"]}
YAML = """\
# three species of iris
data: iris
model: {name: mlp, hidden: [8]}   # small on purpose
optimizer: {name: adam, lr: 1e-7}
train: {epochs: 6, batch_size: 16, threads: 1}
expect: {accuracy: 0.5}
"""


def told(done: Tuning) -> list[tuple[Any, ...]]:
    """What must be the same of two searches."""
    return [(one.number, one.status, one.value, one.settings, one.curve) for one in done.trials]


def write_yaml(folder: Path, text: str = YAML) -> Path:
    path = folder / "irises.yaml"
    path.write_text(text, "utf-8")
    return path
