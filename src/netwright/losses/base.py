"""What all losses share: how values are reduced, what they say of themselves, and how shapes are brought together.

Letters: B batch, K classes, T time, `…` any further dimensions.
"""

from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import Any, ClassVar, Literal, NoReturn

import torch
from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.core.messages import say

__all__ = [
    "Expects",
    "Loss",
    "Reduction",
    "TargetKind",
    "aligned",
    "class_axis",
    "classes_last",
    "demand",
    "products",
    "reduced",
    "refuse_one_score",
    "wide",
]

Reduction = Literal["mean", "sum", "none"]
Expects = Literal["logits", "probabilities", "values"]
TargetKind = Literal["class", "binary", "number", "distribution", "sequence", "identity", "pair", "score"]


class Loss(nn.Module, ABC):
    """A loss: `loss(prediction, target)` gives a scalar, or with `reduction="none"` a value an element.

    Attributes:
        expects: what the network must give: raw scores, probabilities or plain values.
        target_kind: what the targets are.
        soft_targets: whether a mixture of targets (mixup, cutmix) may be given as floats.
    """

    expects: ClassVar[Expects]
    target_kind: ClassVar[TargetKind]
    soft_targets: bool = False

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    @abstractmethod
    def forward(self, prediction: Any, target: Any) -> Tensor:
        """The loss of a batch."""

    def extra_repr(self) -> str:
        """The plain settings, for `print`."""
        plain = {key: value for key, value in vars(self).items() if isinstance(value, int | float | str)}
        return ", ".join(f"{key}={value}" for key, value in plain.items() if key[0] != "_" and key != "training")


def reduced(values: Tensor, reduction: str) -> Tensor:
    """`values` as their mean, their sum, or as they are."""
    if reduction == "mean":
        return values.mean()
    return values.sum() if reduction == "sum" else values


def wide(prediction: Tensor) -> Tensor:
    """`prediction` in at least float32: logarithms of half-precision scores lose what a gradient needs."""
    return prediction.float() if prediction.dtype in (torch.bfloat16, torch.float16) else prediction


def products(first_ND: Tensor, second_MD: Tensor) -> Tensor:
    """Inner products of all pairs, (N, M), in full precision.

    Autocast would give cosines of three digits, and it is their small differences that embeddings are trained by.
    """
    device = first_ND.device.type
    with torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext():
        return first_ND @ second_MD.T


def aligned(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Prediction and target of one shape and float type; (B, 1) and (B,) mean the same here and never broadcast.

    Raises:
        ConfigError: they hold different numbers of values.
    """
    prediction = wide(prediction)
    target = target.to(prediction.dtype)
    if prediction.shape == target.shape:
        return prediction, target
    if _squeezed(prediction) == _squeezed(target):
        return prediction, target.reshape(prediction.shape)
    return _refuse(prediction, target)


def class_axis(prediction: Tensor, target: Tensor) -> int:
    """Where the classes lie in `prediction`: 1 for (B, K) and pictures (B, K, H, W), the last for tokens (B, T, K).

    Raises:
        ConfigError: the target fits neither.
    """
    shape = prediction.shape
    if prediction.dim() < 2:
        _refuse(prediction, target)
    if target.is_floating_point():
        fits = dict.fromkeys((1, prediction.dim() - 1), target.shape == shape)
    else:
        fits = {axis: target.shape == shape[:axis] + shape[axis + 1 :] for axis in (1, prediction.dim() - 1)}
    order = (2, 1) if prediction.dim() == 3 else (1, prediction.dim() - 1)
    for axis in order:
        if fits.get(axis):
            return axis
    return _refuse(prediction, target)


def classes_last(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Scores as rows (N, K), targets as class numbers (N,) or shares of the classes (N, K).

    Raises:
        ConfigError: the target does not fit, or there is one score only.
    """
    if prediction.dim() == 2 and target.dim() == 2 and target.shape[1] == 1 and not target.is_floating_point():
        target = target[:, 0]
    axis = class_axis(prediction, target)
    if prediction.shape[axis] == 1:
        refuse_one_score()
    rows = _rows(wide(prediction), axis)
    if target.is_floating_point():
        return rows, _rows(target, axis).to(rows.dtype)
    return rows, target.reshape(-1).long()


def refuse_one_score() -> NoReturn:
    """A softmax over a single score learns nothing, whatever the targets.

    Raises:
        ConfigError: always.
    """
    template = "loss: a softmax over one score is always 1; use bce, or give the network a score for each class"
    raise ConfigError(template, path="loss")


def demand(fits: bool, name: str, wanted: str, prediction: Any, target: Any) -> None:
    """Refuse a batch that a loss is not made for, naming what it wants.

    Raises:
        ConfigError: `fits` is false.
    """
    if not fits:
        template = "loss {name} wants {wanted}; got predictions {got} and targets {given}; choose a loss for these data"
        raise ConfigError(
            template, path="loss", name=name, wanted=say(wanted), got=_told(prediction), given=_told(target)
        )


def _told(value: Any) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"


def _rows(values: Tensor, axis: int) -> Tensor:
    if values.dim() == 2:
        return values
    return values.movedim(axis, -1).reshape(-1, values.shape[axis])


def _squeezed(tensor: Tensor) -> list[int]:
    return [*tensor.shape[:1], *(size for size in tensor.shape[1:] if size != 1)]


def _refuse(prediction: Tensor, target: Tensor) -> NoReturn:
    template = (
        "loss: predictions of shape {got} do not fit targets of shape {wanted} ({kind}); check the network's last layer"
    )
    kind = str(target.dtype).removeprefix("torch.")
    raise ConfigError(template, path="loss", got=tuple(prediction.shape), wanted=tuple(target.shape), kind=kind)
