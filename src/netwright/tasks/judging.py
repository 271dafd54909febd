"""How good generated pictures are, in the eyes of a judge: a classifier of the same kind of pictures.

The maths is that of `metrics.frechet`; by the features of a small classifier of the data at hand, figures compare only
under one judge and one number of samples.
Letters: B batch, D features, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.data.schema import Schema
from netwright.data.sources.fashion import CLASSES
from netwright.metrics import judges
from netwright.metrics.frechet import classifier_score, frechet_distance
from netwright.models.vision.lenet import LeNet5

__all__ = ["Judgement", "Verdict", "Verdicts", "bundled_judge", "judged", "require_judge"]


@dataclass
class Judgement:
    """What the judge saw. Shapes: features of real and made pictures (B, D), scores of the made ones (B, K)."""

    real: Tensor
    made: Tensor
    scores: Tensor


@dataclass
class Verdict:
    """The predictions of one evaluation batch of a generator; as long as its batch, and so weighted in the mean."""

    size: int
    losses: dict[str, Tensor]
    judgement: Judgement | None

    def __len__(self) -> int:
        return self.size


def bundled_judge(schema: Schema) -> nn.Module | None:
    """The judge that comes with the package, for Fashion-MNIST in [-1, 1]; None for other data."""
    if schema.input_shape != (1, 28, 28) or schema.target.classes != CLASSES:
        return None
    return _fashion_judge()


def require_judge(judge: str, network: nn.Module | None) -> None:
    """Refuse the path of a judge that nobody loaded.

    Raises:
        ConfigError: no network for it.
    """
    if judge not in ("auto", "none") and network is None:
        template = "task.judge={judge!r} was not loaded; use auto, none, or the model folder of a classifier"
        raise ConfigError(template, path="task.judge", judge=judge)


def judged(judge: nn.Module, real: Tensor, made: Tensor) -> Judgement:
    """What a judge sees in pictures. Shapes: (B, C, H, W) both, in [-1, 1]."""
    judge = judge.to(real.device)
    features_of: Any = judge.features
    seen = [features_of(pictures).flatten(1).float() for pictures in (real, made)]
    return Judgement(seen[0], seen[1], judge(made).float())


_JUDGED = ("frechet", "classifier_score")


class Verdicts:
    """Collects verdicts into the figures: `losses`, and where there is a judge (`judged`) `frechet` and
    `classifier_score`.
    """

    def __init__(self, judged: bool, losses: Sequence[str]) -> None:
        self._names = (*losses, *_JUDGED) if judged else tuple(losses)
        self._losses: dict[str, Tensor | float] = {}
        self._count = 0
        self._seen: list[Judgement] = []

    def update(self, predictions: Verdict, targets: object) -> None:
        """Take one batch in."""
        self._count += predictions.size
        for name, loss in predictions.losses.items():
            self._losses[name] = self._losses.get(name, 0.0) + loss.double() * predictions.size
        if predictions.judgement is not None:
            self._seen.append(predictions.judgement)

    def compute(self) -> dict[str, float]:
        """The figures; NaN where no batch came."""
        if not self._count:
            return dict.fromkeys(self._names, float("nan"))
        figures = {name: float(total) / self._count for name, total in self._losses.items()}
        if self._seen:
            real, made = torch.cat([seen.real for seen in self._seen]), torch.cat([seen.made for seen in self._seen])
            figures["frechet"] = frechet_distance(real, made)
            figures["classifier_score"] = classifier_score(torch.cat([seen.scores for seen in self._seen]))
        return figures


@cache
def _fashion_judge() -> nn.Module:
    judge = LeNet5(variant="modern", norm="batch")
    with safe_open(Path(judges.__file__).with_name("fashion_mnist.safetensors"), "pt") as weights:
        judge.load_state_dict({name: weights.get_tensor(name) for name in weights.keys()})  # noqa: SIM118 - not a dict
    return judge.eval().requires_grad_(False)
