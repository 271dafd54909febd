"""How a network acts: the callable that tasks hand to acting sources, and the care that acting takes of the network.

Letters: N environments, O observation, A actions.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Act", "acting", "greedy"]

# (network, observations (N, O), step, generator) -> actions (N,) int64. Chance comes from the generator alone, which is
# seeded anew for every call; `step` counts environment steps.
Act = Callable[[Any, Tensor, int, torch.Generator], Tensor]


def greedy(model: Any, observation_NO: Tensor, step: int, generator: torch.Generator) -> Tensor:
    """The action of the highest value, from a network that gives q_NA. Shapes: (N, O) -> (N,) int64."""
    actions: Tensor = model(observation_NO).argmax(1)
    return actions


@contextmanager
def acting(model: Any) -> Iterator[None]:
    """No gradients and evaluation mode inside; afterwards every module is in the mode it was in."""
    modes = [(module, module.training) for module in model.modules()] if isinstance(model, nn.Module) else []
    for module, _ in modes:
        module.training = False
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode
