"""TensorBoard and MLflow: each takes the lines of `metrics.jsonl` as they are written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from netwright.core.errors import need

__all__ = ["TrackerName", "make_tracker"]

TrackerName = Literal["tensorboard", "mlflow"]
Tracker = Callable[[dict[str, Any]], None]


def make_tracker(name: TrackerName, folder: Path, config: dict[str, Any]) -> Tracker:
    """A function that takes a line of figures.

    Raises:
        MissingExtra: the tracker's library is not installed.
    """
    return _tensorboard(folder) if name == "tensorboard" else _mlflow(folder, config)


def _tensorboard(folder: Path) -> Tracker:
    need("tensorboard", "tracking")
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard"))

    def track(line: dict[str, Any]) -> None:
        for name, value in _figures(line).items():
            writer.add_scalar(f"{line['kind']}/{name}", value, line["step"])
        writer.flush()

    return track


def _mlflow(folder: Path, config: dict[str, Any]) -> Tracker:
    mlflow = need("mlflow", "tracking")
    if mlflow.active_run() is None:
        mlflow.start_run(run_name=folder.name)
    mlflow.log_params({name: str(value)[:500] for name, value in config.items()})

    def track(line: dict[str, Any]) -> None:
        mlflow.log_metrics({f"{line['kind']}_{name}": v for name, v in _figures(line).items()}, step=line["step"])

    return track


def _figures(line: dict[str, Any]) -> dict[str, float]:
    return {
        name: float(value) for name, value in line.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name != "step"
    }
