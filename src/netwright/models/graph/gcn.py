"""The graph convolutional network: every node takes a weighted mean of its neighbours, layer after layer.

Kipf and Welling, 2017, "Semi-supervised classification with graph convolutional networks". ``N`` nodes, ``E`` edges,
``G`` graphs, ``F`` features in, ``D`` width, ``K`` classes.
"""

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from netwright.blocks.activations import ActivationName, activation
from netwright.blocks.graph import GraphPooling, Level, PoolName, check_graph
from netwright.blocks.graph_layers import EdgeWeights, GraphConvolution, edge_weights
from netwright.blocks.heads import new_head, output_layer, require_outputs
from netwright.blocks.norms import norm as make_norm
from netwright.core.schemas import Probability, Size

__all__ = ["GCN"]


class GCN(nn.Module):
    """[convolution -> norm -> activation -> dropout] x depth, and a head that names each node's class, or the graph's.

    On nodes the head is a convolution too and counts as a layer, as in the paper. On graphs all layers come first;
    then the nodes of each graph are pooled and a linear head follows. The features of edges are not read.

    Differs from the paper: no dropout on the input, whose features are often few.

    level: what is to be named. norm: between a convolution and its activation.

    Shapes:
        nodes [N, in_features], edges [2, E] int64, graph_index [N] int64 or None (one graph) -> [N, num_classes] of
        nodes, [G, num_classes] of graphs; features: the same with the hidden width

    Raises:
        ConfigError: in `forward`, a graph that does not fit, see `blocks.graph.check_graph`.
    """

    def __init__(
        self,
        in_features: Size = 16,
        num_classes: Size = 2,
        level: Level = "node",
        hidden_size: Size = 64,
        num_layers: Size = 2,
        activation: ActivationName = "relu",
        norm: Literal["none", "layer"] = "none",
        dropout: Probability = 0.5,
        pooling: PoolName = "mean",
    ) -> None:
        super().__init__()
        self.in_features, self.level = in_features, level
        depth = num_layers - (level == "node")
        widths = [in_features, *[hidden_size] * depth]
        self.layers = nn.ModuleList(GraphConvolution(fan_in, fan_out) for fan_in, fan_out in pairwise(widths))
        self.after = nn.ModuleList(_after(width, norm, activation, dropout) for width in widths[1:])
        self.pooling = GraphPooling(pooling)
        head = GraphConvolution if level == "node" else output_layer
        self.head: nn.Module = head(widths[-1], num_classes)

    def features(
        self, nodes_NF: Tensor, edges_2E: Tensor, edge_attr: Tensor | None = None, graph_index: Tensor | None = None
    ) -> Tensor:
        """What the head is given: [N, D] of nodes, [G, D] of graphs."""
        return self._features(nodes_NF, edges_2E, edge_attr, graph_index)[0]

    def _features(
        self, nodes_NF: Tensor, edges_2E: Tensor, edge_attr: Tensor | None, graph_index: Tensor | None
    ) -> tuple[Tensor, EdgeWeights]:
        check_graph(nodes_NF, edges_2E, edge_attr, graph_index, (self.in_features, 0))
        weights, x = edge_weights(edges_2E, nodes_NF.shape[0]), nodes_NF
        for layer, after in zip(self.layers, self.after, strict=True):
            x = after(layer(x, edges_2E, weights))
        return (x if self.level == "node" else self.pooling(x, graph_index)), weights

    def forward(
        self, nodes_NF: Tensor, edges_2E: Tensor, edge_attr: Tensor | None = None, graph_index: Tensor | None = None
    ) -> Tensor:
        """Scores before any softmax: [N, K] of nodes, [G, K] of graphs."""
        x, weights = self._features(nodes_NF, edges_2E, edge_attr, graph_index)
        logits: Tensor = self.head(x, edges_2E, weights) if self.level == "node" else self.head(x)
        return logits

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh head for `num_classes` classes; the layers before it stay."""
        if isinstance(self.head, nn.Linear):
            self.head = new_head(self.head, num_classes)
            return
        assert isinstance(self.head, GraphConvolution)
        old = self.head.linear.weight
        require_outputs(num_classes)
        self.head = GraphConvolution(old.shape[1], num_classes).to(old.device, old.dtype)


def _after(width: int, norm: str, name: str, dropout: float) -> nn.Sequential:
    """What follows a convolution."""
    parts = [make_norm(norm, width), activation(name), nn.Dropout(dropout)]  # type: ignore[arg-type]
    return nn.Sequential(*(part for part in parts if not isinstance(part, nn.Identity)))
