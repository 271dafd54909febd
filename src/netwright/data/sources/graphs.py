"""Many graphs in a file, one a line: {"nodes": [[…]], "edges": [[i, j], …], "edge_attr": [[…]], "y": …}.

Nodes are numbered from 0 in each graph, and every edge goes both ways unless `directed` says otherwise.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netwright.core.errors import DataError
from netwright.core.messages import say
from netwright.data.alike import target_values
from netwright.data.dataset import BadRow
from netwright.data.graphs import Graph, GraphDataset, Graphs
from netwright.data.policy import Bad, nearest, settle
from netwright.data.schema import GraphShape, Schema, Target
from netwright.data.sources.delimited import read_lines
from netwright.data.sources.graph_objects import is_graph, made_graph
from netwright.data.sources.loaded import Loaded, Origin, official_parts
from netwright.data.table import RawTable
from netwright.data.targets import Wanted, make_target

__all__ = ["GraphRows", "holds_graphs", "load", "of_rows"]

_PEEK = 1 << 16  # bytes of a file that show what its lines are


def holds_graphs(path: Path) -> bool:
    """Whether the lines of a file are graphs, by how its first one begins."""
    if path.suffix.lower() not in (".jsonl", ".ndjson") or not path.is_file():
        return False
    with path.open("rb") as file:
        first = file.read(_PEEK).lstrip().split(b"\n")[0]
    return first.startswith(b"{") and b'"nodes"' in first and (b'"edges"' in first or len(first) == _PEEK)


@dataclass
class GraphRows:
    """Graphs as they were read, with the place and the part (a code into `PARTS`) of each."""

    source: str
    rows: list[Mapping[str, Any]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)
    problems: list[BadRow] = field(default_factory=list)


def load(
    path: str,
    *,
    target: str | list[str] | None = None,
    target_kind: Wanted | None = None,
    directed: bool = False,
    validation_path: str | None = None,
    test_path: str | None = None,
    bad: Bad | None = None,
    split: dict[str, Any] | None = None,
    like: Schema | None = None,
) -> Loaded:
    """Graphs as JSON lines.

    Args:
        target: the field to be predicted of each graph, or several of numbers; `y` by default.
        directed: edges go from their first node to their second only.
        validation_path, test_path: files of an official split; `path` is then the training part.
        like: a settled schema to read by, for new data (`load_like`).

    Raises:
        DataError: no such file, no graph, a target that cannot be learnt, too many bad lines.
    """
    read = GraphRows(path)
    for code, file in enumerate((path, validation_path, test_path)):
        if file is not None:
            _read(Path(file), code, read)
    if like is not None and like.graph is not None:
        target, directed = target or list(like.target.names), like.graph.directed
    names = [target] if isinstance(target, str) else list(target or ["y"])
    return of_rows(read, names, target_kind=target_kind, directed=directed, bad=bad, like=like)


def of_rows(
    read: GraphRows, names: Sequence[str], *, target_kind: Wanted | None = None, directed: bool = False,
    bad: Bad | None = None, like: Schema | None = None, as_given: bool = False,
) -> Loaded:  # fmt: skip
    """Graphs from dictionaries {nodes, edges, edge_attr} with the fields to be predicted.

    Raises:
        DataError: see `load`.
    """
    reasons: dict[int, str] = {}
    graphs = _graphs(read.rows, directed, like, reasons)
    total = len(read.rows) + len(read.problems)
    if len(reasons) == len(read.rows):  # nothing is left to take targets from
        settle(_problems(read, reasons), total, bad, read.source)
        raise DataError("{source} holds no graph; there is nothing to learn from", source=read.source)
    target, values = _target(read, names, target_kind, like, reasons)
    problems = _problems(read, reasons)
    settle(problems, total, bad, read.source)
    kept = [row for row in range(len(read.rows)) if row not in reasons]
    first = graphs[kept[0]]
    shape = GraphShape("graph", first.attributes.shape[1], directed)
    schema = like or Schema("graph", (first.nodes.shape[1],), "float32", target, as_given=as_given, graph=shape)
    made = Graphs.of([graphs[row] for row in kept])
    dataset = GraphDataset(made, values[kept], schema, Path(read.source).name, problems)
    official = official_parts(torch.tensor([read.parts[row] for row in kept], dtype=torch.int8))
    places = [read.places[row] for row in kept]
    return Loaded(dataset, Origin(read.source), total, problems, official, place=lambda row: places[row])


def _read(path: Path, code: int, read: GraphRows) -> None:
    """Add the lines of a file."""
    lines, undecodable = read_lines(path, "utf-8")
    read.problems += undecodable
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            read.problems.append(BadRow(place, say("not JSON: {error}", error=error)))
            continue
        if not is_graph(row):
            read.problems.append(BadRow(place, say("no graph: expected an object with nodes and edges")))
            continue
        read.rows.append(row)
        read.places.append(place)
        read.parts.append(code)


def _graphs(
    rows: Sequence[Mapping[str, Any]], directed: bool, like: Schema | None, reasons: dict[int, str]
) -> dict[int, Graph]:
    """The graphs that are whole, by row; the first one says how many features the others must have."""
    made: dict[int, Graph] = {}
    shape = None if like is None or like.graph is None else (like.input_shape[0], like.graph.edge_features)
    for number, row in enumerate(rows):
        try:
            made[number] = graph = made_graph(row, directed, *(shape or (None, None)))
        except DataError as error:
            reasons[number] = str(error)
            continue
        if shape is None and (len(graph.attributes) or row.get("edge_attr") is None):
            shape = graph.nodes.shape[1], graph.attributes.shape[1]
    return made


def _target(
    read: GraphRows, names: Sequence[str], kind: Wanted | None, like: Schema | None, reasons: dict[int, str]
) -> tuple[Target, Tensor]:
    """The target of every row; why a row has none goes into `reasons`."""
    columns = {name: np.array([*(row.get(name) for row in read.rows), None], dtype=object)[:-1] for name in names}
    for name, column in columns.items():
        if all(value is None for value in column):
            known = [key for key in read.rows[0] if key not in ("nodes", "edges", "edge_attr")]
            near = nearest(name, known)
            template = "{source} has no field {name!r} to predict{near}; set data.target"
            raise DataError(template, source=read.source, name=name, near=near)
    if like is not None:
        table = RawTable(read.source, columns, np.arange(len(read.rows)))
        return like.target, target_values(table, like.target, reasons)
    made = make_target(names, list(columns.values()), kind)
    for row, reason in made.bad.items():
        reasons.setdefault(row, reason)
    return made.target, made.values


def _problems(read: GraphRows, reasons: Mapping[int, str]) -> list[BadRow]:
    return [*read.problems, *(BadRow(read.places[row], reasons[row]) for row in sorted(reasons))]
