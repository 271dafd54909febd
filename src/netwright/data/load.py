"""`load_data`: from what the user says - a name, a path, a section of a config, arrays - to train, validation and test.

Which kind of source it is follows from the path; the signature of that source's function is the schema of the section,
so that an unknown key is answered with the nearest known one.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from netwright.core.errors import ConfigError, DataError
from netwright.core.messages import say
from netwright.core.schemas import arguments, parameters
from netwright.data.alike import recoded
from netwright.data.bundle import DataBundle, bundle, environment_bundle
from netwright.data.dataset import Dataset, TensorDataset
from netwright.data.decimals import Decimal
from netwright.data.policy import Bad, missing_file
from netwright.data.schema import Schema
from netwright.data.section import PATHS, builtin, check_path, environment_options, resolve, source_of
from netwright.data.sources import arrays, documents, frames, graphs, node_graph, series
from netwright.data.sources.builtin import BUILTIN, load_builtin, with_tokens
from netwright.data.sources.delimited import TABLE_SUFFIXES
from netwright.data.sources.graph_objects import arrays_of, is_graph, of_objects
from netwright.data.sources.joined import join_loaded
from netwright.data.sources.loaded import Loaded, Origin
from netwright.data.split import split_rule
from netwright.data.targets import Wanted
from netwright.data.texts import TextDataset

__all__ = ["load_data", "load_like"]


def load_data(
    spec: Any,
    *,
    seed: int = 0,
    validation: Any = None,
    test: Any = None,
    target: str | Sequence[str] | None = None,
    target_kind: Wanted | None = None,
    base: Path | None = None,
) -> DataBundle:
    """Load, check and split data.

    Args:
        spec: a built-in name, a path, the `data` section of a config, a pair (inputs, targets) of arrays or tensors,
            inputs alone, a pandas, polars or Arrow table, a Dataset of ours or of torch, a DataLoader, or a bundle
            (given back).
        seed: of the split, unless the section has its own. Keep it the same when the seed of a run changes, or runs
            will not share their test set.
        validation, test: shares (0.1 by default), or data of their own like `spec`.
        target, target_kind: for frames and paths; the section's own settings go first.
        base: folder that relative paths start from, if they are not found from the working folder.

    Raises:
        ConfigError: unknown names or keys, values that do not fit; all of a section at once.
        DataError: data that are missing, empty, damaged beyond policy, or of no use for learning.
        MissingExtra: a library that this kind of file needs.
    """
    if isinstance(spec, DataBundle):
        return spec
    if isinstance(spec, Mapping) and "environment" in spec:
        return environment_bundle(*environment_options(spec))
    shares: dict[str, Any] = {"seed": seed}
    others = {}
    for part, value in (("validation", validation), ("test", test)):
        if isinstance(value, int | float) and not isinstance(value, bool):
            shares[part] = float(value)
        elif value is not None:
            others[part] = value
    given = {"target": target, "target_kind": target_kind}
    loaded, section = _load(spec, {name: value for name, value in given.items() if value is not None}, base)
    if others:
        loaded = join_loaded({"train": loaded} | {part: _load(value, given, base)[0] for part, value in others.items()})
    rule = split_rule(**arguments(split_rule, shares | section, "data.split"))
    return bundle(loaded, rule)


def load_like(spec: Any, schema: Schema, *, base: Path | None = None) -> Dataset:
    """New data to measure a trained network on, read by the schema of its training; the test part, where there is one.

    Args:
        spec: as for `load_data`; the target is the schema's.

    Raises:
        ConfigError, DataError, MissingExtra: as `load_data`; also data of another kind, shape or with other classes.
    """
    given: dict[str, Any] = {"like": schema}
    if schema.target.kind in ("class", "number", "multilabel", "mask"):
        given["target_kind"] = "class" if schema.target.kind == "mask" else schema.target.kind
    loaded, _ = _load(spec, given, base)
    dataset, got = loaded.dataset, loaded.dataset.schema
    if not _fits(got, schema):
        template = "the data are {got}, the model was trained on {wanted}; give data like that"
        raise DataError(template, got=got, wanted=schema)
    if isinstance(dataset, TensorDataset):
        targets = recoded(dataset.targets, got.target, schema.target, loaded.origin.source)
        dataset = TensorDataset(dataset.inputs, targets, schema, dataset.name, dataset.problems)
    if isinstance(dataset, TextDataset):
        dataset = dataset.with_schema(schema)
        dataset.targets = recoded(dataset.targets, got.target, schema.target, loaded.origin.source)
    return dataset.subset(loaded.official["test"]) if "test" in loaded.official else dataset


def _fits(got: Schema, wanted: Schema) -> bool:
    """Whether data can be measured by a network trained on `wanted`; tables are alike in the columns that they use."""
    if got.kind != wanted.kind or got.target.kind != wanted.target.kind:
        return False
    if got.kind == "table":
        return [column.name for column in got.features] == [column.name for column in wanted.features]
    return (got.input_shape, got.graph) == (wanted.input_shape, wanted.graph)


def _load(spec: Any, given: Mapping[str, Any], base: Path | None) -> tuple[Loaded, dict[str, Any]]:
    """The examples, and what the section says about splitting."""
    if isinstance(spec, str | os.PathLike):
        return _named(str(spec), given, base), {}
    if isinstance(spec, Mapping):
        section = spec.get("split")
        return _section(dict(spec), given, base), dict(section) if isinstance(section, Mapping) else {}
    return _objects(spec, given), {}


def _named(name: str, given: Mapping[str, Any], base: Path | None) -> Loaded:
    if name in BUILTIN:
        return load_builtin(name)
    looks_like_path = os.sep in name or "/" in name or Path(name).suffix or resolve(name, base).exists()
    return _section({"path": name} if looks_like_path else {"name": name}, given, base)


def _section(spec: dict[str, Any], given: Mapping[str, Any], base: Path | None) -> Loaded:
    if "name" in spec:
        values = arguments(builtin, spec, "data")
        return with_tokens(
            load_builtin(values["name"], **{name: values.get(name) for name in ("window", "horizon", "target")}),
            values.get("tokens"),
        )
    if "x" in spec or "frame" in spec:
        source: Callable[..., Loaded] = _arrays if "x" in spec else _frame
        values = arguments(source, spec, "data", given)
        values.pop("split", None)
        return source(**values)
    check_path(spec)
    spec["path"] = str(spec["path"])
    return _file(spec, given, base)


def _file(spec: dict[str, Any], given: Mapping[str, Any], base: Path | None) -> Loaded:
    path = resolve(spec["path"], base)
    spec = _placed_tokens(_as_documents(path, spec, given.get("like")), base)
    like = given.get("like")
    source = series.load if like is not None and like.kind == "series" else source_of(path, spec)
    bound = {name: value for name, value in given.items() if name in parameters(source)}
    values = arguments(source, spec, "data", bound)
    if not path.exists():
        raise missing_file(path)
    for name in PATHS:
        if values.get(name) is not None:
            values[name] = str(resolve(values[name], base))
    return source(**values)


def _as_documents(path: Path, spec: dict[str, Any], like: Schema | None) -> dict[str, Any]:
    """New rows for a network of texts are read from the columns that its training read, unless others are named."""
    if like is None or like.kind != "text" or not like.columns or path.suffix.lower() not in TABLE_SUFFIXES:
        return spec
    names = {"text": like.columns[0].name}
    names |= {"context": like.columns[1].name} if len(like.columns) > 1 else {}
    roles = {"text": "target_text", "span": "answer"}
    target: Any = list(like.target.names)
    if target:
        names[roles.get(like.target.kind, "target")] = target if len(target) > 1 else target[0]
    return names | spec


def _placed_tokens(spec: dict[str, Any], base: Path | None) -> dict[str, Any]:
    tokens = spec.get("tokens")
    if not isinstance(tokens, Mapping) or not isinstance(tokens.get("path"), str):
        return spec
    return spec | {"tokens": {**tokens, "path": str(resolve(tokens["path"], base))}}


def _objects(spec: Any, given: Mapping[str, Any]) -> Loaded:
    kind = given.get("target_kind")
    if isinstance(spec, Dataset):
        total = len(spec) + len(spec.problems)
        return Loaded(spec, Origin("given in Python"), total, spec.problems)
    if is_graph(spec) or (isinstance(spec, list) and spec and all(map(is_graph, spec))):
        return _graphs(spec, kind)
    if isinstance(spec, tuple | list) and len(spec) == 2 and not isinstance(spec[0], int | float | str):
        return _inputs_and_targets(spec[0], spec[1], given)
    if frames.frame_columns(spec) is not None:
        return frames.load_frame(spec, **given)
    if isinstance(spec, torch.Tensor) or (hasattr(spec, "dtype") and hasattr(spec, "shape")):
        return arrays.load_arrays(spec, None)
    if hasattr(spec, "__getitem__") or hasattr(spec, "__iter__"):
        return arrays.load_torch(spec, kind)
    template = (
        "data of type {kind} are not known; give a name, a path, arrays (x, y), a table, a Dataset or a DataLoader"
    )
    raise ConfigError(template, path="data", kind=type(spec).__name__)


def _graphs(spec: Any, kind: Wanted | None) -> Loaded:
    """One graph whose nodes have classes, or a list of graphs with a target each; edges go as they are given."""
    if not isinstance(spec, list):
        return node_graph.of_arrays(arrays_of(spec), say("the graph"))
    rows = of_objects(spec)
    places = [say("graph {number}", number=number) for number in range(len(rows))]
    read = graphs.GraphRows(say("the graphs"), rows, places, [0] * len(rows))
    loaded = graphs.of_rows(read, ["y"], target_kind=kind, directed=True, as_given=True)
    loaded.origin = Origin("given in Python")
    return loaded


def _inputs_and_targets(inputs: Any, targets: Any, given: Mapping[str, Any]) -> Loaded:
    if frames.frame_columns(inputs) is not None:
        return _frame_and_series(inputs, targets, {key: value for key, value in given.items() if key != "target"})
    if _are_texts(inputs):
        return documents.of_texts([str(text) for text in inputs], targets, given.get("target_kind"))
    return arrays.load_arrays(inputs, targets, target_kind=given.get("target_kind"))


def _are_texts(values: Any) -> bool:
    return not isinstance(values, str | Mapping) and hasattr(values, "__getitem__") and (
        len(values) > 0 and all(isinstance(value, str) for value in (values[0], values[len(values) - 1]))
    )  # fmt: skip


def _frame_and_series(frame: Any, targets: Any, given: Mapping[str, Any]) -> Loaded:
    """(X, y) as scikit-learn's users write it, X being a data frame."""
    import numpy as np

    columns = frames.frame_columns(frame) or {}
    name = str(getattr(targets, "name", None) or "target")
    name = f"{name} (target)" if name in columns else name
    values = np.asarray(targets)
    if len(values) != len(next(iter(columns.values()), [])):
        template = "{inputs} inputs but {targets} targets; give one target an example"
        raise DataError(template, inputs=len(next(iter(columns.values()), [])), targets=len(values))
    return frames.load_columns({**columns, name: values}, target=name, **given)


def _arrays(
    x: Any,
    y: Any = None,
    target_kind: Wanted | None = None,
    bad: Bad | None = None,
    split: dict[str, Any] | None = None,
) -> Loaded:
    """A section made in Python, with arrays in it."""
    return arrays.load_arrays(x, y, target_kind=target_kind, bad=bad)


def _frame(
    frame: Any,
    *,
    target: str | list[str] | None = None,
    target_kind: Wanted | None = None,
    ignore: list[str] | None = None,
    decimal: Decimal | None = None,
    bad: Bad | None = None,
    split: dict[str, Any] | None = None,
    like: Schema | None = None,
) -> Loaded:
    """A section made in Python, with a data frame in it."""
    return frames.load_frame(
        frame, target=target, target_kind=target_kind, ignore=ignore or (), decimal=decimal, bad=bad, like=like
    )
