"""Several sources as one with an official split: training data and, apart, validation or test data of the same kind."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from netwright.core.errors import DataError
from netwright.data.dataset import TensorDataset
from netwright.data.schema import Schema, Target
from netwright.data.sources.loaded import Loaded

__all__ = ["join_loaded"]


def join_loaded(parts: Mapping[str, Loaded]) -> Loaded:
    """One source of the parts of a split.

    Raises:
        DataError: they differ in shape or kind, or do not fit in memory.
    """
    first = parts["train"]
    for name, part in parts.items():
        _alike(name, first.dataset.schema, part.dataset.schema)
    classes = _classes([part.dataset.schema.target for part in parts.values()])
    inputs, targets, official, start = [], [], {}, 0
    for name, part in parts.items():
        dataset = part.dataset
        if not isinstance(dataset, TensorDataset):
            raise DataError(
                "{name} data that stream cannot be given apart; put both in one folder with train and validation",
                name=name,
            )
        inputs.append(dataset.inputs)
        targets.append(_recode(dataset.targets, dataset.schema.target, classes))
        official[name] = torch.arange(start, start + len(dataset))
        start += len(dataset)
    target = replace(first.dataset.schema.target, classes=classes)
    vocabularies = [part.dataset.schema.vocab_size or 0 for part in parts.values()]
    schema = replace(first.dataset.schema, target=target, vocab_size=max(vocabularies) or None)
    problems = [problem for part in parts.values() for problem in part.problems]
    dataset = TensorDataset(torch.cat(inputs), torch.cat(targets), schema, first.dataset.name, problems)
    return Loaded(dataset, first.origin, sum(part.total for part in parts.values()), problems, official)


def _alike(name: str, wanted: Schema, got: Schema) -> None:
    if (got.kind, got.input_shape, got.input_dtype, got.target.kind) != (
        wanted.kind,
        wanted.input_shape,
        wanted.input_dtype,
        wanted.target.kind,
    ):
        raise DataError(
            "{name} data ({got}) are of another kind than the training data ({wanted}); give them the same shape",
            name=name,
            got=_words(got),
            wanted=_words(wanted),
        )
    if wanted.kind == "table":
        raise DataError(
            "tables with parts of their own: name the files as path, validation_path and test_path, or give one table"
        )


def _words(schema: Schema) -> str:
    return f"{schema.kind} {tuple(schema.input_shape)} {schema.input_dtype}, {schema.target.kind}"


def _classes(targets: list[Target]) -> tuple[str, ...]:
    """All labels of all parts; numbers in their order, words in theirs."""
    if all(target.classes == targets[0].classes for target in targets):
        return targets[0].classes
    labels = {label for target in targets for label in target.classes}
    return tuple(sorted(labels, key=lambda label: (0, int(label), "") if label.isdigit() else (1, 0, label)))


def _recode(codes: Tensor, target: Target, classes: tuple[str, ...]) -> Tensor:
    if target.kind != "class" or target.classes == classes:
        return codes
    return torch.tensor([classes.index(label) for label in target.classes])[codes]
