"""Saying the input again: what an autoencoder is trained to do, plainly, out of spoilt inputs, or by a sparse code.

Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006; denoising: Vincent et al.,
"Extracting and composing robust features with denoising autoencoders", 2008; sparse: see `losses.coding`.
Letters: B batch, Z numbers of the code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, final

import torch
from pydantic import Field
from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.core.messages import say
from netwright.core.schemas import NonNegative
from netwright.data.batching import Batch, BatchSource
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Schema
from netwright.losses import LossFunction
from netwright.losses.coding import sparsity
from netwright.metrics.sets import MetricSet
from netwright.tasks.base import Phase, StepOutput, Task, with_monitor
from netwright.tasks.codes import code_map, code_of, needs, picture_rows, same_shape, told, worst_again
from netwright.tasks.corrupting import Corrupted, Corruption

__all__ = ["Reconstruction"]

Activity = Annotated[float, Field(gt=0, lt=1)]


@final
class Reconstruction(Task):
    """Squared error, or any loss of (reconstruction, input), and perhaps noise on the input or a price of the code.

    Pictures are in [0, 1]; the numbers of tables and arrays are standardised, unless they were handed over in Python.

    Args:
        noise: what the inputs are spoilt by, in training and in evaluations, while the targets stay clean: the
            deviation of Gaussian noise, or the share of numbers that become 0. With noise, `input_error` tells how far
            the network's inputs are from the targets.
        corruption: which of the two.
        sparsity: weight of the divergence between `activity` and how active the units of the code are, each on the mean
            of a batch; the code must be in [0, 1].
        activity: how active a unit of the code is to be, on the mean.
        scores: whether the network gives scores that a sigmoid makes values of; by default what the loss takes (bce).
        metrics: the figures of an evaluation, in place of the usual ones.

    Shapes: the network gives what it is given, (B, …).

    Raises:
        ConfigError: scores for numbers that are not in [0, 1], a share of numbers that is none; in a step, a network
            that gives another shape, or for `sparsity` one without `encode` and `decode`.
    """

    monitor = "mse"
    sense = "min"
    default_loss = "mse"
    default_metrics = ("mse", "mae")
    input_range = (0.0, 1.0)
    data_kinds = ("image", "table", "array")
    usual_model = "autoencoder"
    answers_targets = True
    own_targets = "number"
    output_name = "reconstruction"

    def __init__(
        self,
        schema: Schema,
        preprocess: Preprocessor | None = None,
        loss: LossFunction | None = None,
        metrics: list[str] | None = None,
        seed: int = 0,
        noise: NonNegative = 0.0,
        corruption: Corruption = "gaussian",
        sparsity: NonNegative = 0.0,
        activity: Activity = 0.05,
        scores: bool | None = None,
    ) -> None:
        self._schema, self._preprocess, self._seed = schema, preprocess, seed
        self._loss = self.chosen_loss(loss)
        self._noise, self._corruption = noise, corruption
        self._sparsity, self._activity = sparsity, activity
        self._scores = _takes_scores(self._loss) if scores is None else scores
        if corruption == "masking" and noise >= 1:
            template = "task.noise={noise} is no share of the inputs' numbers; with masking it is below 1"
            raise ConfigError(template, path="task.noise", noise=noise)
        if self._scores and schema.kind != "image" and not schema.as_given:
            template = "loss: scores are of values in [0, 1], and these data are standardised; use mse"
            raise ConfigError(template, path="loss")
        self._metrics = with_monitor(metrics, self.monitor, self.default_metrics)
        self.measure()  # an unknown metric is refused now, not after the first epoch

    def batches(self, source: BatchSource, training: bool) -> BatchSource:
        """The source's inputs, spoilt if they are to be, with the clean ones as targets."""
        return Corrupted(source, self._schema, self._noise, self._corruption, self._seed, training)

    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """The loss of one batch."""
        assert batch.targets is not None
        out, price = self._run(model, batch)
        loss = self._loss(same_shape(out, batch.targets), batch.targets)
        if price is None:
            return StepOutput(loss, predictions=out)
        return StepOutput(loss + self._sparsity * price, {"sparsity": price.detach()}, out)

    def evaluation_step(self, model: nn.Module, batch: Batch) -> StepOutput:
        """Loss and reconstruction."""
        assert batch.targets is not None and isinstance(batch.inputs, Tensor)
        out, price = self._run(model, batch)
        out = same_shape(out, batch.targets).float()
        loss = self._loss(out, batch.targets)
        code_BZ = None
        if price is not None:
            loss, code_BZ = loss + self._sparsity * price, code_of(model, batch.inputs)
            _check_range(code_BZ)
        said = out.sigmoid() if self._scores else out
        return StepOutput(loss, predictions=_Said(said, batch.targets, batch.inputs if self._noise else None, code_BZ))

    def measure(self) -> "_Figures":
        """The figures, fresh."""
        return _Figures(self._metrics, bool(self._noise), bool(self._sparsity))

    def exhibits(self, model: nn.Module, source: BatchSource, folder: Path) -> list[dict[str, Any]]:
        """Pictures beside what became of them, the worst ones, and maps of the codes."""
        shown: list[dict[str, Any]] = []
        if self._schema.kind == "image" and self._preprocess is not None:
            first, worst = worst_again(source, model, self._values)
            spoilt = bool(self._noise)
            shown += picture_rows(first, say("Reconstructions"), "again", self._preprocess, folder, spoilt)
            shown += picture_rows(worst, say("Worst reconstructions"), "worst", self._preprocess, folder, spoilt)
        plain = source.source if isinstance(source, Corrupted) else source
        return [*shown, *code_map(model, plain, self._schema, self._seed)]

    def replies(self, model: nn.Module, inputs: Sequence[Any]) -> list[dict[str, Any]] | None:
        """The error of each reconstruction, the code, and the reconstruction; see `codes.told`."""
        assert self._preprocess is not None
        return told(model, inputs, self._preprocess, self._schema, self._values)

    def predict(self, model: nn.Module, inputs: Tensor) -> Tensor:
        """The reconstruction, in the unit of the network's inputs."""
        return self._values(model, inputs)

    def decided(self) -> dict[str, Any]:
        """Whether the network gives scores: a model folder holds no loss that would tell."""
        return {"scores": self._scores}

    def _values(self, model: nn.Module, x: Tensor) -> Tensor:
        out: Tensor = model(x).float()
        return out.sigmoid() if self._scores else out

    def _run(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """What the network gives, and the price of its code where it has one."""
        if not self._sparsity:
            return model(batch.inputs), None
        needs(model, "encode", "decode", why="task.sparsity")
        network: Any = model
        code_BZ = network.encode(batch.inputs)
        out = network.decode(code_BZ).reshape(batch.inputs.shape)  # type: ignore[union-attr]
        return out, sparsity(code_BZ.flatten(1), self._activity)


@dataclass
class _Said:
    """The predictions of one evaluation batch. Shapes: said, wanted and given (where it is spoilt) alike (B, …)."""

    said: Tensor
    wanted: Tensor
    given: Tensor | None
    code_BZ: Tensor | None

    def __len__(self) -> int:
        return len(self.said)


class _Figures:
    """The metrics; where inputs are spoilt, also how far they are from the clean ones, and of a sparse code how active
    it is on the mean.
    """

    def __init__(self, names: Sequence[str], spoilt: bool, sparse: bool) -> None:
        self._metrics = MetricSet(names, "regression")
        others = [*(["input_error"] if spoilt else []), *(["activity"] if sparse else [])]
        self._others: dict[str, Tensor | float] = dict.fromkeys(others, 0.0)
        self._count = 0

    def update(self, predictions: _Said, targets: object) -> None:
        """Take one batch in."""
        count, wanted = len(predictions), predictions.wanted
        self._metrics.update(predictions.said, wanted)
        self._count += count
        if predictions.given is not None:
            self._add("input_error", (predictions.given - wanted).double().square(), count)
        if predictions.code_BZ is not None:
            self._add("activity", predictions.code_BZ.double(), count)

    def compute(self) -> dict[str, float]:
        """The figures; NaN where no example came."""
        nan = float("nan")
        others = {name: float(total) / self._count if self._count else nan for name, total in self._others.items()}
        return {**self._metrics.compute(), **others}

    def _add(self, name: str, values: Tensor, count: int) -> None:
        self._others[name] = self._others[name] + values.mean() * count


def _takes_scores(loss: LossFunction) -> bool:
    return getattr(loss, "expects", None) == "logits" or isinstance(loss, nn.BCEWithLogitsLoss)


def _check_range(code_BZ: Tensor | None) -> None:
    """A mean activity is one of units between off and on."""
    if code_BZ is None:
        return
    low, high = (float(end) for end in torch.aminmax(code_BZ.detach()))
    if low < 0 or high > 1:
        template = (
            "task.sparsity wants a code in [0, 1], and this one reaches from {low:.3g} to {high:.3g}; set "
            "model.code_activation: sigmoid"
        )
        raise ConfigError(template, path="task.sparsity", low=low, high=high)
