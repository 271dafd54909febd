"""`evaluate`: a finished run measured on its sealed test set (each look is counted), on new data, or under noise."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from netwright.core.errors import DataError, ResourceError
from netwright.core.records import read_json
from netwright.data import Dataset, SealedDataset, load_like
from netwright.data.batching import Batch, BatchSource, SourceAround
from netwright.experiment.assemble import Assembly, assemble
from netwright.experiment.config import load_config
from netwright.experiment.model_folder import load_weights
from netwright.experiment.record import check_data
from netwright.training.evaluation import evaluate

__all__ = ["evaluate_run"]

_NOISE = (0.1, 0.25, 0.5, 1.0)  # in deviations of the normalised input


def evaluate_run(run: str | Path, data: Any = None, robustness: bool = False) -> dict[str, Any]:
    """Figures of a run's model.

    Args:
        data: a source to measure on instead of the run's test set; prepared as the training data were.
        robustness: measure also with Gaussian noise of growing size on the inputs.

    Raises:
        CheckpointError: the run or its model is missing or damaged.
        DataError: data that do not fit the model, or no test set.
    """
    folder = Path(run)
    read_json(folder / "summary.json")
    config = load_config(folder / "config.yaml").resolved(distill=None)  # a student is measured without its teacher
    made = assemble(config, folder, quiet=True)
    load_weights(made.model, folder / "model" / "model.safetensors")
    source = _source(made, folder, data)
    result: dict[str, Any] = {"run": str(folder), "data": str(data) if data is not None else "test"}
    result["metrics"] = _measure(made, source)
    if data is None:
        result["test_looks"] = read_json(folder / "split.json").get("test_looks", 0)
    if robustness:
        result["robustness"] = [{"noise": sigma, **_measure(made, _Noisy(source, sigma))} for sigma in _NOISE]
    return result


def _measure(made: Assembly, source: BatchSource) -> dict[str, float]:
    return evaluate(made.model, made.session.task, made.session.engine, source)


def _source(made: Assembly, folder: Path, data: Any) -> BatchSource:
    dataset: Dataset | None = None
    if data is not None:
        dataset = load_like(data, made.bundle.schema)
    elif made.bundle.test is not None:
        check_data(folder, made.bundle)
        dataset = _opened(made.bundle.test, folder)
    source = made.sources.test(dataset)
    if source is None:
        raise DataError("{folder} kept no test set; give data with --data", folder=folder)
    return source


def _opened(test: SealedDataset, folder: Path) -> Dataset:
    try:
        return test.open(folder)
    except ResourceError as error:
        template = "{folder} cannot be written, and a look at the test set is counted there; copy it, or give --data"
        raise ResourceError(template, folder=folder) from error


class _Noisy(SourceAround):
    """A source whose inputs carry Gaussian noise of one size; the same noise every time."""

    def __init__(self, source: BatchSource, sigma: float) -> None:
        super().__init__(source)
        self._sigma = sigma

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        chance = torch.Generator().manual_seed(0)
        for batch in self.source.epoch(epoch, start):
            if isinstance(batch.inputs, tuple) or not batch.inputs.is_floating_point():
                raise DataError("robustness to noise is measured on inputs that are numbers; these are not")
            noise = torch.randn(batch.inputs.shape, generator=chance).to(batch.inputs.device)
            yield Batch(batch.inputs + self._sigma * noise, batch.targets, batch.index)
