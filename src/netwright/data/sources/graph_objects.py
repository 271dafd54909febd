"""One graph from what a user has at hand: lists, arrays, a line of JSON, or an object such as PyTorch Geometric's Data.

Nothing of that library is imported: an object with `edge_index` is read by its usual names (`x`, `edge_index`,
`edge_attr`, `y`, `train_mask`, `val_mask`, `test_mask`).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netwright.core.errors import DataError
from netwright.data.graphs import Graph, both_ways
from netwright.data.schema import Schema

__all__ = ["arrays_of", "is_graph", "made_graph", "of_objects", "read_graph", "table_of"]


def is_graph(value: Any) -> bool:
    """Whether an object is a graph."""
    return hasattr(value, "edge_index") or (isinstance(value, Mapping) and {"nodes", "edges"} <= value.keys())


def read_graph(x: Any, schema: Schema) -> Graph:
    """A graph of a user's, read by the schema of training.

    Args:
        x: a folder or `.npz` file of a single graph, its JSON, a dictionary {nodes, edges, edge_attr}, or an object
            with `edge_index`.

    Raises:
        DataError: it is none of them, or it differs from the graphs of training.
    """
    shape = schema.graph
    assert shape is not None
    if isinstance(x, str | Path) and not str(x).lstrip().startswith("{"):
        from netwright.data.sources.node_graph import read_single

        return read_single(str(x), schema)
    if isinstance(x, str):
        try:
            x = json.loads(x)
        except ValueError as error:
            raise DataError("{text} is not JSON ({error})", text=x[:60], error=error) from error
    if not is_graph(x):
        template = "input of kind {kind} is no graph; give {{nodes, edges}}, or an object with x and edge_index"
        raise DataError(template, kind=type(x).__name__)
    return made_graph(_parts(x), shape.directed, schema.input_shape[0], shape.edge_features)


def made_graph(
    parts: Mapping[str, Any], directed: bool = False, width: int | None = None, edge_width: int | None = None
) -> Graph:
    """A graph of its `nodes`, `edges` and perhaps `edge_attr`; without a direction every edge goes both ways.

    Args:
        width, edge_width: numbers of features that it must have.

    Shapes: nodes (N, F), or (N,) for a single feature; edges (E, 2) pairs; edge_attr (E, A) or (E,).

    Raises:
        DataError: saying what does not fit together.
    """
    nodes = table_of(parts["nodes"], "nodes")
    if not len(nodes) or not nodes.shape[1]:
        raise DataError("a graph without nodes, or nodes without features")
    _see_width("nodes", nodes, width)
    edges = _pairs(parts["edges"], len(nodes))
    given = parts.get("edge_attr")
    attributes = torch.zeros(edges.shape[1], 0) if given is None else table_of(given, "edge_attr", edges.shape[1])
    if len(attributes) != edges.shape[1]:
        template = "edge_attr has {got} rows for {count} edges"
        raise DataError(template, got=len(attributes), count=edges.shape[1])
    if len(attributes) or edge_width == 0:
        _see_width("edge_attr", attributes, edge_width)
    else:
        attributes = attributes.new_zeros(0, edge_width or 0)
    return Graph(nodes, *((edges, attributes) if directed else both_ways(edges, attributes)))


def table_of(values: Any, name: str, rows: int | None = None) -> Tensor:
    """Numbers as a table. Shapes: -> (N, F) float32.

    Raises:
        DataError: they are none.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    try:
        table = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError("{name} is no table of numbers, the same number of them in each row", name=name) from error
    table = table.reshape(rows or 0, 0) if not table.size else table.reshape(len(table), -1) if table.ndim else table
    if table.ndim != 2 or not np.isfinite(table).all():
        raise DataError("{name} holds values that are missing or no numbers", name=name)
    return torch.from_numpy(table).float()


def _pairs(values: Any, nodes: int) -> Tensor:
    """Edges by the numbers of their nodes. Shapes: (E, 2) -> (2, E) int64."""
    pairs = table_of(values, "edges", 0)
    if not len(pairs):
        return torch.zeros(2, 0, dtype=torch.int64)
    if pairs.shape[1] != 2:
        raise DataError("edges have {got} ends; expected pairs of nodes", got=pairs.shape[1])
    wrong = (pairs < 0) | (pairs >= nodes) | (pairs != pairs.trunc())
    if bool(wrong.any()):
        row = int(wrong.any(1).nonzero()[0])
        template = "edge {edge} names a node that is not there; the nodes are numbered from 0 to {last}"
        raise DataError(template, edge=[f"{end:g}" for end in pairs[row].tolist()], last=nodes - 1)
    return pairs.long().T.contiguous()


def _see_width(name: str, table: Tensor, width: int | None) -> None:
    if width is not None and table.shape[1] != width:
        template = "{name} has {got} features a row; expected {width}"
        raise DataError(template, name=name, got=table.shape[1], width=width)


def _parts(x: Any) -> Mapping[str, Any]:
    """The parts under our names."""
    if isinstance(x, Mapping):
        return x
    ends = x.edge_index
    ends = ends.detach().cpu().numpy() if isinstance(ends, Tensor) else np.asarray(ends)
    return {"nodes": x.x, "edges": ends.T, "edge_attr": getattr(x, "edge_attr", None)}


def of_objects(graphs: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Objects as the rows that a file of graphs has; they say both directions themselves."""
    return [{**_parts(graph), "y": _target(graph)} for graph in graphs]


def _target(graph: Any) -> Any:
    value = graph.get("y") if isinstance(graph, Mapping) else getattr(graph, "y", None)
    values = value.detach().cpu().reshape(-1).tolist() if isinstance(value, Tensor) else value
    return values[0] if isinstance(values, list) and len(values) == 1 else values




def arrays_of(graph: Any) -> dict[str, Any]:
    """One graph as the arrays that a file of it has."""
    if isinstance(graph, Mapping):
        ends = np.asarray(graph["edges"]).reshape(-1, 2).T
        return {"x": graph["nodes"], "edge_index": ends, "edge_attr": graph.get("edge_attr"), "y": graph.get("y")}
    names = ("x", "edge_index", "edge_attr", "y", "train_mask", "val_mask", "test_mask")
    held = {name: getattr(graph, name, None) for name in names}
    return {name: value.detach().cpu().numpy() if isinstance(value, Tensor) else value for name, value in held.items()}
