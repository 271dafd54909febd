"""Batches of graphs: several as one that falls apart into them, or one graph whole with some of its nodes asked for.

Everything is scaled once and stays on the device. Letters: V nodes and M edges of a batch, B graphs, F and A features.
"""

from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor

from netwright.data.batching.source import Batch, Order, OrderedSource, refuse_empty
from netwright.data.graph_scaling import GraphPreprocessor
from netwright.data.graphs import GraphDataset, Graphs, NodeDataset
from netwright.data.textual import IGNORED

__all__ = ["GraphBatches", "WholeGraph"]


@final
class GraphBatches(OrderedSource):
    """Every graph once an epoch, in an order that is a pure function of (seed, epoch).

    Shapes: inputs are nodes (V, F), edges (2, M) int64, features of edges (M, A), and the graph of each node (V,)
    int64; targets (B,) or (B, K).

    Raises:
        DataError: no graph.
        ConfigError: see `Order`; batch sizes count graphs.
    """

    def __init__(
        self,
        dataset: GraphDataset,
        preprocess: GraphPreprocessor,
        *,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        refuse_empty(dataset)
        self._device = torch.device(device)
        self._graphs = preprocess.ready(dataset.graphs.to(self._device))
        self._targets = preprocess.targets(dataset.targets).to(self._device)
        self._order = Order(len(dataset), batch_size, shuffle, seed)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `start` on."""
        for chosen in self._order.batches(epoch, start):
            index = chosen.to(self._device)
            yield Batch(self._graphs.picked(chosen).union(), self._targets.index_select(0, index), index)


@final
class WholeGraph(OrderedSource):
    """One graph, whole, once an epoch.

    Shapes: inputs are nodes (V, F), edges (2, M) int64, features of edges (M, A); targets (V,) with -100 for
    nodes of other parts.

    Raises:
        DataError: no node is asked for.
    """

    def __init__(
        self, dataset: NodeDataset, preprocess: GraphPreprocessor, device: torch.device | str = "cpu"
    ) -> None:
        refuse_empty(dataset)
        graphs = preprocess.ready(Graphs.of([dataset.graph]).to(torch.device(device)))
        targets = torch.full_like(dataset.targets, IGNORED)
        targets[dataset.rows] = dataset.labels()
        index = torch.arange(len(targets), device=graphs.nodes.device)
        inputs: tuple[Tensor, ...] = graphs.union()[:3]
        self._batch = Batch(inputs, preprocess.targets(targets).to(index.device), index)
        self._order = Order(len(dataset), len(dataset), shuffle=False)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The one batch, unless it was taken already."""
        return iter([] if start else [self._batch])
