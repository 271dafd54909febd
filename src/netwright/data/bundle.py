"""A data set as a run uses it: train, validation, a sealed test, and the record of how they came about."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from netwright.core.errors import DataError
from netwright.core.messages import few, say
from netwright.data.dataset import BadRow, Dataset, PairedFiles, TensorDataset
from netwright.data.masks import IGNORED, code_counts
from netwright.data.policy import first_of
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Schema
from netwright.data.seal import SealedDataset, seal
from netwright.data.sources.loaded import PARTS, Loaded, Origin
from netwright.data.split import SplitRule, content_hash, split_rows
from netwright.data.table import fit_columns

__all__ = ["DataBundle", "bundle", "environment_bundle", "mask_pixels"]

_log = logging.getLogger("netwright")


@dataclass
class DataBundle:
    """What `load_data` gives.

    `split` is the content of the run's split.json. `rows` and `keys` (see `Loaded`) serve the leakage audit. `options`
    are settings of the `data` section that batching needs (environments only).
    """

    name: str
    schema: Schema
    train: Dataset
    validation: Dataset | None
    test: SealedDataset | None
    split: dict[str, Any]
    problems: list[BadRow]
    origin: Origin
    rows: Mapping[str, Tensor] = field(default_factory=dict)
    keys: Mapping[str, Tensor] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


def bundle(loaded: Loaded, rule: SplitRule) -> DataBundle:
    """Split, settle on the training rows what depends on them, seal the test set, and write the record.

    Raises:
        DataError: no example to train on, or a split that cannot be made.
    """
    if len(loaded.dataset) == 0:
        raise DataError("{name} has no usable example; there is nothing to learn from", name=loaded.dataset.name)
    if loaded.problems:
        bad, shown = len(loaded.problems), first_of(loaded.problems, loaded.origin.source)
        template = "{bad} of {total} examples of {name} are bad - {shown}"
        _log.warning(say(template, bad=bad, total=loaded.total, name=loaded.dataset.name, shown=shown))
    _know_all_classes(loaded)
    split = split_rows(loaded, rule)
    dataset = _settled(loaded, split.rows["train"])
    parts = {name: dataset.subset(split.rows[name]) for name in PARTS if name in split.rows}
    record = {
        "name": dataset.name,
        "origin": loaded.origin.source,
        "licence": loaded.origin.licence,
        "sizes": {name: len(parts[name]) if name in parts else 0 for name in PARTS},
        "method": split.method,
        "seed": rule.seed,
        "sha256": {name: content_hash(part) for name, part in parts.items()},
        "problems": [problem.to_dict() for problem in loaded.problems],
        "test_looks": 0,
        "classes": class_counts(parts["train"]),
    }
    test = seal(parts["test"]) if "test" in parts else None
    return DataBundle(
        dataset.name,
        dataset.schema,
        parts["train"],
        parts.get("validation"),
        test,
        record,
        list(loaded.problems),
        loaded.origin,
        split.rows,
        loaded.keys,
    )


def environment_bundle(name: str, options: Mapping[str, Any]) -> DataBundle:
    """The bundle of an environment: a schema and no examples, because acting makes them."""
    from netwright.data.environments import environment_schema

    schema = environment_schema(name)
    nothing = TensorDataset(torch.zeros(0, *schema.input_shape), torch.zeros(0, dtype=torch.int64), schema, name)
    origin = Origin("gymnasium", "MIT")
    record = {
        "name": name,
        "origin": origin.source,
        "licence": origin.licence,
        "sizes": dict.fromkeys(PARTS, 0),
        "method": "episodes",
        "seed": 0,
        "sha256": {},
        "problems": [],
        "test_looks": 0,
        "classes": {},
    }
    return DataBundle(name, schema, nothing, None, None, record, [], origin, options=options)


def _know_all_classes(loaded: Loaded) -> None:
    """Refuse a class that stands in validation or test files only; among arrays it is said, for a network may know it.

    Raises:
        DataError: there is one; names it, and where it stands.
    """
    schema, labels = loaded.dataset.schema, loaded.dataset.labels()
    if schema.target.kind != "class" or labels.ndim != 1 or "train" not in loaded.official:
        return
    known = torch.isin(labels, labels[loaded.official["train"]])
    template = "{where}: no training example is of the class {names}; correct the label, or add such training examples"
    for part in ("validation", "test"):
        rows = loaded.official.get(part, labels.new_zeros(0, dtype=torch.int64))
        strange = rows[~known[rows]].tolist()
        if not strange:
            continue
        names = few([schema.target.classes[code] for code in labels[strange].unique().tolist()])
        places = [
            loaded.place(row) if loaded.place else say("{name} row {row}", name=say(part), row=row - int(rows[0]))
            for row in strange
        ]
        where = first_of(places, loaded.origin.source)
        if not schema.as_given:
            raise DataError(template, where=where, names=names)
        _log.warning(say(template, where=where, names=names))


def class_counts(dataset: Dataset) -> dict[str, int]:
    """Examples of each class, of masks its pixels; empty for other targets."""
    if dataset.schema.target.kind == "mask":
        return dict(zip(dataset.schema.target.classes, mask_pixels(dataset).tolist(), strict=False))
    target, labels = dataset.schema.target, dataset.labels()
    if target.kind != "class" or labels.ndim != 1:
        return {}
    counts = torch.bincount(labels.flatten(), minlength=len(target.classes)).tolist()
    return dict(zip(target.classes, counts, strict=True))


def mask_pixels(dataset: Dataset) -> Tensor:
    """Pixels of each class and, last, ignored ones. Shapes: -> (K + 1,) int64."""
    if isinstance(dataset, PairedFiles):
        counts = dataset.pixels.sum(0)
    else:
        counts = sum((code_counts(masks) for masks in dataset.labels().split(256)), torch.zeros(256, dtype=torch.int64))
    return torch.cat([counts[: len(dataset.schema.target.classes)], counts[IGNORED:]])


def _settled(loaded: Loaded, train: Tensor) -> Dataset:
    dataset = loaded.dataset
    if dataset.schema.kind == "table":
        return fit_columns(loaded, train)
    if dataset.schema.kind == "text":
        tokenizer = Preprocessor.fit(dataset.subset(train)).tokenizer
        assert tokenizer is not None
        return dataset.with_schema(replace(dataset.schema, vocab_size=len(tokenizer)))
    return dataset
