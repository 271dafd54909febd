import json

import pytest
import torch
from task_helpers import Source, make_batch, measured
from torch import nn

from netwright.core.errors import ConfigError
from netwright.core.schemas import build
from netwright.data.dataset import TensorDataset
from netwright.data.preprocess import Preprocessor
from netwright.data.schema import Schema, Target
from netwright.tasks import TASKS, Phase
from netwright.tasks.regression import Regression

SCHEMA = Schema("array", (2,), "float32", Target("number", names=("price", "area")))
ONE = Schema("array", (1,), "float32", Target("number", names=("price",)))


def fitted(schema, targets):
    inputs = torch.randn(len(targets), *schema.input_shape)
    return Preprocessor.fit(TensorDataset(inputs, targets, schema, "prices"))


def test_figures_are_in_the_targets_own_unit():
    true = torch.tensor([[100.0, 1.0], [300.0, 2.0], [200.0, 6.0]])
    said = true + torch.tensor([[10.0, 0.0], [-10.0, 0.0], [10.0, 3.0]])
    preprocess = fitted(SCHEMA, true)
    task = Regression(SCHEMA, preprocess)
    scaled_said, scaled_true = preprocess.targets(said), preprocess.targets(true)
    figures = measured(task, nn.Identity(), Source(make_batch(scaled_said, scaled_true)))
    assert figures["loss"] == pytest.approx(nn.functional.mse_loss(scaled_said, scaled_true).item(), rel=1e-5)
    # Several numbers an example may be averaged inside or outside the root; both lie within these bounds.
    assert 5 < figures["rmse"] < 10 and figures["mae"] == pytest.approx(5.5, rel=1e-4)


def test_one_number_and_its_rmse():
    true = torch.tensor([[100.0], [300.0], [200.0]])
    preprocess = fitted(ONE, true)
    source = Source(make_batch(preprocess.targets(true + 10), preprocess.targets(true)))
    figures = measured(Regression(ONE, preprocess), nn.Identity(), source)
    assert figures["rmse"] == pytest.approx(10, rel=1e-4) and figures["mae"] == pytest.approx(10, rel=1e-4)
    assert figures["r2"] == pytest.approx(1 - 300 / 20000, rel=1e-4)


def test_shapes_that_would_broadcast_are_paired():
    task = Regression(ONE)
    said, true = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([1.0, 2.0, 3.0])
    assert task.training_step(nn.Identity(), make_batch(said, true), Phase()).loss.item() == pytest.approx(1 / 3)
    assert measured(task, nn.Identity(), Source(make_batch(said, true)))["mae"] == pytest.approx(1 / 3)
    with pytest.raises(ConfigError, match=r"gives \(3, 2\) for targets of \(3,\)"):
        task.training_step(nn.Identity(), make_batch(said.expand(3, 2), true), Phase())


def test_exhibits_name_each_target_and_its_worst_cases(tmp_path):
    true = torch.tensor([[100.0, 1.0], [300.0, 2.0], [200.0, 6.0]])
    said = true + torch.tensor([[10.0, 0.0], [-50.0, 0.0], [10.0, 3.0]])
    preprocess = fitted(SCHEMA, true)
    source = Source(
        make_batch(preprocess.targets(said)[:2], preprocess.targets(true)[:2]),
        make_batch(preprocess.targets(said)[2:], preprocess.targets(true)[2:], 2),
    )
    shown = Regression(SCHEMA, preprocess).exhibits(nn.Identity(), source, tmp_path)
    assert [view["kind"] for view in shown] == ["scatter", "histogram", "table"] * 2
    assert shown[0]["x"] == pytest.approx([100, 300, 200]) and shown[0]["y"] == pytest.approx([110, 250, 210])
    assert shown[2]["rows"][0] == [1, pytest.approx(300), pytest.approx(250), pytest.approx(-50)]
    assert shown[5]["rows"][0][0] == 2
    json.dumps(shown)


def test_answers_are_named_and_in_their_unit():
    true = torch.tensor([[100.0, 1.0], [300.0, 2.0]])
    preprocess = fitted(SCHEMA, true)
    answer = Regression(SCHEMA, preprocess).answers(preprocess.targets(true))[1]
    assert answer == {"price": pytest.approx(300), "area": pytest.approx(2)}


def test_config_is_the_signature():
    task = build(TASKS.load("regression"), {}, "task", {"schema": ONE, "loss": nn.HuberLoss(), "metrics": ["mae"]})
    source = Source(make_batch(torch.ones(2, 1), torch.zeros(2, 1)))
    assert set(measured(task, nn.Identity(), source)) == {"loss", "rmse", "mae"}
    with pytest.raises(ConfigError, match=r"task\.gamma is not a known setting"):
        build(Regression, {"gamma": 1}, "task", {"schema": ONE})
