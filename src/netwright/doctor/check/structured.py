"""A loss of dicts, tuples and records, seen as a function of the network's main tensor alone."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["of_main"]


def of_main(loss: Callable[..., Any], output: Any, main: Tensor | None) -> Callable[..., Any]:
    """`loss` with the other parts of `output` held fixed, so that it can be tried on other scores."""
    if output is main or main is None:
        return loss

    def called(scores: Tensor, targets: Any) -> Any:
        return loss(_put(output, main, scores), targets)

    return called


def _put(value: Any, main: Tensor, scores: Tensor) -> Any:
    """`value` with `scores` for `main`; fewer examples in `scores` cut the other parts too."""
    if value is main:
        return scores
    if isinstance(value, Tensor):
        cut = value.dim() > 0 and value.shape[0] == main.shape[0]
        return value.detach()[: len(scores)] if cut else value.detach()
    if isinstance(value, torch.distributions.Distribution):
        raise TypeError("the parts of a distribution depend on each other")
    if isinstance(value, Mapping):
        twin: Any = copy.copy(value)
        for key, item in value.items():
            twin[key] = _put(item, main, scores)
        return twin
    if isinstance(value, tuple | list):
        parts = [_put(item, main, scores) for item in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if hasattr(value, "__dict__"):
        twin = copy.copy(value)
        for key, item in vars(value).items():
            setattr(twin, key, _put(item, main, scores))
        return twin
    return value
