"""One graph whose nodes are to be classified: a folder with `nodes.csv` and `edges.csv`, or arrays in an `.npz` file.

`nodes.csv` has a row a node: its id, features in numbers, its label (empty where it is not known), and perhaps a
`split` of train, validation and test. `edges.csv` has a row an edge: the ids of its ends, and perhaps features. Arrays
have PyTorch Geometric's names: x, edge_index, y, and perhaps edge_attr, train_mask, val_mask and test_mask.
"""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netwright.core.errors import DataError
from netwright.core.messages import say
from netwright.data.alike import class_codes
from netwright.data.columns import is_missing, truth
from netwright.data.dataset import BadRow
from netwright.data.graphs import Graph, NodeDataset
from netwright.data.policy import Bad, missing_file, settle
from netwright.data.schema import Column, GraphShape, Schema, Target
from netwright.data.sources.delimited import read_table
from netwright.data.sources.graph_objects import made_graph
from netwright.data.sources.loaded import Loaded, Origin, official_parts
from netwright.data.table import RawTable, check_columns
from netwright.data.targets import make_target

__all__ = ["holds_graph", "load", "of_arrays", "read_single"]

_NODES, _EDGES = "nodes.csv", "edges.csv"
_ID, _SPLIT, _ENDS = "id", "split", ("source", "target")
_PARTS = {"train": 0, "training": 0, "validation": 1, "valid": 1, "val": 1, "test": 2}
_MASKS = ("train_mask", "val_mask", "test_mask")
_NO_PART = 3


def holds_graph(path: Path) -> bool:
    """Whether a folder or an `.npz` file is one graph."""
    if path.is_dir():
        return (path / _NODES).is_file() and (path / _EDGES).is_file()
    return path.suffix.lower() == ".npz" and zipfile.is_zipfile(path) and (
        "edge_index.npy" in zipfile.ZipFile(path).namelist()
    )  # fmt: skip


def load(
    path: str,
    *,
    target: str | None = None,
    directed: bool = False,
    ignore: list[str] | None = None,
    bad: Bad | None = None,
    split: dict[str, Any] | None = None,
    like: Schema | None = None,
) -> Loaded:
    """A graph with a class for each node.

    Args:
        target: the column of the classes, `label` by default; of arrays `y`.
        directed: edges go from their source to their target only.
        ignore: columns of the nodes to leave out.
        like: a settled schema to read by, for new data (`load_like`).

    Raises:
        DataError: a missing or damaged file, no such column, words among the features, too many bad rows.
    """
    if like is not None and like.graph is not None:
        directed = like.graph.directed
    read = _read(Path(path), target, ignore or (), like, wanted=True)
    loaded = _loaded(read, Path(path).name, directed, bad, like)
    loaded.origin = Origin(path)
    return loaded


def read_single(path: str, schema: Schema) -> Graph:
    """The graph of a folder or file as a trained network reads it; labels are not looked at.

    Raises:
        DataError: as `load`; also any bad row, for every node is to get an answer.
    """
    assert schema.graph is not None
    if not Path(path).exists():
        raise missing_file(Path(path))
    if not holds_graph(Path(path)):
        template = "{path} is no graph: expected a folder with nodes.csv and edges.csv, or an .npz file with edge_index"
        raise DataError(template, path=path)
    read = _read(Path(path), None, (), schema, wanted=False)
    if read.problems:
        raise DataError("{problem}", problem=read.problems[0])
    return made_graph(read.parts, schema.graph.directed, schema.input_shape[0], schema.graph.edge_features)


def of_arrays(arrays: Mapping[str, Any], name: str, directed: bool = True) -> Loaded:
    """A graph that is in memory, under PyTorch Geometric's names; edges go as they are given.

    Raises:
        DataError: as `load`.
    """
    loaded = _loaded(_of_arrays(arrays, name, "y", True), name, directed, None, None, as_given=True)
    loaded.origin = Origin("given in Python")
    return loaded


@dataclass
class _Read:
    """What stands in the files: a graph's parts, a label a node (None: not known), and a part of the split a node."""

    source: str
    parts: Mapping[str, Any]
    labels: NDArray[Any] | None
    split: NDArray[np.int8] | None
    name: str
    total: int
    columns: tuple[str, ...] = ()
    problems: list[BadRow] = field(default_factory=list)


