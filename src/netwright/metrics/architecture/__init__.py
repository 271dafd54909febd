"""What a network is made of: layers, shapes, parameters, work, memory and receptive field, measured without
computing.

`trace` runs a private copy of any `nn.Module` on the meta device and writes down what happened, layer by layer and in
the few stages that a paper's table would list. `Recorder` is the part that watches a forward pass call by call; the
doctor uses it on real tensors.
"""

from netwright.core.architecture import Architecture, LayerRow, Stage
from netwright.metrics.architecture.ghost import private_copy
from netwright.metrics.architecture.node import Call, Node, main_tensor, tensors_in
from netwright.metrics.architecture.record import Recorder
from netwright.metrics.architecture.trace import trace

__all__ = [
    "Architecture",
    "Call",
    "LayerRow",
    "Node",
    "Recorder",
    "Stage",
    "main_tensor",
    "private_copy",
    "tensors_in",
    "trace",
]
