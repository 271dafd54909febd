"""Counting work and memory below a forward pass, operator by operator.

Work: a multiply-accumulate counts as 2. Counted are convolutions, matrix products (linear layers, recurrent cells,
attention scores) by torch's own formulas (`torch.utils.flop_counter`) and matrix-vector products; element-wise work,
norms and pooling are not. Memory: the bytes of every tensor the pass makes; views and in-place results make none.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from netwright.metrics.architecture.node import tensors_in
from netwright.metrics.architecture.record import Recorder

__all__ = ["Meter"]

_FREE = {torch.ops.aten._unsafe_view, torch.ops.aten.lift_fresh}


class Meter(TorchDispatchMode):
    """Adds what each operator costs to every module call that is open in `recorder`."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder
        self.flops = 0
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        flops, made = _work(func, args, kwargs, result), _memory(func, args, result)
        self.flops += flops
        self.bytes += made
        for call in self._recorder.open:
            call.flops += flops
            call.bytes += made
        return result


def _work(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> int:
    packet = getattr(func, "overloadpacket", func)
    formula = flop_registry.get(packet)
    if formula is not None:
        return int(formula(*args, **kwargs, out_val=result))
    if packet is torch.ops.aten.mv:
        return 2 * int(args[0].numel())
    return 2 * int(args[0].numel()) if packet is torch.ops.aten.dot else 0


def _memory(func: Any, args: tuple[Any, ...], result: Any) -> int:
    returns = func._schema.returns
    if getattr(func, "overloadpacket", None) in _FREE or (returns and returns[0].alias_info is not None):
        return 0
    if next(tensors_in(args), None) is None:  # a fresh zeros() or arange(): no activation
        return 0
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors_in(result) if isinstance(tensor, Tensor))
