"""Adversarial training: a discriminator learns to tell real from made, a generator learns to be taken for real.

Goodfellow et al., "Generative adversarial nets", 2014; the games and their papers are in `losses.adversarial`.
Letters: B batch, C channels, Z noise.

Differs from the papers: all updates of a step see the same real batch (with new noise each).
"""

from functools import partial
from pathlib import Path
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.core.messages import say
from netwright.core.schemas import NonNegative, Probability, Size
from netwright.core.seeds import generator, normal
from netwright.data.batching import Batch, BatchSource
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Schema
from netwright.losses.adversarial import Adversarial, gradient_penalty
from netwright.tasks.base import Phase, StepOutput, Task
from netwright.tasks.judging import Verdict, Verdicts, bundled_judge, judged, require_judge
from netwright.tasks.pictures import pixels_of, write_grid

__all__ = ["AdversarialGeneration"]

Kind = Literal["non-saturating", "hinge", "wasserstein-gp"]

_DISCRIMINATOR, _GENERATOR = Phase("discriminator", "discriminator"), Phase("generator", "generator")
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_NOISE, _GRID = 0x6A4, 0x6A5  # keep the fixed noise of evaluations and of the report's grid apart


@final
class AdversarialGeneration(Task):
    """Phases for the discriminator, then one for the generator; the network has both as parts, as `models.GAN` does.

    Args:
        kind: the game that is played; see `losses.adversarial.Adversarial`.
        label_smoothing: what real pictures lack to a certain "real" (non-saturating only; the made ones stay at 0).
        penalty: weight of the gradient penalty (wasserstein-gp only).
        discriminator_updates: how many come before one of the generator; by default 5 for wasserstein-gp, else 1.
        judge: what measures the pictures: `auto` (the bundled one, where the data are Fashion-MNIST), `none`, or the
            path of a classifier's model folder.
        judge_network: bound from `judge` where that is a path: takes pictures in [-1, 1], has `features`.
        columns: the report's grid has that many pictures in a row and as many rows.

    Shapes: batch inputs (B, C, H, W) in [-1, 1]; targets are not looked at.

    Raises:
        ConfigError: a judge's path without its network; in a step, a network without the two parts, or for
            wasserstein-gp with batch norm in the discriminator.
    """

    phases: tuple[Phase, ...] = (_DISCRIMINATOR, _GENERATOR)
    input_range = (-1.0, 1.0)
    data_kinds = ("image",)
    usual_model = "gan"
    output_name = "score"

    def __init__(
        self,
        schema: Schema,
        preprocess: Preprocessor,
        *,
        kind: Kind = "non-saturating",
        label_smoothing: Probability = 0.0,
        penalty: NonNegative = 10.0,
        discriminator_updates: Size | None = None,
        judge: str = "auto",
        judge_network: nn.Module | None = None,
        columns: Size = 8,
        seed: int = 0,
    ) -> None:
        require_judge(judge, judge_network)
        self._game = Adversarial(
            kind="wasserstein" if kind == "wasserstein-gp" else kind, label_smoothing=label_smoothing
        )
        self._penalty = penalty if kind == "wasserstein-gp" else 0.0
        self._preprocess = preprocess
        self._columns, self._seed = columns, seed
        critics = discriminator_updates or (5 if kind == "wasserstein-gp" else 1)
        self.phases = (_DISCRIMINATOR,) * critics + (_GENERATOR,)
        self._judge = judge_network or (bundled_judge(schema) if judge == "auto" else None)
        self.monitor = "loss" if self._judge is None else "frechet"
        self._discriminator_loss: Tensor | None = None  # of this step, for the log

    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """The loss of one of the two; noise comes from torch's global generator, which checkpoints hold."""
        real = _real(batch)
        self._check(model)
        noise = model.noise(len(real))  # type: ignore[operator]
        if phase.name == "generator":
            loss = self._game.generator(_scores(model, _make(model, noise)))
            logs = {} if self._discriminator_loss is None else {"discriminator_loss": self._discriminator_loss}
            return StepOutput(loss, {**logs, "generator_loss": loss.detach()})
        with torch.no_grad():
            made = _make(model, noise)
        loss = self._game.discriminator(_scores(model, real), _scores(model, made))
        if self._penalty:
            loss = loss + self._penalty * gradient_penalty(partial(_scores, model), real, made)
        self._discriminator_loss = loss.detach()
        return StepOutput(loss, {"discriminator_loss": self._discriminator_loss})

    def evaluation_step(self, model: nn.Module, batch: Batch) -> StepOutput:
        """As many pictures as there are real ones, from noise that belongs to the row; the loss is the generator's."""
        real = _real(batch)
        self._check(model)
        made = _make(model, normal(self._seed, 0, batch.rows(), _NOISE, _noise_size(model)))
        judgement = None if self._judge is None else judged(self._judge, real, made)
        scores = _scores(model, made)
        losses = {
            "generator_loss": self._game.generator(scores),
            "discriminator_loss": self._game.discriminator(_scores(model, real), scores),
        }
        return StepOutput(losses["generator_loss"], losses, Verdict(len(real), losses, judgement))

    def predict(self, model: nn.Module, inputs: Tensor) -> Tensor:
        """The discriminator's scores of pictures, (B,)."""
        return _scores(model, inputs)

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """How real each picture looks to the discriminator: more is more real."""
        return [{"score": score} for score in outputs.tolist()]

    def measure(self) -> Verdicts:
        """Losses, and where there is a judge Fréchet distance and classifier score."""
        return Verdicts(self._judge is not None, ("generator_loss", "discriminator_loss"))

    def exhibits(self, model: nn.Module, source: BatchSource, folder: Path) -> list[dict[str, Any]]:
        """A grid of made pictures, and one of real ones to hold against it."""
        count = self._columns**2
        made = model.sample(count, generator(self._seed, _GRID))  # type: ignore[operator]
        real = next(iter(source.epoch(0))).inputs
        assert isinstance(real, Tensor)
        items, captions = [], (say("made by the network"), say("real"))
        for name, caption, pictures in zip(("made", "real"), captions, (made, real[:count]), strict=True):
            file = f"exhibits/{name}.png"
            write_grid(pixels_of(pictures, self._preprocess), folder / file, self._columns)
            items.append({"file": file, "caption": caption})
        shown: list[dict[str, Any]] = [{"kind": "pictures", "title": say("Made and real pictures"), "items": items}]
        if self._judge is None:
            text = say(
                "No judge fits these data, so nothing says how good the pictures are: the losses of a GAN do not. "
                "Train a classifier on such pictures and give its model folder as task.judge."
            )
            shown.append({"kind": "text", "title": say("Not measured"), "items": [text]})
        return shown

    def _check(self, model: nn.Module) -> None:
        """The two parts are there, and no norm mixes the examples that a gradient penalty is to see one by one."""
        missing = [name for name in ("generator", "discriminator", "noise", "noise_size") if not hasattr(model, name)]
        if missing:
            template = "the network has no {missing}, which task gan needs; use model: gan, or wrap two networks in GAN"
            raise ConfigError(template, path="model", missing=", ".join(missing))
        critic: Any = model.discriminator
        if self._penalty and any(isinstance(part, _BATCH_NORMS) for part in getattr(critic, "modules", tuple)()):
            template = (
                "kind=wasserstein-gp asks for the slope at each example, and batch norm in the discriminator mixes "
                "them; set model.discriminator_norm: layer, or another kind"
            )
            raise ConfigError(template, path="model")


def _real(batch: Batch) -> Tensor:
    assert isinstance(batch.inputs, Tensor)
    return batch.inputs


def _make(model: nn.Module, noise_BZ: Tensor) -> Tensor:
    made: Tensor = model.generator(noise_BZ)  # type: ignore[operator]
    return made


def _scores(model: nn.Module, pictures: Tensor) -> Tensor:
    scores: Tensor = model.discriminator(pictures)  # type: ignore[operator]
    return scores


def _noise_size(model: nn.Module) -> int:
    size: Any = model.noise_size
    return int(size)