def _loaded(
    read: _Read, name: str, directed: bool, bad: Bad | None, like: Schema | None, as_given: bool = False
) -> Loaded:
    settle(read.problems, read.total, bad, read.source)
    sizes = (None, None) if like is None or like.graph is None else (like.input_shape[0], like.graph.edge_features)
    try:
        graph = made_graph(read.parts, directed, *sizes)
    except DataError as error:
        raise DataError("{source}: {error}", source=read.source, error=error) from error
    target, codes, known = _classes(read, like)
    rows = known.nonzero().flatten()
    columns = tuple(Column(column, "numeric") for column in read.columns)
    shape = GraphShape("node", graph.attributes.shape[1], directed)
    schema = like or Schema(
        "graph", (graph.nodes.shape[1],), "float32", target, columns, as_given=as_given, graph=shape
    )
    official: dict[str, Tensor] = {}
    if read.split is not None:
        parts = torch.from_numpy(read.split)
        rows = (known & (parts < _NO_PART)).nonzero().flatten()
        official = official_parts(parts[rows])
    dataset = NodeDataset(graph, codes, rows, schema, name, read.problems)
    return Loaded(dataset, Origin(read.source), read.total, read.problems, official, place=partial(_place, name, rows))


def _place(name: str, rows: Tensor, row: int) -> str:
    """Where an example stands."""
    return say("{name} node {place}", name=name, place=int(rows[row]))


def _classes(read: _Read, like: Schema | None) -> tuple[Target, Tensor, Tensor]:
    """The target, a code for every node (0 where none is known), and where one is known."""
    labels = read.labels if read.labels is not None else np.full(len(read.parts["nodes"]), None, dtype=object)
    known = np.array([not is_missing(label) for label in labels.tolist()], dtype=bool)
    if not known.any():
        template = "{source} has no label in {name}; set data.target to the column of the classes"
        raise DataError(template, source=read.source, name=read.name)
    codes = torch.zeros(len(labels), dtype=torch.int64)
    there = torch.from_numpy(known)
    if like is not None:
        codes[there] = class_codes([str(label) for label in labels[known]], like.target.classes, read.source)
        return like.target, codes, there
    made = make_target([read.name], [labels[known]], "class")
    codes[there] = made.values
    return made.target, codes, there


def _read(path: Path, target: str | None, ignore: Sequence[str], like: Schema | None, *, wanted: bool) -> _Read:
    """The files as they stand; `wanted`: labels are needed."""
    if path.is_dir():
        return _of_tables(path, target, ignore, like, wanted)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # zip, zlib, header and pickle errors have no common type
        template = "{path} cannot be read as arrays: {error}; write it again with numpy.savez"
        raise DataError(template, path=path, error=str(error).partition("\n")[0]) from error
    return _of_arrays(arrays, str(path), target or "y", wanted)


def _of_arrays(arrays: Mapping[str, Any], source: str, target: str, wanted: bool) -> _Read:
    for name in ("x", "edge_index", *([target] if wanted else [])):
        if arrays.get(name) is None:
            names = ", ".join(name for name, value in arrays.items() if value is not None)
            raise DataError("{path} has no array {name!r}; known: {names}", path=source, name=name, names=names)
    held = {name: np.asarray(value) for name, value in arrays.items() if value is not None}
    ends = held["edge_index"]
    if ends.ndim != 2 or ends.shape[0] != 2:
        template = "{source}: edge_index has shape {got}; expected (2, E), from which node and to which"
        raise DataError(template, source=source, got=ends.shape)
    parts = {"nodes": held["x"], "edges": ends.T, "edge_attr": held.get("edge_attr")}
    labels = held[target].reshape(-1).astype(object) if wanted else None
    if labels is not None and len(labels) != len(held["x"]):
        template = "{source}: {labels} labels for {nodes} nodes; give one a node, empty where it is not known"
        raise DataError(template, source=source, labels=len(labels), nodes=len(held["x"]))
    masks = [held.get(name) for name in _MASKS]
    split = np.full(len(held["x"]), _NO_PART, dtype=np.int8) if any(mask is not None for mask in masks) else None
    for code, mask in enumerate(masks):
        if mask is not None and split is not None:
            split[mask.astype(bool).reshape(-1)] = code
    return _Read(source, parts, labels, split, target, len(held["x"]))


