"""The graph transformer: every node attends to all nodes of its graph, and the scores know how they are linked.

Ying et al., 2021, "Do transformers really perform bad for graph representation?" (Graphormer): degrees are added to the
nodes, and to the scores a number by the length of the shortest path and one by the edge between two nodes. ``G``
graphs, ``M`` places for the nodes of the largest, ``N`` nodes, ``E`` edges, ``D`` width, ``H`` heads, ``K`` classes.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from netwright.blocks.attention import attend, check_heads, join_bias
from netwright.blocks.feedforward import FeedForward
from netwright.blocks.graph import GraphPooling, Level, PoolName, check_graph, count_graphs, summed
from netwright.blocks.heads import new_head, output_layer
from netwright.core.schemas import Count, Probability, Size

__all__ = ["GraphTransformer"]

_DEGREES = 16  # degrees that are told apart; all higher ones are alike


class _Places(NamedTuple):
    """Nodes side by side, graph by graph. Shapes: the graph [N] and the place [N] of each node; mask [G, M]."""

    graph_N: Tensor
    place_N: Tensor
    mask_GM: Tensor


class _Layer(nn.Module):
    """Attention with the structure's bias, then a feed-forward block, each behind a norm and beside its input.

    Shapes:
        x [G, M, D], bias [G, H, M, M] -> [G, M, D]
    """

    def __init__(self, hidden_size: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(hidden_size), nn.LayerNorm(hidden_size)
        self.query_key_value = nn.Linear(hidden_size, 3 * hidden_size)
        self.project = nn.Linear(hidden_size, hidden_size)
        self.feed_forward = FeedForward(hidden_size, hidden_size, "gelu", dropout)
        self.dropout, self.num_heads = nn.Dropout(dropout), num_heads

    def forward(self, x_GMD: Tensor, bias_GHMM: Tensor) -> Tensor:
        graphs, places, width = x_GMD.shape
        heads = self.query_key_value(self.attention_norm(x_GMD)).view(graphs, places, 3, self.num_heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4).unbind(0)
        seen_GHME = attend(query, key, value, bias_GHMM, dropout=self.dropout.p if self.training else 0.0)
        x_GMD = x_GMD + self.dropout(self.project(seen_GHME.transpose(1, 2).reshape(graphs, places, width)))
        out: Tensor = x_GMD + self.feed_forward(self.feed_forward_norm(x_GMD))
        return out


class GraphTransformer(nn.Module):
    """Linear -> + degrees -> [norm, attention, norm, feed-forward] x depth -> norm -> head, of each node or each graph.

    Work and memory grow with the square of the largest graph: it is for molecules and the like, and for single graphs
    of up to a few thousand nodes. The hidden width of the feed-forward block is that of the nodes, as in the paper.

    Differs from the paper: a graph's vector is pooled from its nodes in place of a node that is linked to all; the edge
    term of two nodes is of the edge between them alone, not a mean over the shortest path; nodes that no path links, or
    only one longer than `max_distance`, share one bias.

    level: what is to be named. max_distance: steps of a shortest path that are told apart.

    Shapes:
        nodes [N, in_features], edges [2, E] int64, edge_attr [E, edge_features], graph_index [N] int64 or None (one
        graph) -> [N, num_classes] of nodes, [G, num_classes] of graphs; features: the same with `hidden_size`

    Raises:
        ConfigError: `num_heads` does not divide `hidden_size`; in `forward`, a graph that does not fit, see
            `blocks.graph.check_graph`.
    """

    def __init__(
        self,
        in_features: Size = 16,
        num_classes: Size = 2,
        edge_features: Count = 0,
        level: Level = "graph",
        hidden_size: Size = 64,
        num_heads: Size = 4,
        num_layers: Size = 4,
        max_distance: Size = 6,
        dropout: Probability = 0.1,
        pooling: PoolName = "mean",
    ) -> None:
        super().__init__()
        check_heads(num_heads, hidden_size)
        self.sizes, self.level, self.max_distance = (in_features, edge_features), level, max_distance
        self.nodes = output_layer(in_features, hidden_size)
        self.coming, self.going = (nn.Embedding(_DEGREES, hidden_size) for _ in range(2))
        self.distance = nn.Embedding(max_distance + 2, num_heads)
        self.edge = nn.Linear(edge_features, num_heads, bias=False) if edge_features else None
        for table in (self.coming, self.going, self.distance):
            nn.init.normal_(table.weight, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(_Layer(hidden_size, num_heads, dropout) for _ in range(num_layers))
        self.norm, self.pooling = nn.LayerNorm(hidden_size), GraphPooling(pooling)
        self.head = output_layer(hidden_size, num_classes)

    def features(
        self, nodes_NF: Tensor, edges_2E: Tensor, edge_attr: Tensor | None = None, graph_index: Tensor | None = None
    ) -> Tensor:
        """What the head is given: [N, D] of nodes, [G, D] of graphs."""
        seen = check_graph(nodes_NF, edges_2E, edge_attr, graph_index, self.sizes)
        x_ND = self.dropout(self.nodes(nodes_NF) + self._degrees(edges_2E, nodes_NF.shape[0]))
        at = _side_by_side(nodes_NF, graph_index)
        bias_GHMM = self._bias(edges_2E, seen, at, x_ND.dtype)
        x_GMD = x_ND.new_zeros(*at.mask_GM.shape, x_ND.shape[1]).index_put((at.graph_N, at.place_N), x_ND)
        for layer in self.layers:
            x_GMD = layer(x_GMD, bias_GHMM)
        out: Tensor = self.norm(x_GMD[at.graph_N, at.place_N])
        return out if self.level == "node" else self.pooling(out, graph_index)

    def forward(
        self, nodes_NF: Tensor, edges_2E: Tensor, edge_attr: Tensor | None = None, graph_index: Tensor | None = None
    ) -> Tensor:
        """Scores before any softmax: [N, K] of nodes, [G, K] of graphs."""
        logits: Tensor = self.head(self.features(nodes_NF, edges_2E, edge_attr, graph_index))
        return logits

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh head for `num_classes` classes; the layers before it stay."""
        self.head = new_head(self.head, num_classes)

    def _degrees(self, edges_2E: Tensor, nodes: int) -> Tensor:
        """What the number of edges that come in and go out adds to each node, [N, D]; loops do not count."""
        counted_E = (edges_2E[0] != edges_2E[1]).long()
        going_N, coming_N = (summed(counted_E, ends_E, nodes).clamp(max=_DEGREES - 1) for ends_E in edges_2E)
        degrees: Tensor = self.coming(coming_N) + self.going(going_N)
        return degrees

    def _bias(self, edges_2E: Tensor, edge_attr: Tensor | None, at: _Places, dtype: torch.dtype) -> Tensor:
        """What is added to the scores of each pair, [G, H, M, M]: row the node that looks, column the one looked at."""
        graph_E, from_E, to_E = at.graph_N[edges_2E[0]], at.place_N[edges_2E[0]], at.place_N[edges_2E[1]]
        graphs, places = at.mask_GM.shape
        linked_GMM = torch.zeros(graphs, places, places, device=edges_2E.device)
        linked_GMM = linked_GMM.index_put((graph_E, to_E, from_E), torch.ones_like(graph_E, dtype=torch.float32))
        bias_GMMH = self.distance(_distances(linked_GMM, self.max_distance))
        if self.edge is not None and edge_attr is not None:
            told_EH = self.edge(edge_attr).to(bias_GMMH.dtype)
            bias_GMMH = bias_GMMH.index_put((graph_E, to_E, from_E), told_EH, accumulate=True)
        joined = join_bias(bias_GMMH.permute(0, 3, 1, 2), at.mask_GM, dtype)
        assert joined is not None
        return joined


