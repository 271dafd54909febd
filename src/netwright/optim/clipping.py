"""Keeping gradients in bounds, and measuring them, without making an accelerator wait.

Clipping by norm: Pascanu et al., "On the difficulty of training recurrent neural networks", 2013.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["add_l1", "clip_norm", "clip_value", "gradient_norm", "gradients"]


def gradients(parameters: Iterable[Tensor]) -> list[Tensor]:
    """The gradients there are."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def gradient_norm(parameters: Iterable[Tensor]) -> Tensor:
    """Euclidean norm of all gradients together, a scalar tensor on their device (0 where there is none)."""
    found = gradients(parameters)
    if not found:
        return torch.zeros(())
    if len({tensor.device for tensor in found}) > 1:  # a network over several devices: torch groups them
        return torch.nn.utils.get_total_norm(found, foreach=True)
    norms: list[Tensor] = list(torch._foreach_norm(found))
    total: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    return total


@torch.no_grad()
def clip_norm(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Scale all gradients down so that their common norm is at most `max_norm`; gives the norm before.

    A norm that is not finite scales the gradients to NaN: look at it before the update.
    """
    parameters = list(parameters)
    norm = gradient_norm(parameters)
    # On a CPU the value is at hand, and leaving good gradients alone saves a pass over them; elsewhere asking waits.
    if norm.device.type == "cpu" and norm.item() <= max_norm:
        return norm
    found = gradients(parameters)
    factor = torch.clamp(max_norm / (norm + 1e-6), max=1.0)
    if len({tensor.device for tensor in found}) > 1:
        torch.nn.utils.clip_grads_with_norm_(parameters, max_norm, norm, foreach=True)
    else:
        torch._foreach_mul_(found, factor)
    return norm


@torch.no_grad()
def clip_value(parameters: Iterable[Tensor], max_value: float) -> Tensor:
    """Clamp every entry of the gradients to ±`max_value`; gives the norm before, as `clip_norm` does."""
    parameters = list(parameters)
    norm = gradient_norm(parameters)
    if found := gradients(parameters):
        torch._foreach_clamp_min_(found, -max_value)
        torch._foreach_clamp_max_(found, max_value)
    return norm


@torch.no_grad()
def add_l1(parameters: Iterable[Tensor], strength: float) -> None:
    """Add the gradient of `strength · Σ|w|` to those of weights; one-dimensional parameters are spared."""
    weights = [parameter for parameter in parameters if parameter.grad is not None and parameter.ndim > 1]
    if weights:
        torch._foreach_add_(gradients(weights), torch._foreach_sign(weights), alpha=strength)
