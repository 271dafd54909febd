"""What layers on graphs share: sums along edges, softmax over them, pooling by graph, and the checks of their input.

An edge (j, i) carries what node j has to say to node i. All of it is gathering and scattering rows, whose cost grows
with the edges; sums run in the order of the edges, so they are the same every time on a CPU.
Letters: ``N`` nodes, ``E`` edges, ``G`` graphs, ``D`` width, ``H`` heads, ``A`` features of an edge.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from netwright.core.errors import ConfigError

__all__ = ["GraphPooling", "Level", "PoolName", "check_graph", "count_graphs", "gathered", "softmax_over", "summed"]

Level = Literal["node", "graph"]
PoolName = Literal["mean", "sum", "max"]


def gathered(x_ND: Tensor, index_E: Tensor) -> Tensor:
    """The rows of `x` that `index` names. Shapes: [N, ...], [E] -> [E, ...]."""
    return x_ND.gather(0, _wide(index_E, x_ND))


def summed(values_ED: Tensor, index_E: Tensor, count: int) -> Tensor:
    """The sum of the rows that go to each of `count` places; 0 where none does. Shapes: [E, ...], [E] -> [count, ...].

    A scatter with a spread-out index: on a CPU `index_add` adds row by row and takes many times longer.
    """
    return values_ED.new_zeros(count, *values_ED.shape[1:]).scatter_add(0, _wide(index_E, values_ED), values_ED)


def softmax_over(scores_EH: Tensor, index_E: Tensor, count: int) -> Tensor:
    """Softmax among the rows that go to the same place, each head by itself. Shapes: [E, H], [E] -> [E, H].

    A score of minus infinity gets nothing; every place that has rows must have a finite one among them.
    """
    wide_EH = _wide(index_E, scores_EH)
    lowest = torch.full((count, *scores_EH.shape[1:]), -torch.inf, dtype=scores_EH.dtype, device=scores_EH.device)
    most = lowest.scatter_reduce(0, wide_EH, scores_EH.detach(), "amax")
    share_EH = (scores_EH - most.gather(0, wide_EH)).exp()
    return share_EH / gathered(summed(share_EH, index_E, count), index_E)


class GraphPooling(nn.Module):
    """One vector a graph from those of its nodes: their mean, sum, or largest value of each feature.

    A graph without nodes has zeros. Without an index all nodes are of one graph.

    Shapes:
        [N, D], graph_index [N] int64 from 0 on -> [G, D], G one more than the largest index
    """

    def __init__(self, kind: PoolName = "mean") -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x_ND: Tensor, graph_index: Tensor | None = None) -> Tensor:
        index_N = x_ND.new_zeros(x_ND.shape[0], dtype=torch.int64) if graph_index is None else graph_index
        count = count_graphs(graph_index)
        if self.kind == "max":
            lowest = torch.full((count, x_ND.shape[1]), -torch.inf, dtype=x_ND.dtype, device=x_ND.device)
            most_GD = lowest.scatter_reduce(0, _wide(index_N, x_ND), x_ND, "amax")
            return torch.where(most_GD == -torch.inf, torch.zeros_like(most_GD), most_GD)
        total_GD = summed(x_ND, index_N, count)
        if self.kind == "sum":
            return total_GD
        nodes_G = summed(torch.ones_like(index_N), index_N, count)
        return total_GD / nodes_G.clamp(min=1)[:, None].to(x_ND.dtype)

    def extra_repr(self) -> str:
        """The kind."""
        return self.kind


def count_graphs(graph_index: Tensor | None) -> int:
    """How many graphs a batch holds; one without an index, and where shapes alone are known."""
    if graph_index is None or graph_index.device.type == "meta" or not graph_index.numel():
        return 1
    return int(graph_index.max()) + 1


def check_graph(
    nodes_ND: Tensor, edges_2E: Tensor, edge_attr: Tensor | None, graph_index: Tensor | None, sizes: tuple[int, int]
) -> Tensor | None:
    """Refuse a graph that does not fit a network built for `sizes` = (in_features, edge_features).

    Numbers of nodes are looked at on the CPU only: elsewhere it would wait for the device.

    Shapes:
        -> the edges' features [E, A] that the network reads; None where it reads none

    Raises:
        ConfigError: another number of features, edges that are not [2, E] int64 or name a node that is not there, rows
            that do not belong to an edge or a node.
    """
    if nodes_ND.dim() != 2 or nodes_ND.shape[1] != sizes[0]:
        template = "this network takes nodes [N, {wanted}], got {got}; build it with in_features={width}"
        width = nodes_ND.shape[-1] if nodes_ND.dim() else 1
        raise ConfigError(template, wanted=sizes[0], got=list(nodes_ND.shape), width=width)
    if edges_2E.dim() != 2 or edges_2E.shape[0] != 2 or edges_2E.dtype != torch.int64:
        template = "edges are {got} of {dtype}; expected [2, E] of int64: from which node, and to which"
        raise ConfigError(template, got=list(edges_2E.shape), dtype=str(edges_2E.dtype).removeprefix("torch."))
    _check_rows(nodes_ND, edges_2E, edge_attr, graph_index)
    _check_numbers(edges_2E, nodes_ND.shape[0])
    width = 0 if edge_attr is None else edge_attr.shape[1]
    if sizes[1] and width != sizes[1]:
        template = "this network takes {wanted} features an edge, got {got}; build it with edge_features={got}"
        raise ConfigError(template, wanted=sizes[1], got=width)
    return edge_attr if sizes[1] else None


def _check_rows(nodes: Tensor, edges: Tensor, edge_attr: Tensor | None, graph_index: Tensor | None) -> None:
    if edge_attr is not None and (edge_attr.dim() != 2 or edge_attr.shape[0] != edges.shape[1]):
        template = "edge_attr is {got} for {count} edges; expected a row of features an edge, [E, A]"
        raise ConfigError(template, got=list(edge_attr.shape), count=edges.shape[1])
    if graph_index is not None and graph_index.shape != nodes.shape[:1]:
        template = "graph_index is {got} for {count} nodes; expected the number of a graph for each node, [N]"
        raise ConfigError(template, got=list(graph_index.shape), count=nodes.shape[0])


def _check_numbers(edges: Tensor, nodes: int) -> None:
    if edges.device.type != "cpu" or torch.compiler.is_compiling() or not edges.numel():
        return
    low, high = (int(end) for end in edges.aminmax())
    if low < 0 or high >= nodes:
        template = "an edge names node {got}, and there are {count}; nodes are numbered from 0"
        raise ConfigError(template, got=low if low < 0 else high, count=nodes)


def _wide(index_E: Tensor, like: Tensor) -> Tensor:
    """The index once for every value of a row."""
    return index_E.reshape(-1, *[1] * (like.dim() - 1)).expand(-1, *like.shape[1:])
