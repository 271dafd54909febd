"""Hand-made networks: a list of layers, as YAML writes it, becomes an `nn.Module` with every size inferred.

`signal` is what flows between layers, `spatial`, `general` and `sequence` hold one function a kind of layer, `kinds` is
their table, and `stack` reads a list, finds all its mistakes and builds the network.
"""

from netwright.models.layers.entries import read_entries
from netwright.models.layers.kinds import KINDS
from netwright.models.layers.signal import Signal
from netwright.models.layers.stack import LayerStack

__all__ = ["KINDS", "LayerStack", "Signal", "read_entries"]
