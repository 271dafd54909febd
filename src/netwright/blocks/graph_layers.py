"""The two layers that most graph networks are made of: graph convolution and graph attention.

Kipf and Welling, 2017, "Semi-supervised classification with graph convolutional networks"; Veličković et al., 2018,
"Graph attention networks". Each node hears itself once: loops among the given edges, be they there twice, count for
nothing, and every layer adds its own. Letters as in `blocks/graph.py`; ``F`` features in, ``O`` features out.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.blocks.graph import gathered, softmax_over, summed
from netwright.core.schemas import Probability

__all__ = ["EdgeWeights", "GraphAttention", "GraphConvolution", "edge_weights"]

EdgeWeights = tuple[Tensor, Tensor]

_SLOPE = 0.2  # of the leaky ReLU on scores, the paper's


def edge_weights(edges_2E: Tensor, nodes: int) -> EdgeWeights:
    """The symmetric normalisation D^-1/2 (A + I) D^-1/2, D counting what comes in, the loop too.

    Shapes:
        [2, E] -> weight of each edge [E], of each node's own loop [N]; float32
    """
    from_E, to_E = edges_2E
    counted_E = (from_E != to_E).float()
    scale_N = (summed(counted_E, to_E, nodes) + 1).rsqrt()
    return gathered(scale_N, from_E) * gathered(scale_N, to_E) * counted_E, scale_N * scale_N


class GraphConvolution(nn.Module):
    """x'_i = sum over edges (j, i) and the loop of W x_j / sqrt(d_i d_j), plus a bias.

    Initial weights are Glorot's uniform, as the paper's; the bias is 0.

    Shapes:
        x [N, F], edges [2, E] -> [N, O]; weights: what `edge_weights` gives, which a network works out once
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features, bias=False)
        self.bias = nn.Parameter(torch.zeros(out_features))
        nn.init.xavier_uniform_(self.linear.weight)

    def forward(self, x_NF: Tensor, edges_2E: Tensor, weights: EdgeWeights | None = None) -> Tensor:
        edge_E, loop_N = weights if weights is not None else edge_weights(edges_2E, x_NF.shape[0])
        said_NO = self.linear(x_NF)
        told_EO = gathered(said_NO, edges_2E[0]) * edge_E[:, None].to(said_NO.dtype)
        heard_NO = summed(told_EO, edges_2E[1], said_NO.shape[0]) + said_NO * loop_N[:, None].to(said_NO.dtype)
        out: Tensor = heard_NO + self.bias
        return out


class GraphAttention(nn.Module):
    """Each node weighs what its neighbours say, by several heads.

    a_ij = softmax over the edges (j, i) and the loop of leaky(a . W x_i + b . W x_j + c . V e_ij), and a head gives
    x'_i = sum of a_ij W x_j. The loop's edge features are the mean of those that come in.

    out_features: of one head. joined: heads side by side, as between layers; else their mean, as at the end. dropout:
    of the weights a_ij.

    Shapes:
        x [N, F], edges [2, E], edge_attr [E, A] or None -> [N, H * O] if joined, else [N, O]
    """

    def __init__(
        self, in_features: int, out_features: int, num_heads: int = 1, joined: bool = True,
        dropout: Probability = 0.0, edge_features: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_heads, self.out_features, self.joined = num_heads, out_features, joined
        self.linear = nn.Linear(in_features, num_heads * out_features, bias=False)
        self.score_from = nn.Parameter(torch.empty(num_heads, out_features))
        self.score_to = nn.Parameter(torch.empty(num_heads, out_features))
        self.bias = nn.Parameter(torch.zeros(num_heads * out_features if joined else out_features))
        self.dropout = nn.Dropout(dropout)
        self.edge = nn.Linear(edge_features, num_heads * out_features, bias=False) if edge_features else None
        self.score_edge = nn.Parameter(torch.empty(num_heads, out_features)) if edge_features else None
        for weight in (*(part.weight for part in (self.linear, self.edge) if part is not None), *self._scores()):
            nn.init.xavier_uniform_(weight)

    def _scores(self) -> list[nn.Parameter]:
        return [part for part in (self.score_from, self.score_to, self.score_edge) if part is not None]

    def forward(self, x_NF: Tensor, edges_2E: Tensor, edge_attr: Tensor | None = None) -> Tensor:
        nodes = x_NF.shape[0]
        said_NHO = self._heads(self.linear(x_NF))
        own_N = torch.arange(nodes, device=x_NF.device)
        from_M, to_M = (torch.cat([ends_E, own_N]) for ends_E in edges_2E)  # M = E + N: the loops come last
        from_NH, to_NH = (said_NHO * self.score_from).sum(-1), (said_NHO * self.score_to).sum(-1)
        score_MH = gathered(from_NH, from_M) + gathered(to_NH, to_M)
        if self.edge is not None:
            score_MH = score_MH + self._of_edges(edges_2E, edge_attr, nodes)
        repeated_M = torch.cat([edges_2E[0] == edges_2E[1], torch.zeros_like(own_N, dtype=torch.bool)])
        score_MH = F.leaky_relu(score_MH, _SLOPE).masked_fill(repeated_M[:, None], -torch.inf)
        share_MH = self.dropout(softmax_over(score_MH, to_M, nodes))
        heard_NHO = summed(gathered(said_NHO, from_M) * share_MH[..., None].to(said_NHO.dtype), to_M, nodes)
        out: Tensor = (heard_NHO.flatten(1) if self.joined else heard_NHO.mean(1)) + self.bias
        return out

    def _of_edges(self, edges_2E: Tensor, edge_attr: Tensor | None, nodes: int) -> Tensor:
        """What the edges' features add to the scores, [E + N, H]."""
        assert self.edge is not None and self.score_edge is not None and edge_attr is not None
        counted_E1 = (edges_2E[0] != edges_2E[1]).to(edge_attr.dtype)[:, None]
        degree_N1 = summed(counted_E1, edges_2E[1], nodes).clamp(min=1)
        mean_NA = summed(edge_attr * counted_E1, edges_2E[1], nodes) / degree_N1
        score_MH: Tensor = (self._heads(self.edge(torch.cat([edge_attr, mean_NA]))) * self.score_edge).sum(-1)
        return score_MH

    def _heads(self, x: Tensor) -> Tensor:
        split: Tensor = x.unflatten(-1, (self.num_heads, self.out_features))
        return split
