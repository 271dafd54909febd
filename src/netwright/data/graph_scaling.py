"""What a network of graphs is given: features of nodes and of edges with mean 0 and deviation 1 over the training part.

Features that are all 0 or 1 - words that occur, kinds of atoms - stay as they are. Letters: V nodes, M edges, F
features of a node, A of an edge.
"""

from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor

from netwright.data.dataset import Dataset
from netwright.data.graphs import Graph, GraphDataset, Graphs, NodeDataset
from netwright.data.preprocess import Preprocessor, deviation
from netwright.data.schema import Schema

__all__ = ["GraphPreprocessor"]


@final
class GraphPreprocessor(Preprocessor):
    """Scales graphs.

    Args:
        mean, std: of each feature of nodes; edge_mean, edge_std: of each feature of edges.

    Shapes: raw nodes (V, F) -> (V, F) float32; `edges` of raw features (M, A) -> (M, A) float32.
    """

    kind = "graph"

    def __init__(
        self, schema: Schema, mean: list[float], std: list[float], edge_mean: list[float], edge_std: list[float]
    ) -> None:
        super().__init__(schema)
        self._mean, self._std, self._edge_mean, self._edge_std = mean, std, edge_mean, edge_std

    @classmethod
    def fitted(cls, train: Dataset) -> "GraphPreprocessor":
        """From the training graphs, or the training nodes of one; edges belong to no part, and all of them are seen."""
        if isinstance(train, NodeDataset):
            nodes, edges = train.graph.nodes[train.rows], train.graph.attributes
        else:
            assert isinstance(train, GraphDataset)
            nodes, edges = train.graphs.nodes, train.graphs.attributes
        as_given = train.schema.as_given
        return cls(train.schema, *_scale(nodes, as_given), *_scale(edges, as_given))

    @classmethod
    def restored(cls, schema: Schema, values: Mapping[str, Any]) -> "GraphPreprocessor":
        """From `values`."""
        return cls(schema, *(list(values[name]) for name in ("mean", "std", "edge_mean", "edge_std")))

    def values(self) -> dict[str, Any]:
        """Mean and deviation of each feature."""
        nodes = {"mean": self._mean, "std": self._std}
        return nodes | {"edge_mean": self._edge_mean, "edge_std": self._edge_std}

    def floats(self, raw: Tensor) -> Tensor:
        """As float32."""
        return raw.float()

    def normalise(self, x: Tensor) -> Tensor:
        """Features of nodes, scaled."""
        return (x - self._constant("mean", self._mean, x)) / self._constant("std", self._std, x)

    def edges(self, raw: Tensor) -> Tensor:
        """Features of edges, scaled."""
        x = raw.float()
        return (x - self._constant("edge mean", self._edge_mean, x)) / self._constant("edge std", self._edge_std, x)

    def ready(self, graphs: Graphs) -> Graphs:
        """The same graphs as the network takes them."""
        nodes, edges = self.inputs(graphs.nodes), self.edges(graphs.attributes)
        return Graphs(nodes, graphs.edges, edges, graphs.node_starts, graphs.edge_starts)

    def graph(self, x: Any) -> Graph:
        """One graph of a user's: a folder or file of one, a dictionary of lists, or an object such as PyG's Data.

        Raises:
            DataError: it is none, or other features than those of training.
        """
        from netwright.data.sources.graph_objects import read_graph

        return read_graph(x, self.schema)

    def raw(self, x: Any) -> Tensor:
        """The nodes of one graph; see `graph`."""
        return self.graph(x).nodes

    def batch(self, inputs: Sequence[Any]) -> Tensor | tuple[Tensor, ...]:
        """Graphs of a user's as one that falls apart into them, ready for the network."""
        return self.ready(Graphs.of([self.graph(x) for x in inputs])).union()


def _scale(values: Tensor, as_given: bool) -> tuple[list[float], list[float]]:
    """Mean and deviation of each column; 0 and 1 for columns that stay as they are."""
    values = values.double()
    if not values.numel():
        return [0.0] * values.shape[1], [1.0] * values.shape[1]
    kept = ((values == 0) | (values == 1)).all(0) | torch.tensor(as_given)
    mean, std = torch.where(kept, 0.0, values.mean(0)), torch.where(kept, 1.0, deviation(values))
    return mean.tolist(), std.tolist()
