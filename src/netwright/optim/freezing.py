"""Parts that do not train: their parameters get no gradient, and they stay in evaluation mode.

A frozen batch norm that went on gathering statistics would change what the frozen filters after it see, and dropout in
a frozen part only adds noise. So the part itself stays in evaluation mode, and whoever puts the network into training
mode - our loop or anybody's - need not know.
"""

from collections.abc import Iterator, Sequence
from functools import partial

from torch import nn

from netwright.optim.naming import Names

__all__ = ["freeze"]


def freeze(module: nn.Module, names: Sequence[str]) -> None:
    """Freeze every parameter that one of `names` fits (see `naming.Names`) and every part that has no other ones."""
    if not names:
        return
    known = Names(module)
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if any(known.fits(name, pattern) for pattern in names):
            parameter.requires_grad_(False)
    for part in _frozen_parts(module):
        part.eval()
        part.train = partial(_stay, part)  # type: ignore[method-assign]


def _stay(part: nn.Module, mode: bool = True) -> nn.Module:
    """In place of `train`: evaluation mode, whatever is asked."""
    return type(part).train(part, False)


def _frozen_parts(module: nn.Module) -> Iterator[nn.Module]:
    """The outermost parts without a parameter that trains.

    Parts without any parameter (dropout, pooling) belong to the frozen ones when they stand among these, as embedding
    dropout does; after the last of them they belong to what trains, as dropout before the head does.
    """
    children = list(module.children())
    trains = [_trains(child) for child in children]
    last = max((place for place, state in enumerate(trains) if state is False), default=-1)
    first = next((place for place, state in enumerate(trains) if state), len(children))
    for place, (child, state) in enumerate(zip(children, trains, strict=True)):
        if state is False or (state is None and place < min(first, last)):
            yield child
        elif state:
            yield from _frozen_parts(child)


def _trains(part: nn.Module) -> bool | None:
    """Whether any of its parameters trains; None for a part without parameters."""
    states = [parameter.requires_grad for parameter in part.parameters()]
    return any(states) if states else None
