"""Graphs as a data set: many of them, each an example, or a single one whose nodes are the examples.

Graphs lie end to end in a few tensors, so that a batch of any of them is a few gathers. Of a single graph every part
of the split keeps all nodes and edges: what is held out are the labels (the transductive setting).
Letters: V nodes and M edges of all graphs together, G graphs, N nodes of one graph, E edges, F features, A features of
an edge.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from torch import Tensor

from netwright.data.dataset import BadRow, Dataset
from netwright.data.schema import Schema

__all__ = ["Graph", "GraphDataset", "Graphs", "NodeDataset", "both_ways", "graph_statistics"]


class Graph(NamedTuple):
    """One graph. Shapes: nodes (N, F) float32, edges (2, E) int64, attributes of edges (E, A) float32."""

    nodes: Tensor
    edges: Tensor
    attributes: Tensor


@final
@dataclass(frozen=True)
class Graphs:
    """Graphs end to end; their edges are numbered within each graph.

    Shapes: nodes (V, F), edges (2, M), attributes (M, A); where each graph's nodes and edges begin, (G + 1,) int64 on
    the CPU, so that which rows make a batch is known without waiting for a device.
    """

    nodes: Tensor
    edges: Tensor
    attributes: Tensor
    node_starts: Tensor
    edge_starts: Tensor

    @classmethod
    def of(cls, graphs: Sequence[Graph]) -> "Graphs":
        """From one or more graphs."""
        counts = torch.tensor([[len(graph.nodes), graph.edges.shape[1]] for graph in graphs])
        starts = torch.cat([torch.zeros(1, 2, dtype=torch.int64), counts.cumsum(0)])
        nodes, edges, attributes = zip(*graphs, strict=True)
        return cls(torch.cat(nodes), torch.cat(edges, 1), torch.cat(attributes), starts[:, 0], starts[:, 1])

    def __len__(self) -> int:
        return len(self.node_starts) - 1

    def __getitem__(self, i: int) -> Graph:
        """One graph."""
        nodes = slice(int(self.node_starts[i]), int(self.node_starts[i + 1]))
        edges = slice(int(self.edge_starts[i]), int(self.edge_starts[i + 1]))
        return Graph(self.nodes[nodes], self.edges[:, edges], self.attributes[edges])

    def picked(self, index: Tensor) -> "Graphs":
        """Some of the graphs. Shapes: index (B,) on the CPU."""
        node_rows, node_starts = _stretches(self.node_starts, index)
        edge_rows, edge_starts = _stretches(self.edge_starts, index)
        nodes, edges = self.nodes.index_select(0, node_rows.to(self.nodes.device)), edge_rows.to(self.nodes.device)
        return Graphs(
            nodes, self.edges.index_select(1, edges), self.attributes.index_select(0, edges), node_starts, edge_starts
        )

    def union(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """All graphs as one that falls apart into them.

        Shapes: -> nodes (V, F), edges (2, M) numbered among all nodes, attributes (M, A), graph of each node (V,).
        """
        graph_index = torch.repeat_interleave(torch.arange(len(self)), self.node_starts.diff())
        shift = torch.repeat_interleave(self.node_starts[:-1], self.edge_starts.diff())
        device = self.nodes.device
        return self.nodes, self.edges + shift.to(device), self.attributes, graph_index.to(device)

    def to(self, device: torch.device) -> "Graphs":
        """The same on a device."""
        nodes, edges, attributes = (part.to(device) for part in (self.nodes, self.edges, self.attributes))
        return Graphs(nodes, edges, attributes, self.node_starts, self.edge_starts)


def _stretches(starts: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of chosen stretches one after the other, and where each begins among them."""
    lengths = starts[index + 1] - starts[index]
    begins = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    shift = torch.repeat_interleave(starts[index] - begins[:-1], lengths)
    return torch.arange(int(begins[-1])) + shift, begins


