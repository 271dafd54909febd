"""Learning what examples are made of: the evidence lower bound of a variational autoencoder.

Kingma and Welling, "Auto-encoding variational Bayes", 2014, equation 10; weighted divergence: Higgins et al.,
"β-VAE: learning basic visual concepts with a constrained variational framework", 2017; its warm-up: Bowman et al.,
"Generating sentences from a continuous space", 2016. Letters: B batch, Z units of the code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.core.messages import say
from netwright.core.schemas import Fraction, NonNegative, Positive, Size
from netwright.core.seeds import generator, normal
from netwright.data.batching import Batch, BatchSource
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Schema
from netwright.losses.coding import bernoulli_surprise, gaussian_kl, gaussian_surprise
from netwright.metrics.latent import Evidence
from netwright.tasks.base import Phase, StepOutput, Task
from netwright.tasks.codes import code_map, needs, picture_rows, same_shape, told, worst_again
from netwright.tasks.corrupting import Corrupted
from netwright.tasks.judging import Verdict, Verdicts, bundled_judge, judged, require_judge
from netwright.tasks.looking import looking
from netwright.tasks.pictures import pixels_of, write_grid

__all__ = ["Variational"]

_CODE, _PRIOR, _GRID = 0xC0DE, 0xC0DF, 0xC0E0  # keep the fixed noise of evaluations and of the report's grid apart
_UNITS, _STEPS, _REACH = 8, 9, 3.0  # rows and columns of the traverse, in deviations of the prior
_EDGE = 1e-6


@final
class Variational(Task):
    """Surprise at an example given its code, plus β times how far codes are from a standard normal; nats an example.

    Args:
        beta: weight of the divergence; 1 is the bound itself, more gives a code whose units mean one thing each, and
            coarser pictures.
        warmup: share of the run in which β rises from 0.
        likelihood: of the numbers of a picture, in [0, 1]: `bernoulli` (each white by a probability; greys count in
            part, which makes the bound none of a density), or `gaussian`.
        deviation: of the Gaussian.
        judge: what measures pictures made of drawn codes: `auto` (the bundled one, where the data are Fashion-MNIST),
            `none`, or the path of a classifier's model folder.
        judge_network: bound from `judge` where that is a path: takes pictures in [-1, 1], has `features`.
        columns: the report's grid has that many pictures in a row and as many rows.

    Shapes: batch inputs (B, C, H, W) in [0, 1]; targets are not looked at. The network has `encode` to mean and
        log-variance, (B, Z) each, `decode`, and maybe `scores`, which is `decode` before its sigmoid.

    Raises:
        ConfigError: a judge's path without its network; in a step, a network without these parts, or for `bernoulli`
            one whose pictures leave [0, 1].
    """

    input_range = (0.0, 1.0)
    data_kinds = ("image",)
    usual_model = "vae"
    own_targets = "number"
    output_name = "reconstruction"

    def __init__(
        self,
        schema: Schema,
        preprocess: Preprocessor,
        *,
        beta: NonNegative = 1.0,
        warmup: Fraction = 0.0,
        likelihood: Literal["bernoulli", "gaussian"] = "bernoulli",
        deviation: Positive = 0.1,
        judge: str = "auto",
        judge_network: nn.Module | None = None,
        columns: Size = 8,
        seed: int = 0,
        total_steps: int = 1,
    ) -> None:
        require_judge(judge, judge_network)
        self._schema, self._preprocess, self._columns, self._seed = schema, preprocess, columns, seed
        self._beta, self._rise, self._step = beta, warmup * total_steps, 0
        self._likelihood, self._deviation = likelihood, deviation
        self._judge = judge_network or (bundled_judge(schema) if judge == "auto" else None)

    def batches(self, source: BatchSource, training: bool) -> BatchSource:
        """The source's inputs with themselves as targets."""
        return Corrupted(source, self._schema, 0.0, "gaussian", self._seed, training)

    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """The loss of one batch, of one code an example; its noise is of torch's global generator, which checkpoints
        hold.
        """
        needs(model, "encode", "decode", why="task variational")
        x, beta = _pictures(batch), self._beta * min(1.0, self._step / self._rise if self._rise else 1.0)
        self._step += 1
        network: Any = model
        mean_BZ, log_variance_BZ = network.encode(x)
        surprise_B = self._surprise(model, _drawn(mean_BZ, log_variance_BZ, torch.randn_like(mean_BZ)), x)
        surprise, kl = surprise_B.mean(), gaussian_kl(mean_BZ, log_variance_BZ).sum(1).mean()
        logs = {"surprise": surprise.detach(), "kl": kl.detach(), "beta": torch.tensor(beta)}
        return StepOutput(surprise + beta * kl, logs)

    def evaluation_step(self, model: nn.Module, batch: Batch) -> StepOutput:
        """The loss at the whole β, of codes whose noise belongs to the row; and as many new pictures as there are."""
        needs(model, "encode", "decode", why="task variational")
        x, network = _pictures(batch), model
        mean_BZ, log_variance_BZ = network.encode(x)  # type: ignore[operator]
        size, rows = mean_BZ.shape[1], batch.rows()
        code_BZ = _drawn(mean_BZ, log_variance_BZ, normal(self._seed, 0, rows, _CODE, size))
        surprise_B, kl_BZ = self._surprise(model, code_BZ, x), gaussian_kl(mean_BZ, log_variance_BZ)
        said = self._values(model, x)
        self._check_range(said)
        judgement = None
        if self._judge is not None:
            made: Tensor = network.decode(normal(self._seed, 0, rows, _PRIOR, size))  # type: ignore[operator]
            judgement = judged(self._judge, 2 * x - 1, 2 * made.float() - 1)
        verdict = Verdict(len(x), {"mse": (said - x).square().mean()}, judgement)
        loss = surprise_B.mean() + self._beta * kl_BZ.sum(1).mean()
        return StepOutput(loss, predictions=_Coded(verdict, surprise_B, kl_BZ, mean_BZ.float()))

    def measure(self) -> "_Figures":
        """The bound and its divergence in nats, units in use, the error of reconstructions from the means of codes, and
        where there is a judge Fréchet distance and classifier score of new pictures.
        """
        return _Figures(judged=self._judge is not None)

    def exhibits(self, model: nn.Module, source: BatchSource, folder: Path) -> list[dict[str, Any]]:
        """New pictures, pictures beside their reconstructions, a walk along units of the code, and maps of codes."""
        first, worst = worst_again(source, model, self._values)
        if not first:
            return []
        shown = self._made(model, first[0].wanted, folder)
        shown += picture_rows(first, say("Reconstructions"), "again", self._preprocess, folder, spoilt=False)
        shown += picture_rows(worst, say("Worst reconstructions"), "worst", self._preprocess, folder, spoilt=False)
        shown += self._units(model, source, first[0].wanted, folder)
        plain = source.source if isinstance(source, Corrupted) else source
        return [*shown, *code_map(model, plain, self._schema, self._seed)]

    def replies(self, model: nn.Module, inputs: Sequence[Any]) -> list[dict[str, Any]] | None:
        """The error of each reconstruction, the mean of the code, and the reconstruction; see `codes.told`."""
        return told(model, inputs, self._preprocess, self._schema, self._values)

    def state(self) -> dict[str, Any]:
        """How far β has risen."""
        return {"step": self._step}

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo of `state`."""
        self._step = int(state["step"])

    def _surprise(self, model: nn.Module, code_BZ: Tensor, x: Tensor) -> Tensor:
        """`-ln p(x | code)`. Shapes: -> (B,)."""
        network: Any = model
        if self._likelihood == "gaussian":
            return gaussian_surprise(same_shape(network.decode(code_BZ), x), x, self._deviation)
        scores = network.scores(code_BZ) if hasattr(model, "scores") else _scores(network.decode(code_BZ))
        return bernoulli_surprise(same_shape(scores, x), x)

    def _values(self, model: nn.Module, x: Tensor) -> Tensor:
        network: Any = model
        return same_shape(network.decode(network.encode(x)[0]), x).float()

    def _check_range(self, said: Tensor) -> None:
        if self._likelihood == "bernoulli" and not bool(((said >= 0) & (said <= 1)).all()):
            template = (
                "task.likelihood=bernoulli needs pictures in [0, 1], and the network gives {low:.3g} to {high:.3g}; "
                "set model.output: sigmoid, or likelihood: gaussian"
            )
            raise ConfigError(template, path="task.likelihood", low=float(said.min()), high=float(said.max()))

    def _made(self, model: nn.Module, like: Tensor, folder: Path) -> list[dict[str, Any]]:
        """A grid of new pictures."""
        network: Any = model
        with looking(model):
            size = network.encode(like[None])[0].shape[1]
            code_NZ = torch.randn(self._columns**2, size, generator=generator(self._seed, _GRID)).to(like)
            made: Tensor = network.decode(code_NZ)
        write_grid(pixels_of(made, self._preprocess), folder / "exhibits/made.png", self._columns)
        item = {"file": "exhibits/made.png", "caption": say("made of codes drawn from a standard normal")}
        return [{"kind": "pictures", "title": say("New pictures"), "items": [item]}]

    def _units(self, model: nn.Module, source: BatchSource, picture: Tensor, folder: Path) -> list[dict[str, Any]]:
        """What each unit of the code is worth, and what the ones that are worth most do to a picture."""
        evidence, network = Evidence(), model
        with looking(model):
            for batch in source.epoch(0):
                mean_BZ, log_variance_BZ = network.encode(_pictures(batch))  # type: ignore[operator]
                evidence.update(mean_BZ.new_zeros(len(mean_BZ)), gaussian_kl(mean_BZ, log_variance_BZ), mean_BZ)
            kl_Z, variance_Z = evidence.units()
            chosen = kl_Z.argsort(descending=True, stable=True)
            code_1Z: Tensor = network.encode(picture[None])[0]  # type: ignore[operator]
            codes = code_1Z.repeat(len(chosen[:_UNITS]) * _STEPS, 1)
            units = chosen[:_UNITS].repeat_interleave(_STEPS).to(codes.device)
            steps = torch.linspace(-_REACH, _REACH, _STEPS, device=codes.device).repeat(len(chosen[:_UNITS]))
            codes[torch.arange(len(codes), device=codes.device), units] = steps.to(codes.dtype)
            walked: Tensor = network.decode(codes)  # type: ignore[operator]
        write_grid(pixels_of(walked, self._preprocess), folder / "exhibits/units.png", _STEPS)
        caption = say("a picture's code with one unit a row set from -3 to 3: {units}", units=chosen[:_UNITS].tolist())
        item = {"file": "exhibits/units.png", "caption": caption}
        rows = [[unit, round(float(kl_Z[unit]), 4), round(float(variance_Z[unit]), 4)] for unit in chosen.tolist()]
        columns = [say("unit"), say("divergence (nats)"), say("variance of its mean")]
        return [
            {"kind": "pictures", "title": say("Along the units of the code"), "items": [item]},
            {"kind": "table", "title": say("Units of the code"), "columns": columns, "rows": rows},
        ]


@dataclass
class _Coded:
    """The predictions of one evaluation batch. Shapes: (B,) and (B, Z)."""

    verdict: Verdict
    surprise_B: Tensor
    kl_BZ: Tensor
    mean_BZ: Tensor

    def __len__(self) -> int:
        return len(self.verdict)


class _Figures:
    """The bound, the error of reconstructions, and what the judge says."""

    def __init__(self, judged: bool) -> None:
        self._evidence, self._verdicts = Evidence(), Verdicts(judged, ("mse",))

    def update(self, predictions: _Coded, targets: object) -> None:
        """Take one batch in."""
        self._evidence.update(predictions.surprise_B, predictions.kl_BZ, predictions.mean_BZ)
        self._verdicts.update(predictions.verdict, targets)

    def compute(self) -> dict[str, float]:
        """The figures; NaN where no example came."""
        return {**self._evidence.compute(), **self._verdicts.compute()}


def _pictures(batch: Batch) -> Tensor:
    assert isinstance(batch.inputs, Tensor)
    return batch.inputs


def _drawn(mean_BZ: Tensor, log_variance_BZ: Tensor, noise_BZ: Tensor) -> Tensor:
    """A code of each Gaussian, through which gradients pass."""
    return mean_BZ + torch.exp(0.5 * log_variance_BZ) * noise_BZ.to(mean_BZ.dtype)


def _scores(values: Tensor) -> Tensor:
    """What a sigmoid would make these values of."""
    return torch.logit(values.float(), _EDGE)