def _of_tables(folder: Path, target: str | None, ignore: Sequence[str], like: Schema | None, wanted: bool) -> _Read:
    nodes = read_table(folder / _NODES, None, "utf-8", "skip")
    edges = read_table(folder / _EDGES, None, "utf-8", "skip")
    label = target or (like.target.names[0] if like is not None else "label")
    check_columns(nodes, [_ID, *([label] if wanted else []), *ignore])
    check_columns(edges, _ENDS)
    problems = [*nodes.problems, *edges.problems]
    names = [column.name for column in like.columns] if like is not None else [
        name for name in nodes.columns if name not in (_ID, _SPLIT, label, *ignore)
    ]  # fmt: skip
    check_columns(nodes, names)
    features, good = _numbers(nodes, names, problems)
    place = {str(cell): number for number, cell in enumerate(nodes.columns[_ID][good].tolist())}
    if len(place) < int(good.sum()):
        raise DataError("{source}: an id stands there twice; give every node its own", source=nodes.source)
    pairs, given = _edges(edges, place, problems)
    attributes = given if given.shape[1] else None
    split = _split(nodes, good) if _SPLIT in nodes.columns else None
    return _Read(
        str(folder), {"nodes": features, "edges": pairs, "edge_attr": attributes},
        nodes.columns[label][good] if wanted else None, split, label,
        len(nodes) + len(edges) + len(nodes.problems) + len(edges.problems), tuple(names), problems,
    )  # fmt: skip


def _numbers(
    table: RawTable, names: Sequence[str], problems: list[BadRow]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Features of the rows that have all of them, and which rows these are; the others become problems.

    Raises:
        DataError: a column of words.
    """
    made = np.full((len(table), len(names)), np.nan)
    for k, name in enumerate(names):
        cells = table.columns[name].tolist()
        for row, cell in enumerate(cells):
            made[row, k] = _number(cell)
        if len(cells) and np.isnan(made[:, k]).all():
            template = "{source}: column {name} holds no numbers ({cell!r}, …); add it to data.ignore, or write numbers"
            raise DataError(template, source=table.source, name=name, cell=str(cells[0])[:30])
    lacking = np.isnan(made)
    for row in np.flatnonzero(lacking.any(1)).tolist():
        name = names[int(np.flatnonzero(lacking[row])[0])]
        problems.append(BadRow(table.place(row), say("{name} is missing or no number", name=name)))
    good = ~lacking.any(1)
    return made[good], good


def _edges(
    table: RawTable, place: Mapping[str, int], problems: list[BadRow]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Edges between nodes that are there, and their features; the others become problems."""
    ends = [[place.get(str(cell), -1) for cell in table.columns[name].tolist()] for name in _ENDS]
    pairs = np.array(ends, dtype=np.int64).reshape(2, -1).T
    features, good = _numbers(table, [name for name in table.columns if name not in _ENDS], problems)
    for row in np.flatnonzero((pairs < 0).any(1) & good).tolist():
        unknown = table.columns[_ENDS[int(pairs[row, 0] >= 0)]][row]
        problems.append(BadRow(table.place(row), say("no node has the id {name}", name=unknown)))
    there = np.asarray((pairs >= 0).all(axis=1), dtype=bool)
    return pairs[good & there], features[there[good]]


def _number(cell: Any) -> float:
    if is_missing(cell):
        return np.nan
    for read in (float, truth):
        try:
            value = read(cell)
        except (TypeError, ValueError):
            continue
        return value if np.isfinite(value) else np.nan
    return np.nan


def _split(table: RawTable, good: NDArray[np.bool_]) -> NDArray[np.int8]:
    """The part of each node; those of no part stay in the graph and are not asked for.

    Raises:
        DataError: a part that is not known.
    """
    cells = ["" if is_missing(cell) else str(cell).strip().lower() for cell in table.columns[_SPLIT].tolist()]
    for row, cell in enumerate(cells):
        if cell and cell not in _PARTS:
            template = "{place}: split is {cell!r}; expected train, validation, test, or nothing"
            raise DataError(template, place=table.place(row), cell=cell)
    return np.array([_PARTS.get(cell, _NO_PART) for cell in cells], dtype=np.int8)[good]