@final
class GraphDataset(Dataset):
    """Many graphs with a target each.

    Shapes: targets (G,) or (G, K); `read(i)` gives the nodes of a graph (N, F) and its target.
    """

    def __init__(
        self, graphs: Graphs, targets: Tensor, schema: Schema, name: str, problems: Sequence[BadRow] = ()
    ) -> None:
        self.graphs, self.targets, self.schema, self.name = graphs, targets, schema, name
        self.problems = list(problems)

    def __len__(self) -> int:
        return len(self.graphs)

    def read(self, i: int) -> tuple[Tensor, Tensor]:
        """The nodes of a graph, and its target."""
        return self.graphs[i].nodes, self.targets[i]

    def tensors(self) -> None:
        """Nothing: graphs differ in size, and do not stack."""
        return

    def subset(self, indices: Tensor) -> "GraphDataset":
        """Some of the graphs; their values are copied."""
        return GraphDataset(self.graphs.picked(indices), self.targets[indices], self.schema, self.name, self.problems)

    def with_schema(self, schema: Schema) -> "GraphDataset":
        """The same graphs under another schema."""
        return GraphDataset(self.graphs, self.targets, schema, self.name, self.problems)

    def labels(self) -> Tensor:
        """The targets."""
        return self.targets

    def parts(self) -> tuple[Tensor, ...]:
        """All that it holds."""
        whole = self.graphs
        return whole.nodes, whole.edges, whole.attributes, whole.node_starts, whole.edge_starts, self.targets


@final
class NodeDataset(Dataset):
    """Some nodes of one graph, each with a target; all of the graph stays in sight.

    Shapes: targets (N,) of all nodes, whatever it be where a node is in no part; rows (n,) int64, the nodes that count.
    """

    def __init__(
        self, graph: Graph, targets: Tensor, rows: Tensor, schema: Schema, name: str, problems: Sequence[BadRow] = ()
    ) -> None:
        self.graph, self.targets, self.rows, self.schema, self.name = graph, targets, rows, schema, name
        self.problems = list(problems)

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, i: int) -> tuple[Tensor, Tensor]:
        """Features and target of a node."""
        return self.graph.nodes[self.rows[i]], self.targets[self.rows[i]]

    def tensors(self) -> None:
        """Nothing: nodes without their edges are no examples."""
        return

    def subset(self, indices: Tensor) -> "NodeDataset":
        """Some of the nodes that count, in the same graph."""
        return NodeDataset(self.graph, self.targets, self.rows[indices], self.schema, self.name, self.problems)

    def with_schema(self, schema: Schema) -> "NodeDataset":
        """The same nodes under another schema."""
        return NodeDataset(self.graph, self.targets, self.rows, schema, self.name, self.problems)

    def labels(self) -> Tensor:
        """The targets of the nodes that count. Shapes: -> (n,)."""
        return self.targets[self.rows]

    def parts(self) -> tuple[Tensor, ...]:
        """All that it holds."""
        return *self.graph, self.rows, self.labels()


def both_ways(edges: Tensor, attributes: Tensor) -> tuple[Tensor, Tensor]:
    """Every edge in both directions, each once, ordered by its ends; what stands first says the features.

    Shapes: (2, E), (E, A) -> (2, E'), (E', A)
    """
    there_and_back, both = torch.cat([edges, edges.flip(0)], 1), torch.cat([attributes, attributes])
    key = there_and_back[0] * (int(there_and_back.max()) + 1 if edges.numel() else 1) + there_and_back[1]
    order = key.argsort(stable=True)
    first = torch.cat([torch.ones(min(len(key), 1), dtype=torch.bool), key[order].diff() != 0])
    return there_and_back[:, order[first]], both[order[first]]


def graph_statistics(dataset: GraphDataset | NodeDataset) -> dict[str, float]:
    """How many graphs, nodes, edges (each way one) and nodes without an edge; nodes a graph on average."""
    graphs = dataset.graphs if isinstance(dataset, GraphDataset) else Graphs.of([dataset.graph])
    nodes, edges, *_ = graphs.union()
    linked = torch.zeros(len(nodes), dtype=torch.bool)
    linked[edges.flatten()] = True
    counts = {"graphs": len(graphs), "nodes": len(nodes), "edges": edges.shape[1], "isolated": int((~linked).sum())}
    return counts | {"nodes a graph": round(len(nodes) / len(graphs), 1)}
