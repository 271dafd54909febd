"""Hidden activations computed by another function, whether they are modules or calls in `forward`.

Torch's function mode sees every call as the author wrote it; calls after the last weighted layer shape the output and
are kept.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from netwright.doctor.probe.fork import Fork

__all__ = ["RELUS", "SQUASHES", "exchange_activations"]

SQUASHES = frozenset(
    {torch.sigmoid, Tensor.sigmoid, F.sigmoid, torch.tanh, Tensor.tanh, F.tanh, F.hardsigmoid, F.hardtanh, F.softsign}
)
RELUS = frozenset({F.relu, torch.relu, Tensor.relu, torch.relu_, Tensor.relu_, F.relu6})
_WEIGHTED = frozenset(
    {F.linear, F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d}
)


def exchange_activations(fork: Fork, inputs: Any, kinds: Iterable[Any], other: Callable[[Tensor], Tensor]) -> bool:
    """Hidden activations of these kinds compute `other`; False where a pass over `inputs` shows none.

    The network's `forward` is wrapped, so that loss and step are left alone.
    """
    plain = fork.net.forward
    seen = _Exchange(frozenset(kinds), None, 0)

    def counting(*args: Any, **named: Any) -> Any:
        with seen:
            return plain(*args, **named)

    def exchanging(*args: Any, **named: Any) -> Any:
        with _Exchange(seen.kinds, other, seen.weighted):
            return plain(*args, **named)

    fork.net.forward = counting
    try:
        fork.outputs(inputs)
    except Exception:  # the user's forward
        return False
    finally:
        fork.net.forward = exchanging
    return any(before < seen.weighted for before in seen.places)


class _Exchange(TorchFunctionMode):
    """Counts weighted calls; activations ahead of the last one compute `other`, or are noted where it is None."""

    def __init__(self, kinds: frozenset[Any], other: Callable[[Tensor], Tensor] | None, last: int) -> None:
        super().__init__()
        self.kinds, self._other, self._last = kinds, other, last
        self.weighted, self.places = 0, list[int]()

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See the class."""
        self.weighted += function in _WEIGHTED
        if function in self.kinds:
            self.places.append(self.weighted)
            if self._other is not None and self.weighted < self._last:
                return self._other(args[0] if args else kwargs["input"])
        return function(*args, **(kwargs or {}))
