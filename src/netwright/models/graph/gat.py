"""The graph attention network: every node weighs what its neighbours say, by several heads.

Veličković et al., 2018, "Graph attention networks". ``N`` nodes, ``E`` edges, ``G`` graphs, ``F`` features in, ``A``
features of an edge, ``H`` heads, ``D`` width of all heads together, ``K`` classes.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from netwright.blocks.graph import GraphPooling, Level, PoolName, check_graph
from netwright.blocks.graph_layers import GraphAttention
from netwright.blocks.heads import new_head, output_layer, require_outputs
from netwright.core.schemas import Count, Probability, Size

__all__ = ["GAT"]


class GAT(nn.Module):
    """[attention, heads joined -> ELU -> dropout] x depth, and a head that names each node's class, or the graph's.

    On nodes the head is an attention with a single head of its own and counts as a layer, as in the paper. On graphs
    all layers come first; then the nodes of each graph are pooled and a linear head follows.

    Differs from the paper: no dropout on the input, whose features are often few; features of edges, where there are
    any, take part in the scores.

    level: what is to be named. hidden_size: of one head. dropout: of hidden features and of attention's weights.

    Shapes:
        nodes [N, in_features], edges [2, E] int64, edge_attr [E, edge_features], graph_index [N] int64 or None (one
        graph) -> [N, num_classes] of nodes, [G, num_classes] of graphs; features: the same with the hidden width

    Raises:
        ConfigError: in `forward`, a graph that does not fit, see `blocks.graph.check_graph`.
    """

    def __init__(
        self,
        in_features: Size = 16,
        num_classes: Size = 2,
        edge_features: Count = 0,
        level: Level = "node",
        hidden_size: Size = 8,
        num_heads: Size = 8,
        num_layers: Size = 2,
        dropout: Probability = 0.5,
        pooling: PoolName = "mean",
    ) -> None:
        super().__init__()
        self.sizes, self.level, self.attention_dropout = (in_features, edge_features), level, dropout
        width, self.layers = in_features, nn.ModuleList()
        for _ in range(num_layers - (level == "node")):
            self.layers.append(GraphAttention(width, hidden_size, num_heads, True, dropout, edge_features))
            width = hidden_size * num_heads
        self.dropout, self.pooling = nn.Dropout(dropout), GraphPooling(pooling)
        head = self._attending if level == "node" else output_layer
        self.head: nn.Module = head(width, num_classes)

    def _attending(self, width: int, num_classes: int) -> GraphAttention:
        return GraphAttention(width, num_classes, 1, False, self.attention_dropout, self.sizes[1])

    def features(
        self, nodes_NF: Tensor, edges_2E: Tensor, edge_attr: Tensor | None = None, graph_index: Tensor | None = None
    ) -> Tensor:
        """What the head is given: [N, D] of nodes, [G, D] of graphs."""
        x, seen = nodes_NF, check_graph(nodes_NF, edges_2E, edge_attr, graph_index, self.sizes)
        for layer in self.layers:
            x = self.dropout(F.elu(layer(x, edges_2E, seen)))
        return x if self.level == "node" else self.pooling(x, graph_index)

    def forward(
        self, nodes_NF: Tensor, edges_2E: Tensor, edge_attr: Tensor | None = None, graph_index: Tensor | None = None
    ) -> Tensor:
        """Scores before any softmax: [N, K] of nodes, [G, K] of graphs."""
        x = self.features(nodes_NF, edges_2E, edge_attr, graph_index)
        seen = edge_attr if self.sizes[1] else None
        logits: Tensor = self.head(x, edges_2E, seen) if self.level == "node" else self.head(x)
        return logits

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh head for `num_classes` classes; the layers before it stay."""
        if isinstance(self.head, nn.Linear):
            self.head = new_head(self.head, num_classes)
            return
        assert isinstance(self.head, GraphAttention)
        old = self.head.linear.weight
        require_outputs(num_classes)
        self.head = self._attending(old.shape[1], num_classes).to(old.device, old.dtype)
