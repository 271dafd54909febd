"""A sum of losses of the same scores: Dice sees areas and cross-entropy single pixels, and together they see both.

Isensee et al., "nnU-Net", 2021, trains segmentation with that very sum.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.core.schemas import Count, NonNegative, Size
from netwright.losses.base import Loss, Reduction, reduced
from netwright.losses.build import build_loss

__all__ = ["Sum"]


class Sum(Loss):
    """`Σ w_i · loss_i(prediction, target)`; a config may also write it as `dice + cross-entropy`.

    Args:
        parts: losses as a config writes them: names, or mappings with a `name` and settings; by default cross-entropy
            and Dice.
        weights: w, one a part; 1 each by default.
        num_classes, class_counts, ignore_index: bound from the data; each part takes what its signature names.

    Shapes: those that all parts take; `none` gives (B,), in which the values of each part are averaged over an example.

    Raises:
        ConfigError: fewer than two parts, weights that do not fit, or a part that is no loss of raw scores.
    """

    expects = "logits"
    target_kind = "class"

    def __init__(
        self,
        *,
        parts: list[str | dict[str, Any]] | None = None,
        weights: list[NonNegative] | None = None,
        num_classes: Size | None = None,
        class_counts: list[Count] | None = None,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        parts = ["cross-entropy", "dice"] if parts is None else parts
        if len(parts) < 2:
            template = "loss.parts has {count} losses; a sum takes two or more"
            raise ConfigError(template, path="loss.parts", count=len(parts))
        if weights is not None and len(weights) != len(parts):
            template = "loss.weights has {got} numbers for {wanted} parts; give one a part"
            raise ConfigError(template, path="loss.weights", got=len(weights), wanted=len(parts))
        bound = {"num_classes": num_classes, "class_counts": class_counts, "ignore_index": ignore_index}
        bound = {name: value for name, value in bound.items() if value is not None}
        own: Reduction = "mean" if reduction == "mean" else "none"
        made = [_part(part, f"loss.parts[{place}]", bound, own) for place, part in enumerate(parts)]
        self.parts = nn.ModuleList(made)
        self.weights = list(weights) if weights is not None else [1.0] * len(made)
        self.ignore_index = ignore_index
        self.soft_targets = all(part.soft_targets for part in made)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The weighted sum of what the parts say of a batch."""
        said = [part(prediction, target) for part in self.parts]
        if self.reduction != "mean":  # parts differ in what they give a value for, and agree on examples
            said = [values.reshape(len(prediction), -1).mean(1) for values in said]
        total: Tensor = torch.stack([weight * values for weight, values in zip(self.weights, said, strict=True)]).sum(0)
        return reduced(total, self.reduction)


def _part(spec: Any, where: str, bound: dict[str, Any], reduction: Reduction) -> Loss:
    section = dict(spec) if isinstance(spec, Mapping) else {"name": spec}
    made = build_loss({**section, "reduction": reduction}, where, bound)
    if not isinstance(made, Loss) or made.expects != "logits":
        template = "{where}={spec} is no loss of raw scores; use losses such as dice, focal and cross-entropy"
        raise ConfigError(template, path=where, where=where, spec=spec)
    return made
