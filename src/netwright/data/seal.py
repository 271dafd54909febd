"""The test set is opened once, at the end: looks are counted in the run's `split.json`, and further ones are said.

Who chooses a network by its test score has no test score any more. Nothing here can stop them; it can only be seen.
"""

import logging
from pathlib import Path
from typing import final

from netwright.core.errors import DataError
from netwright.core.messages import say
from netwright.core.records import read_json, write_json
from netwright.data.dataset import Dataset

__all__ = ["SealedDataset", "looks_taken", "peek", "seal"]

_log = logging.getLogger("netwright")


@final
class SealedDataset:
    """A test set under seal: its size and schema are known, its examples only after `open`."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self.name, self.schema = dataset.name, dataset.schema

    def __len__(self) -> int:
        return len(self._dataset)

    def open(self, run_folder: Path | None = None, step: int | None = None) -> Dataset:
        """The examples. A look is counted in `run_folder`/split.json; a second one is said in the log.

        The look of a run that ends (after `step` steps) is one look, though it be killed in it and end again.

        Raises:
            CheckpointError: the folder has no readable split.json.
            ResourceError: it cannot be written; a look that cannot be counted is not given.
        """
        if run_folder is not None:
            record = read_json(run_folder / "split.json")
            again = step is not None and record.get("test_opened_at") == step
            looks = looks_taken(run_folder) + (not again)
            write_json(run_folder / "split.json", record | {"test_looks": looks, "test_opened_at": step})
            if looks > 1 and not again:
                template = "look {looks} at the test set of {folder}: choosing by its figures makes them too good"
                _log.warning(say(template, looks=looks, folder=run_folder))
        return self._dataset

    def read(self, i: int) -> None:
        """Refused.

        Raises:
            DataError: always; `open` first.
        """
        raise DataError("the test set is sealed; open it at the end, with test.open(run_folder)")

    def tensors(self) -> None:
        """Refused, like `read`."""
        self.read(0)


def seal(dataset: Dataset) -> SealedDataset:
    """Put a data set under seal."""
    return SealedDataset(dataset)


def peek(sealed: SealedDataset) -> Dataset:
    """The examples without a count: for the audit of duplicates, which learns nothing about a network."""
    return sealed._dataset


def looks_taken(run_folder: Path) -> int:
    """How often the test set of a run has been opened.

    Raises:
        CheckpointError: the folder has no readable split.json.
    """
    return int(read_json(run_folder / "split.json").get("test_looks", 0))
