"""How far forecasts are off, beside those that cost nothing: the last value again, and the last season again.

Letters: B windows, H steps of the horizon, K series that are forecast.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["FIGURES", "Forecast", "ForecastErrors"]

FIGURES = ("mase", "mae", "rmse", "seasonal_mase", "last_mase")


@dataclass(frozen=True)
class Forecast:
    """What the network says of a batch, and the two naive answers, all in the series' own unit. Shapes: (B, H, K)."""

    said: Tensor
    seasonal: Tensor
    last: Tensor

    def __len__(self) -> int:
        return len(self.said)


class ForecastErrors:
    """MAE and RMSE over all steps in the series' own unit, and MASE of the network and of both naive forecasts.

    MASE (Hyndman & Koehler, "Another look at measures of forecast accuracy", 2006) divides the mean absolute error by
    `scale`, that of a forecast one season ahead within the training rows. Below 1 a forecast is better than that one
    was; whether it is better than the naive forecasts of the same windows, `seasonal_mase` and `last_mase` say.
    Differs from the paper where there are several series of one column: they share one scale.

    Args:
        scale: a number for each of the K; MASE is the mean over them.
    """

    def __init__(self, scale: Sequence[float]) -> None:
        self._scale = torch.tensor(list(scale), dtype=torch.float64)
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def update(self, predictions: Forecast, targets: Tensor) -> None:
        """Take in a batch. Shapes: targets (B, H, K)."""
        errors = {name: getattr(predictions, name) - targets for name in ("said", "seasonal", "last")}
        sums = {name: error.abs().double().sum((0, 1)) for name, error in errors.items()}
        sums["squares"] = errors["said"].double().square().sum((0, 1))
        self._sums = {name: self._sums.get(name, 0.0) + value.cpu() for name, value in sums.items()}
        self._count += targets.shape[0] * targets.shape[1]

    def compute(self) -> dict[str, float]:
        """The figures under the names of `FIGURES`."""
        if not self._count:
            return dict.fromkeys(FIGURES, float("nan"))
        mean = {name: total / self._count for name, total in self._sums.items()}
        mase = {name: float((mean[name] / self._scale).mean()) for name in ("said", "seasonal", "last")}
        return {
            "mase": mase["said"],
            "mae": float(mean["said"].mean()),
            "rmse": float(mean["squares"].mean().sqrt()),
            "seasonal_mase": mase["seasonal"],
            "last_mase": mase["last"],
        }
