"""The cards of the graph networks. Imports no torch: listing must be instant."""

from collections.abc import Mapping

from netwright.models.card import ModelCard

__all__ = ["CARDS"]

_TASKS = ("node-classification", "graph-classification", "graph-regression")

CARDS: Mapping[str, ModelCard] = {
    "gcn": ModelCard(
        target="netwright.models.graph.gcn:GCN",
        family="graph",
        kin="gcn",
        tasks=_TASKS,
        summary="graph convolutions: each node takes a mean of its neighbours, weighted by their degrees",
        parameters=1_218,
        input=(16,),
        input_kind="graph",
        paper="Kipf & Welling, 2017, Semi-supervised classification with graph convolutional networks",
        idea="A layer mixes every node with its neighbours by fixed weights that even out degrees, then transforms all "
        "nodes alike. Two layers reach two steps far; many make all nodes the same.",
        when="The first thing to try where linked nodes tend to be of one class; features of edges are not read.",
    ),
    "gat": ModelCard(
        target="netwright.models.graph.gat:GAT",
        family="graph",
        kin="gat",
        tasks=_TASKS,
        summary="graph attention: each node weighs what its neighbours say, by several heads; reads edge features",
        parameters=1_350,
        input=(16,),
        input_kind="graph",
        paper="Veličković et al., 2018, Graph attention networks",
        idea="Which neighbour counts how much is learnt: a score from both ends of an edge, softmax over the edges "
        "that come in. Several heads look for different things.",
        when="Where neighbours differ in worth, or edges have features; costs several times a convolution.",
    ),
    "graph_transformer": ModelCard(
        target="netwright.models.graph.graph_transformer:GraphTransformer",
        family="graph",
        kin="graph_transformer",
        tasks=_TASKS,
        summary="attention among all nodes of a graph, with degrees, shortest paths and edges in the scores",
        parameters=104_290,
        input=(16,),
        input_kind="graph",
        paper="Ying et al., 2021, Do transformers really perform bad for graph representation?",
        idea="Attention sees all nodes at once and knows nothing of edges, so they are told to it: a node by its "
        "degree, a pair by the length of the shortest path between its nodes and by the edge that links them.",
        when="Molecules and other small graphs where what lies far apart matters; memory grows with the square.",
        aliases=("graphormer",),
    ),
}
