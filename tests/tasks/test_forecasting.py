"""Forecasting: the figures by hand, both naive forecasts, scaling by windows, networks of both shapes, a whole run."""

import json

import numpy as np
import pytest
import torch
from task_helpers import measured, session
from torch import nn

from netwright.core.errors import ConfigError
from netwright.data import Preprocessor, load_data
from netwright.data.batching import SeriesWindows
from netwright.experiment.predictor import load
from netwright.experiment.run import train
from netwright.tasks import TASKS, Phase
from netwright.tasks.forecasting import Forecasting


@pytest.fixture
def wave(tmp_path):
    """A season of 8 with a slope, two columns: `b` is `a` times a hundred."""
    values = [np.sin(i * np.pi / 4) + 0.01 * i for i in range(400)]
    path = tmp_path / "wave.csv"
    path.write_text("a,b\n" + "\n".join(f"{value},{100 * value}" for value in values))
    return {"path": str(path), "target": "a", "window": 16, "horizon": 4, "season": 8}


def parts(spec):
    data = load_data(spec)
    made = Preprocessor.fit(data.train)
    return data, made, SeriesWindows(data.validation, made, batch_size=16, shuffle=False)


class Says(nn.Module):
    """Answers with a function of its input."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer(x)


def test_figures_by_hand_in_the_series_own_unit(wave):
    data, made, source = parts(wave)
    task = Forecasting(data.schema, made)
    figures = measured(task, Says(lambda x: x[:, -8:-4, 0]), source)  # the season before: 0.08 below the truth
    assert figures["mae"] == pytest.approx(0.08, rel=1e-4) and figures["rmse"] == pytest.approx(0.08, rel=1e-4)
    assert figures["mase"] == pytest.approx(1, rel=1e-4) == figures["seasonal_mase"]
    past = torch.stack([data.validation.read(i)[0][-1] for i in range(len(data.validation))])
    last = (data.validation.labels() - past[:, None]).abs().mean().item() / 0.08
    assert figures["last_mase"] == pytest.approx(last, rel=1e-4) and last > 1


def test_horizons_longer_than_a_season_repeat_it(wave):
    data, made, source = parts(wave | {"season": 3, "horizon": 7})
    batch = next(source.epoch(0))
    said = Forecasting(data.schema, made).evaluation_step(Says(lambda x: x[:, :7, 0]), batch).predictions
    past = made.targets_back(batch.inputs[:, :, 0].double())
    assert torch.allclose(said.seasonal[:, :, 0].double(), past[:, [13, 14, 15, 13, 14, 15, 13]], atol=1e-4)
    assert torch.allclose(said.last[:, :, 0].double(), past[:, [15] * 7], atol=1e-4)


def test_several_series_share_a_figure_and_keep_their_units(wave):
    data, made, source = parts(wave | {"target": ["a", "b"]})
    task = Forecasting(data.schema, made)
    figures = measured(task, Says(lambda x: x[:, -8:-4]), source)  # (B, H, K) is taken like (B, H*K)
    assert figures["mase"] == pytest.approx(1, rel=1e-4) and figures["mae"] == pytest.approx((0.08 + 8) / 2, rel=1e-3)
    answer = task.answers(task.predict(Says(lambda x: x[:, -8:-4]), next(source.epoch(0)).inputs))[0]
    assert list(answer) == ["a", "b"] and answer["b"] == pytest.approx([100 * value for value in answer["a"]], abs=1e-2)


def test_window_scaling_makes_a_forecast_move_with_its_window(wave):
    data, made, source = parts(wave)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    x = next(source.epoch(0)).inputs
    task = Forecasting(data.schema, made, scaling="window")
    assert torch.allclose(task.predict(net, 3 * x + 5), 3 * task.predict(net, x) + 5, atol=1e-4)
    plain = Forecasting(data.schema, made)
    assert not torch.allclose(plain.predict(net, 3 * x + 5), 3 * plain.predict(net, x) + 5, atol=1e-2)
    still = task.predict(net, torch.full_like(x, 7.0))  # no deviation to divide by
    assert torch.isfinite(still).all() and (still - 7).abs().max() < 3


def test_the_loss_is_taken_where_training_takes_it(wave):
    data, made, source = parts(wave)
    batch = next(source.epoch(0))
    task, net = Forecasting(data.schema, made), Says(lambda x: x[:, -4:, 0])
    loss = task.training_step(net, batch, Phase()).loss
    assert loss.item() == pytest.approx((batch.inputs[:, -4:, 0] - batch.targets).abs().mean().item())
    assert task.evaluation_step(net, batch).loss.item() == pytest.approx(loss.item())


def test_mistakes_are_told(wave):
    data, made, source = parts(wave)
    with pytest.raises(ConfigError, match=r"gives \(5,\) values a window; data.horizon=4 of 1 series needs 4"):
        Forecasting(data.schema, made).training_step(Says(lambda x: x[:, :5, 0]), next(source.epoch(0)), Phase())
    with pytest.raises(ConfigError, match="unknown metric 'mas'; did you mean mase"):
        Forecasting(data.schema, made, metrics=["mas"])
    assert list(Forecasting(data.schema, made, metrics=["rmse"]).measure().compute()) == ["mase", "rmse"]


def test_exhibits_show_forecasts_beside_the_truth_and_the_error_by_step(wave, tmp_path):
    data, made, source = parts(wave)
    shown = Forecasting(data.schema, made).exhibits(Says(lambda x: x[:, -8:-4, 0]), source, tmp_path)
    assert [item["kind"] for item in shown] == ["curves"] * 4 + ["table"]
    forecast, truth, before = shown[0]["lines"]
    assert truth["y"][1:] == pytest.approx([value + 0.08 for value in forecast["y"][1:]], abs=1e-4)
    assert before["x"] == list(range(-15, 1)) and forecast["x"] == list(range(5)) and before["y"][-1] == truth["y"][0]
    network, seasonal, last = shown[3]["lines"]
    assert network["y"] == pytest.approx([0.08] * 4, abs=1e-4) and seasonal["y"] == pytest.approx(network["y"])
    assert last["y"][3] > last["y"][0]
    json.dumps(shown)


def test_a_run_beats_both_naive_forecasts_and_predicts_from_a_file(wave, tmp_path):
    config = {"data": wave, "task": {"name": "forecasting", "scaling": "window"},
              "model": {"name": "mlp", "hidden": [16]}, "optimizer": {"name": "adamw", "lr": 1e-2},
              "train": {"epochs": 15, "batch_size": 32}}  # fmt: skip
    run = train(config, out=tmp_path / "run")
    test = run.metrics["test"]
    assert test["mase"] < 0.5 * min(test["seasonal_mase"], test["last_mase"])
    said = load(tmp_path / "run")(wave["path"])[0]["a"]
    true = [np.sin(i * np.pi / 4) + 0.01 * i for i in range(400, 404)]
    assert np.abs(np.array(said) - true).mean() < 0.1
    report = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "a: error by step of the horizon" in report and "cannot be shown" not in report


def test_forecasting_is_what_a_series_is_for_by_default(wave, tmp_path):
    made = session({"data": wave, "model": "mlp", "train": {"epochs": 1}}, tmp_path / "run")
    assert isinstance(made.task, Forecasting) and "forecasting" in TASKS
