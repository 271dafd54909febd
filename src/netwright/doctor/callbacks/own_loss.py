"""Models that compute their own loss: which of the usual losses it is, found by comparing values on a batch."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netwright.core.seeds import undisturbed
from netwright.metrics.architecture import private_copy

__all__ = ["Answers", "known_loss", "named", "unpatched"]


class Answers(nn.Module):
    """A model that takes a dictionary and gives scores alone. Shapes: whatever the model's `logits` have."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, given: Mapping[str, Any]) -> Tensor:
        """The scores for a batch without its labels."""
        scores: Tensor = named(self.model(**given), "logits")
        return scores


def named(output: Any, name: str) -> Any:
    """A field of a model's output, which may be a mapping or an object; None where there is none."""
    return output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)


def known_loss(model: nn.Module, given: Mapping[str, Any], labels: Tensor) -> Callable[..., Tensor] | None:
    """The loss of (scores, labels) that gives what the model gives; None where none of the usual ones does."""
    with undisturbed(), torch.no_grad():
        try:
            twin = unpatched(private_copy(model)).eval()
            output = twin(**given, labels=labels)
        except Exception:  # the user's model
            return None
        told, scores = named(output, "loss"), named(output, "logits")
        if not isinstance(told, Tensor) or not isinstance(scores, Tensor):
            return None
        return next((loss for loss in _USUAL if _same(loss, scores, labels, told)), None)


def unpatched(twin: nn.Module) -> nn.Module:
    """A copy, whose `forward` accelerate has replaced by one that runs the original, runs itself again."""
    for module in twin.modules():
        if "_original_forward" in vars(module):
            vars(module).pop("forward", None)
    return twin


def _same(loss: Callable[..., Tensor], scores: Tensor, labels: Tensor, told: Tensor) -> bool:
    try:
        return bool(torch.allclose(loss(scores, labels).float(), told.float().mean(), rtol=1e-3, atol=1e-5))
    except (RuntimeError, ValueError, IndexError, TypeError):  # it does not fit these shapes
        return False


def _of_next_tokens(scores: Tensor, labels: Tensor) -> Tensor:
    """Each place is scored for the token that follows it. Shapes: (B, T, V), (B, T)."""
    return F.cross_entropy(scores[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())


def _of_tokens(scores: Tensor, labels: Tensor) -> Tensor:
    """Each place is scored for its own token. Shapes: (B, T, V), (B, T)."""
    return F.cross_entropy(scores.flatten(0, 1).float(), labels.flatten())


def _of_numbers(scores: Tensor, labels: Tensor) -> Tensor:
    """Shapes: (B, 1) or (B,), (B,)."""
    return F.mse_loss(scores.reshape(labels.shape), labels)


_USUAL: tuple[Callable[..., Tensor], ...] = (
    nn.CrossEntropyLoss(),
    nn.BCEWithLogitsLoss(),
    nn.MSELoss(),
    _of_numbers,
    _of_next_tokens,
    _of_tokens,
)
