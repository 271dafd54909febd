"""Leakage: what makes a score too good to be true.

Exact duplicates across parts, a feature that is the label or determines it, groups that stand in several parts. The
audit looks at the test set's contents without counting a look: it learns nothing about a network.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netwright.core.messages import say
from netwright.data.bundle import DataBundle
from netwright.data.dataset import Dataset, FileDataset, PairedFiles
from netwright.data.graphs import GraphDataset
from netwright.data.schema import Column
from netwright.data.seal import peek
from netwright.data.text_statistics import same_text
from netwright.data.texts import TextDataset

__all__ = ["Leak", "audit"]

_LONG_LINE = 40  # characters: shorter lines recur in any text
_FEW_ROWS = 20


@dataclass(frozen=True)
class Leak:
    """One suspicion. `kind` is duplicates, determining-feature or shared-group; `count` rows are touched by it."""

    kind: str
    where: str
    count: int
    message: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)


def audit(data: DataBundle) -> list[Leak]:
    """All suspicions about a bundle; an empty list is good news."""
    parts: dict[str, Dataset] = {"train": data.train}
    if data.validation is not None:
        parts["validation"] = data.validation
    if data.test is not None:
        parts["test"] = peek(data.test)
    return [*_duplicates(parts), *_determining(data), *_shared_groups(data)]


def _duplicates(parts: Mapping[str, Dataset]) -> list[Leak]:
    """Inputs that stand in train and in another part, or in validation and test, byte by byte."""
    prints = {name: _prints(part) for name, part in parts.items()}
    sets = {name: set(values) for name, values in prints.items()}
    leaks = []
    for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
        if first not in prints or second not in prints:
            continue
        count = sum(value in sets[first] for value in prints[second])
        if count:
            template = (
                "{count} of {total} {second} examples stand in {first} too; their score says nothing about new data"
            )
            words = say(template, count=count, total=len(prints[second]), first=say(first), second=say(second))
            leaks.append(Leak("duplicates", f"{first}/{second}", count, words))
    return leaks


def _prints(part: Dataset) -> list[int]:
    """A hash of each input: Python's of its bytes, for lines of a text of the long ones."""
    if isinstance(part, FileDataset):
        return (
            [hash(_file_bytes(item)) for item in part.items]
            if all(isinstance(item, str) for item in part.items)
            else []
        )
    if isinstance(part, TextDataset | GraphDataset):
        return same_text(part) if isinstance(part, TextDataset) else _graph_prints(part)
    if isinstance(part, PairedFiles):
        return [hash(_file_bytes(picture)) for picture, _ in part.items]
    tensors = part.tensors()
    if tensors is None or not len(part):
        return []
    if part.schema.kind == "text":
        text = "".join(map(chr, tensors[0].tolist()))
        return [hash(line) for line in text.split("\n") if len(line) >= _LONG_LINE]
    rows = tensors[0].reshape(len(part), -1).contiguous().numpy()
    return [hash(row.tobytes()) for row in rows]


def _graph_prints(part: GraphDataset) -> list[int]:
    return [hash(b"".join(values.numpy().tobytes() for values in part.graphs[i])) for i in range(len(part))]


def _file_bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _determining(data: DataBundle) -> list[Leak]:
    """Features from which the target follows without a network, judged on the training rows."""
    tensors = data.train.tensors()
    if data.schema.kind != "table" or tensors is None or len(data.train) < _FEW_ROWS:
        return []
    inputs, targets = tensors
    leaks = []
    for place, column in enumerate(data.schema.features):
        known = ~inputs[:, place].isnan()
        values, wanted = inputs[known, place].double().numpy(), targets[known]
        if len(values) < _FEW_ROWS:
            continue
        reason = _of_class(column, values, wanted) if data.schema.target.kind == "class" else _of_number(values, wanted)
        if reason:
            words = say(
                "column {name} {reason}; is it known when a prediction is wanted? else add it to data.ignore",
                name=column.name,
                reason=reason,
            )
            leaks.append(Leak("determining-feature", column.name, len(values), words))
    return leaks


def _of_class(column: Column, values: np.ndarray, labels: Tensor) -> str:
    """Whether every value goes with one class, or each class fills a range of its own."""
    codes = labels.numpy()
    present = len(np.unique(codes))
    if present < 2:
        return ""
    pairs = np.unique(np.stack([values, codes], axis=1), axis=0)
    distinct = len(np.unique(values))
    if len(pairs) > distinct:
        return ""  # some value goes with two classes
    if distinct <= len(values) / 5:
        return say("determines the target: each of its {count} values goes with one class", count=distinct)
    ordered = codes[np.argsort(values, kind="stable")]
    runs = 1 + int((ordered[1:] != ordered[:-1]).sum())
    if column.kind != "category" and runs == present and len(values) >= 50:
        return say("separates the classes by itself")
    return ""


def _of_number(values: np.ndarray, targets: Tensor) -> str:
    for k in range(targets.shape[1] if targets.ndim == 2 else 0):
        wanted = targets[:, k].double().numpy()
        if values.std() > 0 and wanted.std() > 0 and abs(np.corrcoef(values, wanted)[0, 1]) > 0.99999:
            return say("is the target, up to scale")
    return ""


def _shared_groups(data: DataBundle) -> list[Leak]:
    """Identifiers that repeat (a patient, a shop) and stand in more than one part."""
    leaks = []
    for column in data.schema.columns:
        keys = data.keys.get(column.name)
        if column.kind != "id" or keys is None or column.unique >= len(keys) - column.missing:
            continue
        train = keys[data.rows["train"]]
        for part in ("validation", "test"):
            if part not in data.rows:
                continue
            count = int(torch.isin(keys[data.rows[part]], train[~train.isnan()]).sum())
            if count:
                template = (
                    "{count} {part} rows share {name} with training rows; set data.split: {{by: group, column: {name}}}"
                )
                words = say(template, count=count, part=say(part), name=column.name)
                leaks.append(Leak("shared-group", column.name, count, words))
    return leaks