def _side_by_side(nodes_NF: Tensor, graph_index: Tensor | None) -> _Places:
    """Where each node stands among those of its graph."""
    count, device = nodes_NF.shape[0], nodes_NF.device
    if graph_index is None or device.type == "meta":
        own = torch.arange(count, device=device)
        return _Places(torch.zeros_like(own), own, torch.ones(1, count, dtype=torch.bool, device=device))
    graphs = count_graphs(graph_index)
    nodes_G = torch.bincount(graph_index, minlength=graphs)
    order = graph_index.argsort(stable=True)
    starts_G = nodes_G.cumsum(0) - nodes_G
    place_N = torch.empty_like(order)
    place_N[order] = torch.arange(count, device=device) - starts_G[graph_index[order]]
    mask_GM = torch.arange(int(nodes_G.max()), device=device) < nodes_G[:, None]
    return _Places(graph_index, place_N, mask_GM)


def _distances(linked_GMM: Tensor, most: int) -> Tensor:
    """Steps of the shortest path from column to row, `most` + 1 where there is none so short. Shapes: -> [G, M, M]."""
    own = torch.eye(linked_GMM.shape[1], device=linked_GMM.device).expand_as(linked_GMM)
    steps = torch.where(own > 0, 0, most + 1)
    reached = own
    for step in range(1, most + 1):
        reached = (torch.matmul(linked_GMM, reached) > 0).float()
        steps = torch.where((reached > 0) & (steps > step), step, steps)
    return steps
