"""Layers on graphs against their formulas, and the laws that any network of graphs keeps."""

from typing import Any

import pytest
import torch
from torch import Tensor

from netwright.blocks.graph import GraphPooling, softmax_over, summed
from netwright.blocks.graph_layers import GraphAttention, GraphConvolution
from netwright.core.errors import ConfigError
from netwright.models import build

EDGES = torch.tensor([[0, 1, 1, 2, 3, 4], [1, 0, 2, 1, 4, 3]])
NETWORKS: dict[str, dict[str, Any]] = {
    "gcn": {"hidden_size": 8, "num_layers": 3},
    "gat": {"hidden_size": 4, "num_heads": 2, "edge_features": 2},
    "graph_transformer": {"hidden_size": 8, "num_heads": 2, "num_layers": 2, "edge_features": 2},
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def _net(name: str, level: str, **more: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(name, in_features=3, num_classes=4, level=level, **NETWORKS[name], **more).eval()


def _graph(nodes: int, edges: Tensor = EDGES, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    return torch.randn(nodes, 3, generator=chance), edges, torch.randn(edges.shape[1], 2, generator=chance)


def test_a_convolution_is_the_product_with_the_normalised_matrix():
    layer, (x, edges, _) = GraphConvolution(3, 4), _graph(6)
    matrix = torch.eye(6)
    matrix[edges[1], edges[0]] = 1
    scale = matrix.sum(1).rsqrt()
    wanted = (scale[:, None] * matrix * scale) @ layer.linear(x) + layer.bias
    torch.testing.assert_close(layer(x, edges), wanted)


def test_loops_in_the_data_change_nothing_however_often_they_stand_there():
    x, edges, _ = _graph(6)
    twice = torch.cat([edges, torch.tensor([[2, 2, 5], [2, 2, 5]])], 1)
    for layer in (GraphConvolution(3, 4), GraphAttention(3, 4, 2)):
        torch.testing.assert_close(layer(x, edges), layer(x, twice))


def test_a_node_without_edges_hears_itself_alone():
    x, edges, _ = _graph(6)
    for layer in (GraphConvolution(3, 4), GraphAttention(3, 4, 2)):
        torch.testing.assert_close(layer(x, edges)[5], layer.linear(x[5]) + layer.bias)


def test_attention_weights_are_a_softmax_over_what_comes_in():
    score, index = torch.randn(5, 2), torch.tensor([1, 0, 1, 1, 0])
    share = softmax_over(score, index, 3)
    torch.testing.assert_close(share[index == 1], score[index == 1].softmax(0))
    torch.testing.assert_close(summed(share, index, 3), torch.tensor([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]))


def test_huge_scores_stay_finite():
    share = softmax_over(torch.tensor([[1e30], [1e30], [-1e30]]), torch.zeros(3, dtype=torch.int64), 1)
    assert share.flatten().tolist() == [0.5, 0.5, 0.0]


def test_a_graph_without_nodes_pools_to_zeros():
    x, index = torch.tensor([[1.0], [-3.0], [-5.0]]), torch.tensor([0, 2, 2])
    assert GraphPooling("mean")(x, index).flatten().tolist() == [1, 0, -4]
    assert GraphPooling("sum")(x, index).flatten().tolist() == [1, 0, -8]
    assert GraphPooling("max")(x, index).flatten().tolist() == [1, 0, -3]


@every_network
def test_other_numbers_for_the_nodes_reorder_the_answers(name: str):
    net, (x, edges, attributes) = _net(name, "node"), _graph(6)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    place = order.argsort()
    shuffled = torch.randperm(edges.shape[1], generator=torch.Generator().manual_seed(3))
    moved = net(x[order], place[edges][:, shuffled], attributes[shuffled])
    torch.testing.assert_close(moved, net(x, edges, attributes)[order], rtol=1e-4, atol=1e-5)


@every_network
def test_other_numbers_for_the_nodes_leave_a_graphs_answer(name: str):
    net, (x, edges, attributes) = _net(name, "graph"), _graph(6)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    moved = net(x[order], order.argsort()[edges], attributes)
    torch.testing.assert_close(moved, net(x, edges, attributes), rtol=1e-4, atol=1e-5)


@every_network
@pytest.mark.parametrize("pooling", ["mean", "sum", "max"])
def test_graphs_in_a_batch_are_answered_as_one_by_one(name: str, pooling: str):
    """Of different sizes; one of a single node, and their nodes mixed in the batch."""
    net = _net(name, "graph", pooling=pooling)
    none = torch.zeros(2, 0, dtype=torch.int64)
    graphs = [_graph(6), _graph(1, none, 1), _graph(5, seed=2), _graph(2, none, 3)]
    one_by_one = torch.cat([net(*graph) for graph in graphs])
    sizes = [len(graph[0]) for graph in graphs]
    index = torch.repeat_interleave(torch.arange(4), torch.tensor(sizes))
    starts = [0, 6, 7, 12]
    edges = torch.cat([graph[1] + start for graph, start in zip(graphs, starts, strict=True)], 1)
    x, attributes = torch.cat([graph[0] for graph in graphs]), torch.cat([graph[2] for graph in graphs])
    torch.testing.assert_close(net(x, edges, attributes, index), one_by_one, rtol=1e-4, atol=1e-5)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(4))
    mixed = net(x[order], order.argsort()[edges], attributes, index[order])
    torch.testing.assert_close(mixed, one_by_one, rtol=1e-4, atol=1e-5)


@every_network
@pytest.mark.parametrize("level", ["node", "graph"])
def test_every_parameter_gets_a_gradient(name: str, level: str):
    net, (x, edges, attributes) = _net(name, level), _graph(6)
    out = net(x, edges, attributes)
    (out * torch.randn(out.shape, generator=torch.Generator().manual_seed(2))).sum().backward()
    dead = [key for key, weight in net.named_parameters() if weight.grad is None or not weight.grad.abs().sum() > 0]
    assert not dead


@every_network
def test_the_same_graph_gives_the_same_bits(name: str):
    net, graph = _net(name, "node"), _graph(6)
    assert torch.equal(net(*graph), net(*graph))


@pytest.mark.parametrize(("name", "steps"), [("gcn", 3), ("gat", 2), ("graph_transformer", 6)])
def test_a_layer_reaches_one_step_further_and_the_transformer_everywhere(name: str, steps: int):
    path = torch.stack([torch.arange(6), torch.arange(1, 7)])
    x, edges, attributes = _graph(7, torch.cat([path, path.flip(0)], 1))
    net, changed = _net(name, "node"), x.clone()
    changed[0] += 1.0
    moved = (net(x, edges, attributes) - net(changed, edges, attributes)).abs().sum(1) > 1e-6
    assert moved.tolist() == [node <= steps for node in range(7)]


def test_the_transformer_sees_how_far_apart_nodes_are():
    """The same nodes in a path and in a star: a distance that counts for nothing would make them one."""
    star, path = torch.tensor([[0, 0, 0], [1, 2, 3]]), torch.tensor([[0, 1, 2], [1, 2, 3]])
    net, x = _net("graph_transformer", "graph"), _graph(4)[0]
    torch.nn.init.zeros_(net.coming.weight), torch.nn.init.zeros_(net.going.weight)
    answers = [net(x, torch.cat([ends, ends.flip(0)], 1), torch.zeros(6, 2)) for ends in (star, path)]
    assert not torch.allclose(*answers, atol=1e-4)
    torch.nn.init.zeros_(net.distance.weight)
    answers = [net(x, torch.cat([ends, ends.flip(0)], 1), torch.zeros(6, 2)) for ends in (star, path)]
    torch.testing.assert_close(*answers)


X, E = torch.randn(3, 3), torch.zeros(2, 4, dtype=torch.int64)
WRONG = {
    "width": ((torch.randn(3, 5), E), "takes nodes [N, 3], got [3, 5]; build it with in_features=5"),
    "edges": ((X, E.T), "edges are [4, 2] of int64; expected [2, E]"),
    "floats": ((X, E.float()), "of float32; expected [2, E] of int64"),
    "unknown node": ((X, E + 3), "an edge names node 3, and there are 3"),
    "negative": ((X, E - 1), "an edge names node -1"),
    "attributes": ((X, E, torch.randn(3, 2)), "edge_attr is [3, 2] for 4 edges"),
    "no attributes": ((X, E), "takes 2 features an edge, got 0"),
    "index": ((X, E, torch.randn(4, 2), torch.zeros(2, dtype=torch.int64)), "graph_index is [2] for 3 nodes"),
}


@pytest.mark.parametrize(("graph", "words"), WRONG.values(), ids=WRONG.keys())
def test_a_graph_that_does_not_fit_is_one_clear_line(graph: tuple[Tensor, ...], words: str):
    with pytest.raises(ConfigError) as error:
        _net("gat", "graph")(*graph)
    assert words in str(error.value) and "\n" not in str(error.value)
