"""Our graph layers and networks held to PyTorch Geometric's, with shared weights: same graph in, same numbers out."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from references import TOLERANCE, difference, perturbed
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.blocks.graph import GraphPooling
from netwright.blocks.graph_layers import GraphAttention, GraphConvolution
from netwright.models import build

geometric = pytest.importorskip("torch_geometric.nn", reason="torch_geometric is not installed (netwright[parity])")

N, F_IN, A = 9, 5, 3
# A loop, the same loop again, a loop at the end of nothing else, an edge there and back, and node 8 without any edge.
EDGES = torch.tensor([[0, 0, 0, 1, 2, 3, 3, 4, 5, 6, 7], [1, 0, 0, 0, 3, 2, 4, 5, 5, 3, 3]])


def _nodes() -> Tensor:
    return torch.randn(N, F_IN, generator=torch.Generator().manual_seed(1), requires_grad=True)


def _attributes(edges: Tensor = EDGES) -> Tensor:
    return torch.randn(edges.shape[1], A, generator=torch.Generator().manual_seed(2))


def _convolution(ours: GraphConvolution, theirs: nn.Module) -> None:
    ours.load_state_dict({"linear.weight": theirs.lin.weight, "bias": theirs.bias})


def _attention(ours: GraphAttention, theirs: nn.Module) -> None:
    weights = {
        "linear.weight": theirs.lin.weight, "score_from": theirs.att_src[0], "score_to": theirs.att_dst[0],
        "bias": theirs.bias,
    }  # fmt: skip
    if theirs.lin_edge is not None:
        weights |= {"edge.weight": theirs.lin_edge.weight, "score_edge": theirs.att_edge[0]}
    ours.load_state_dict(weights)


def _same(ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor]) -> None:
    """Outputs and the gradient of the nodes."""
    both = []
    for net in (ours, theirs):
        x = _nodes()
        out = net(x)
        (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
        both.append((out.detach(), x.grad))
    for mine, reference in zip(*both, strict=True):
        assert difference(mine, reference) <= TOLERANCE


def test_a_convolution_is_theirs() -> None:
    theirs, ours = perturbed(geometric.GCNConv(F_IN, 4)), GraphConvolution(F_IN, 4)
    _convolution(ours, theirs)
    _same(lambda x: ours(x, EDGES), lambda x: theirs(x, EDGES))


@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("attributed", [False, True])
def test_an_attention_is_theirs(heads: int, joined: bool, attributed: bool) -> None:
    width = A if attributed else None
    theirs = perturbed(geometric.GATConv(F_IN, 4, heads=heads, concat=joined, edge_dim=width))
    ours = GraphAttention(F_IN, 4, heads, joined, edge_features=width or 0)
    _attention(ours, theirs)
    attributes = _attributes() if attributed else None
    _same(lambda x: ours(x, EDGES, attributes), lambda x: theirs(x, EDGES, attributes))


@pytest.mark.parametrize("kind", ["mean", "sum", "max"])
def test_pooling_is_theirs(kind: Any) -> None:
    index = torch.tensor([0, 2, 0, 1, 1, 1, 2, 0, 2])
    theirs = {
        "mean": geometric.global_mean_pool, "sum": geometric.global_add_pool, "max": geometric.global_max_pool,
    }[kind]  # fmt: skip
    _same(lambda x: GraphPooling(kind)(x, index), lambda x: theirs(x, index))


def test_a_whole_gcn_is_theirs() -> None:
    theirs = perturbed(geometric.GCN(F_IN, 6, num_layers=3, out_channels=4)).eval()
    ours = build("gcn", in_features=F_IN, num_classes=4, hidden_size=6, num_layers=3).eval()
    for layer, reference in zip([*ours.layers, ours.head], theirs.convs, strict=True):
        _convolution(layer, reference)
    _same(lambda x: ours(x, EDGES), lambda x: theirs(x, EDGES))


def test_a_whole_gat_for_graphs_is_theirs() -> None:
    """Two attentions, ELU after each, the mean of each graph, a linear head."""
    first = perturbed(geometric.GATConv(F_IN, 4, heads=2, edge_dim=A))
    second = perturbed(geometric.GATConv(8, 4, heads=2, edge_dim=A), 1)
    ours = build(
        "gat", in_features=F_IN, num_classes=3, level="graph", hidden_size=4, num_heads=2, edge_features=A
    ).eval()  # fmt: skip
    for layer, reference in zip(ours.layers, (first, second), strict=True):
        _attention(layer, reference)
    index, edges = torch.tensor([0, 0, 1, 1, 1, 1, 1, 1, 2]), EDGES
    attributes = _attributes()

    def theirs(x: Tensor) -> Tensor:
        for layer in (first, second):
            x = F.elu(layer(x, edges, attributes))
        return ours.head(geometric.global_mean_pool(x, index))

    _same(lambda x: ours(x, edges, attributes, index), theirs)


def test_a_network_without_an_edge_is_theirs() -> None:
    none = torch.zeros(2, 0, dtype=torch.int64)
    theirs, ours = perturbed(geometric.GATConv(F_IN, 4, heads=2)), GraphAttention(F_IN, 4, 2)
    _attention(ours, theirs)
    _same(lambda x: ours(x, none), lambda x: theirs(x, none))
