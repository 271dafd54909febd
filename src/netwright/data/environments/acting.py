"""How a network acts: the callable that tasks hand to acting sources, and the care that acting takes of the network.

Letters: N environments, O observation, A actions, or numbers of one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

__all__ = ["Act", "acting", "consult", "greedy"]

# (network, observations (N, O), step, generator) -> actions (N,) int64, or (N, A) numbers. Chance comes from the
# generator alone, which is seeded anew for every call; `step` counts environment steps.
Act = Callable[[Any, Tensor, int, torch.Generator], Tensor]


def consult(model: Any, observation_NO: Tensor) -> tuple[Any, Tensor | None]:
    """Values of actions or a distribution over them, and the value of the state where the network gives one, too.

    In the precision of the weights: what was drawn while acting is likely to the last digit when it is learnt from.

    Shapes: (N, O) -> (N, A) or a distribution of N actions, and (N,)
    """
    with torch.autocast(observation_NO.device.type, enabled=False):
        said = model(observation_NO)
    return said if isinstance(said, tuple) else (said, None)


def greedy(model: Any, observation_NO: Tensor, step: int, generator: torch.Generator) -> Tensor:
    """The best known action: that of the highest value, or the likeliest of a distribution.

    Shapes: (N, O) -> (N,) int64, or (N, A) numbers.
    """
    said, _ = consult(model, observation_NO)
    actions: Tensor = said.mode if isinstance(said, Distribution) else said.argmax(1)
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
