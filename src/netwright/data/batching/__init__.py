"""From examples to batches: resident on the device, streamed by workers, or windows of a text; one protocol."""

from netwright.data.batching.balanced import Balanced
from netwright.data.batching.bucketed import Bucketed
from netwright.data.batching.graphs import GraphBatches, WholeGraph
from netwright.data.batching.resident import Resident
from netwright.data.batching.series_windows import SeriesWindows
from netwright.data.batching.source import Batch, BatchSource, Order, SourceAround, first_of, forward, part_of
from netwright.data.batching.streaming import Streaming
from netwright.data.batching.windows import Windows

__all__ = [
    "Balanced",
    "Batch",
    "BatchSource",
    "Bucketed",
    "GraphBatches",
    "Order",
    "Resident",
    "SeriesWindows",
    "SourceAround",
    "Streaming",
    "WholeGraph",
    "Windows",
    "first_of",
    "forward",
    "part_of",
]
