"""Forecasting time series: from a window of the past to the next values, all steps of the horizon at once.

Training sees standardised values; every figure and picture is in the series' own unit, beside two forecasts that cost
nothing: the last value again (the naive one), and what was a season before (the seasonal naive one).
Letters: B batch, T rows of a window, H steps of the horizon, C columns, K of them forecast (the first).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from netwright.core.errors import ConfigError, suggest
from netwright.core.messages import say
from netwright.data.batching import Batch, BatchSource
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Schema
from netwright.data.series_scaling import SeriesPreprocessor
from netwright.losses import LossFunction
from netwright.metrics.forecast import FIGURES, Forecast, ForecastErrors
from netwright.tasks.base import Phase, StepOutput, Task
from netwright.tasks.looking import looking

__all__ = ["Forecasting"]

_SHOWN = 3  # windows whose forecasts are drawn
_STILL = 1e-4  # deviations of the training rows: a window that moves less is only shifted, not stretched


@final
class Forecasting(Task):
    """Absolute error, or any loss of (predictions, targets), over all steps of the horizon.

    Args:
        scaling: `window` takes each window's own mean and deviation off what the network is given and puts them back on
            its answer, for series that drift or differ in level (Kim et al., "Reversible instance normalization",
            2022, without its learnt factors); `train` leaves it at those of the training rows.
        metrics: some of mase, mae, rmse, seasonal_mase, last_mase; mase is always among them.

    Shapes: the network takes (B, T, C) and gives (B, H*K), or (B, H, K); targets (B, H*K), step by step.

    Raises:
        ConfigError: an unknown metric; in a step, a network that gives another number of values.
    """

    monitor = "mase"
    sense = "min"
    default_loss = "mae"
    default_metrics = FIGURES
    data_kinds = ("series",)
    target_kinds = ("forecast",)
    usual_model = "lstm_forecaster"
    output_name = "forecast"
    answers_targets = True

    def __init__(
        self,
        schema: Schema,
        preprocess: Preprocessor | None = None,
        loss: LossFunction | None = None,
        metrics: list[str] | None = None,
        scaling: Literal["train", "window"] = "train",
    ) -> None:
        target = schema.target
        self._names, self._horizon, self._season = target.names, target.horizon, target.season
        self._preprocess, self._scaling = preprocess, scaling
        self._loss = self.chosen_loss(loss)
        for name in metrics or ():
            if name not in FIGURES:
                near = suggest(name, FIGURES)
                raise ConfigError("unknown metric {name!r}{near}", path="metrics", name=name, near=near)
        self._metrics = tuple(dict.fromkeys(["mase", *(FIGURES if metrics is None else metrics)]))

    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """The loss of one batch."""
        said, wanted = self._pair(model, batch)
        return StepOutput(self._loss(said, wanted), predictions=said)

    def evaluation_step(self, model: nn.Module, batch: Batch) -> StepOutput:
        """The loss in the standardised unit; forecasts, those of the network and the naive ones, in their own."""
        said, wanted = self._pair(model, batch)
        assert isinstance(batch.inputs, Tensor)
        seasonal, last = self._naive(batch.inputs)
        forecast = Forecast(self._back(said.float()), self._back(seasonal), self._back(last))
        return StepOutput(self._loss(said.float(), wanted), predictions=forecast)

    def measure(self) -> "_Figures":
        """The errors, fresh."""
        scale = self._preprocess.naive if isinstance(self._preprocess, SeriesPreprocessor) else [1.0] * len(self._names)
        return _Figures(ForecastErrors(scale), self._back, self._metrics)

    def predict(self, model: nn.Module, inputs: Tensor) -> Tensor:
        """Standardised forecasts. Shapes: (B, T, C) -> (B, H*K)."""
        if self._scaling == "train":
            return self._flat(model(inputs))
        middle, spread = inputs.mean(1, keepdim=True), inputs.std(1, correction=0, keepdim=True)
        spread = torch.where(spread < _STILL, torch.ones_like(spread), spread)
        said = self._flat(model((inputs - middle) / spread)).view(-1, self._horizon, len(self._names))
        count = len(self._names)
        return (said * spread[..., :count] + middle[..., :count]).flatten(1)

    def exported(self, outputs: Tensor) -> Tensor:
        """In the series' own unit. Shapes: (B, H*K) -> (B, H, K)."""
        return self._back(outputs.float())

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """The next values of each series by name, step by step."""
        values = self._back(outputs.float())
        return [{name: row[:, k].tolist() for k, name in enumerate(self._names)} for row in values]

    def exhibits(self, model: nn.Module, source: BatchSource, folder: Path) -> list[dict[str, Any]]:
        """Some forecasts beside the truth, the error step by step, and the naive forecasts' errors in a table."""
        errors_HK, some = self._watch(model, source)
        if not some:
            return []
        shown = [_drawn(name, k, window) for k, name in enumerate(self._names) for window in some]
        for k, name in enumerate(self._names):
            shown.append(_by_step(name, {who: error[:, k] for who, error in errors_HK.items()}))
        rows = [[who, *(float(value) for value in error.mean(0))] for who, error in errors_HK.items()]
        title = say("mean absolute error over the horizon")
        return [*shown, {"kind": "table", "title": title, "columns": [say("forecast"), *self._names], "rows": rows}]

    def _pair(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        assert isinstance(batch.inputs, Tensor) and batch.targets is not None
        return self.predict(model, batch.inputs), batch.targets

    def _flat(self, said: Tensor) -> Tensor:
        """(B, H, K) or (B, H*K) as (B, H*K)."""
        wanted = self._horizon * len(self._names)
        if said.dim() < 2 or said[0].numel() != wanted:
            template = (
                "the network gives {got} values a window; data.horizon={horizon} of {series} series needs {wanted}"
            )
            raise ConfigError(
                template, path="model", got=tuple(said.shape[1:]), horizon=self._horizon, series=len(self._names),
                wanted=wanted,
            )  # fmt: skip
        return said.flatten(1)

    def _naive(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The last season and the last value, repeated. Shapes: (B, T, C) -> (B, H*K) each."""
        past = inputs[..., : len(self._names)].float()
        steps = past.shape[1] - self._season + torch.arange(self._horizon, device=past.device) % self._season
        return past[:, steps].flatten(1), past[:, -1:].expand(-1, self._horizon, -1).flatten(1)

    def _back(self, values: Tensor) -> Tensor:
        """In the series' own unit. Shapes: (B, H*K) -> (B, H, K)."""
        values = values if self._preprocess is None else self._preprocess.targets_back(values)
        return values.reshape(-1, self._horizon, len(self._names))

    def _watch(self, model: nn.Module, source: BatchSource) -> tuple[dict[str, Tensor], list[dict[str, Tensor]]]:
        """Mean absolute errors (H, K) of the network and the naive forecasts, and some windows on the CPU."""
        wanted = {round(source.examples * (part + 0.5) / _SHOWN) for part in range(_SHOWN)}
        sums: dict[str, Tensor] = {}
        some: list[dict[str, Tensor]] = []
        seen = 0
        with looking(model):
            for batch in source.epoch(0):
                said = self.evaluation_step(model, batch).predictions
                true = self._back(batch.targets)  # type: ignore[arg-type]
                who = {say("network"): said.said, say("a season before"): said.seasonal, say("last value"): said.last}
                for name, values in who.items():
                    sums[name] = sums.get(name, 0.0) + (values - true).abs().double().sum(0).cpu()
                for row in range(len(said)):
                    if seen + row in wanted:
                        past = self._past(batch.inputs[row])  # type: ignore[arg-type]
                        some.append({"past": past, "true": true[row].cpu(), "said": said.said[row].cpu()})
                seen += len(said)
        return {name: total / max(1, seen) for name, total in sums.items()}, some

    def _past(self, window: Tensor) -> Tensor:
        """What the network looked back on, in the series' own unit. Shapes: (T, C) -> (T, K)."""
        flat = window[:, : len(self._names)].float()
        return (flat if self._preprocess is None else self._preprocess.targets_back(flat)).cpu()


class _Figures:
    """Errors of forecasts that come in the series' own unit, with targets that come standardised."""

    def __init__(self, inner: ForecastErrors, back: Callable[[Tensor], Tensor], names: tuple[str, ...]) -> None:
        self._inner, self._back, self._names = inner, back, names

    def update(self, predictions: Forecast, targets: Tensor) -> None:
        """Take one batch in."""
        self._inner.update(predictions, self._back(targets))

    def compute(self) -> dict[str, float]:
        """The figures that were asked for."""
        figures = self._inner.compute()
        return {name: figures[name] for name in self._names}


def _drawn(name: str, k: int, window: dict[str, Tensor]) -> dict[str, Any]:
    """The past that the network looked back on, what came, and what it said; step 1 is the first that is forecast."""
    past, true, said = (window[part][:, k] for part in ("past", "true", "said"))
    before, ahead = list(range(1 - len(past), 1)), list(range(1, len(true) + 1))
    lines = [
        {"name": say("forecast"), "x": [0, *ahead], "y": [float(past[-1]), *said.tolist()]},
        {"name": say("what came"), "x": [0, *ahead], "y": [float(past[-1]), *true.tolist()]},
        {"name": say("before"), "x": before, "y": past.tolist()},
    ]
    return {"kind": "curves", "title": say("{name}: a forecast", name=name), "lines": lines, "x_label": say("step"),
            "y_label": name}  # fmt: skip


def _by_step(name: str, errors: dict[str, Tensor]) -> dict[str, Any]:
    """Mean absolute error of each step of the horizon."""
    lines = [{"name": who, "x": list(range(1, len(error) + 1)), "y": error.tolist()} for who, error in errors.items()]
    return {"kind": "curves", "title": say("{name}: error by step of the horizon", name=name), "lines": lines,
            "x_label": say("step"), "y_label": say("mean absolute error")}  # fmt: skip
