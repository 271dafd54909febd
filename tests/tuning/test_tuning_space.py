"""How a search space is written, what is wrong with one, and the one that a config gets which tells none."""

import math
from typing import Any

import pytest
from tuning_runs import RUINOUS

from netwright.core.errors import ConfigError
from netwright.experiment.config import load_config
from netwright.experiment.tuning.changing import as_point, check_space, settled, with_settings
from netwright.models import catalog
from netwright.tuning.space import Choices, Range, as_options, plain_space, points, read_options, read_space
from netwright.tuning.store import hidden
from netwright.tuning.usual import usual_space


def test_ranges_and_choices() -> None:
    space = read_space({
        "optimizer.lr": [1e-5, 0.1, "log"], "model.dropout": [0, 0.5], "train.batch_size": [16, 64],
        "optimizer.name": ["adam", "sgd"], "train.accumulate": {"choices": [1, 4]}, "model.hidden": [[8], [16, 8]],
    })  # fmt: skip
    assert space["optimizer.lr"] == Range(1e-5, 0.1, "log")
    assert not space["model.dropout"].whole and space["train.batch_size"].whole
    assert space["train.accumulate"] == Choices((1, 4))
    assert space["model.hidden"].plain() == [[8], [16, 8]]
    assert read_space(plain_space(space)) == space


def test_options_say_the_same() -> None:
    options = ["optimizer.lr=1e-5..1e-1:log", "optimizer.name=adam,sgd"]
    options += ["train.batch_size=16,32", "model.hidden=[8],[4]"]
    assert read_space(read_options(options)) == {
        "optimizer.lr": Range(1e-5, 0.1, "log"), "optimizer.name": Choices(("adam", "sgd")),
        "train.batch_size": Choices((16, 32)), "model.hidden": Choices(([8], [4])),
    }  # fmt: skip
    space = read_space(read_options([*options, "train.epochs=3..9", "model.dropout=0..0.5"]))
    assert read_space(read_options(as_options(space))) == space


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.1, "expected a range"), ([0.1, 0.1], "to a larger one"), ([0, 1, "log"], "begin above 0"),
        (["adam"], "nothing to choose from"), ([3, 3, 3], "nothing to choose from"), ([0.1, 1, "usual"], "only of"),
        ([0.1, math.inf], "to a larger one"), ({"low": 1}, "expected a range"),
    ],
)  # fmt: skip
def test_what_is_no_dimension_is_told(value: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        read_space({"model.dropout": value})
    assert "tune.model.dropout" in str(caught.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read_space({"a": 1, "b": [2, 1]})
    assert len(caught.value.problems) == 2
    with pytest.raises(ConfigError) as caught:
        read_options(["optimizer.lr", "=3", "train.epochs=3,[4"])
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"optimizer.lrr": [0.1, 1]}, "did you mean lr?"), ({"model.dropout": [0.0, 1.5]}, "less than 1"),
        ({"optimizer.name": ["adam", "adan"]}, "did you mean adam"), ({"train.seed": [1, 9]}, "is better by it"),
        ({"data.split.seed": [1, 9]}, "compared on data"), ({"lr": [0.1, 1]}, "optimizer.lr"),
        ({"train.epochs": [0.5, 3]}, "integer"), ({"model.widht": [8, 16]}, "not a known setting"),
    ],
)  # fmt: skip
def test_paths_and_values_are_checked_against_the_config(told: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_space(read_space(told), load_config(RUINOUS), RUINOUS, "accuracy")


def test_another_loss_is_no_better_loss() -> None:
    space = read_space({"loss.label_smoothing": [0.0, 0.2]})
    values = {**RUINOUS, "loss": {"name": "cross-entropy"}}
    check_space(space, load_config(values), values, "accuracy")
    with pytest.raises(ConfigError, match="compared by the loss"):
        check_space(space, load_config(values), values, "loss")


def test_a_setting_of_one_of_several_optimizers_is_known() -> None:
    space = read_space({"optimizer.name": ["adam", "sgd"], "optimizer.momentum": [0.5, 0.95]})
    check_space(space, load_config(RUINOUS), RUINOUS, "accuracy")
    made, settings = settled(RUINOUS, space, {"optimizer.name": "adam", "optimizer.momentum": 0.9})
    assert made["optimizer"] == {"name": "adam", "lr": 1e-7} and settings == {"optimizer.name": "adam"}


def test_what_another_optimizer_does_not_know_falls_away() -> None:
    values = {**RUINOUS, "optimizer": {"name": "adam", "lr": 1e-3, "amsgrad": True, "schedule": "cosine"}}
    made = with_settings(values, {"optimizer.lr": 0.5, "optimizer.name": "sgd"})
    assert made["optimizer"] == {"name": "sgd", "lr": 0.5, "schedule": "cosine"}
    assert values["optimizer"]["name"] == "adam"


def test_a_multiple_of_the_usual_rate_follows_the_optimizer() -> None:
    space = read_space({"optimizer.name": ["adam", "sgd"], "optimizer.lr": [0.01, 30, "usual"]})
    for name, usual in (("adam", 1e-3), ("sgd", 1e-2)):
        _, settings = settled(RUINOUS, space, {"optimizer.name": name, "optimizer.lr": 2.0})
        assert settings["optimizer.lr"] == pytest.approx(2 * usual)


def test_the_usual_space_follows_the_config() -> None:
    space = usual_space(RUINOUS, catalog().load("mlp"), {"hidden": [8], "dropout": 0.1}, 105)
    assert {"optimizer.lr", "optimizer.name", "optimizer.weight_decay", "train.batch_size"} <= space.keys()
    assert space["model.dropout"] == Range(0.0, 0.5)
    assert space["model.hidden"] == Choices(([4], [8], [16], [8, 8]))
    assert max(space["train.batch_size"].samples) <= 16  # an epoch keeps enough steps
    check_space(space, load_config(RUINOUS), RUINOUS, "accuracy")


def test_what_starts_from_weights_keeps_its_structure() -> None:
    values = {**RUINOUS, "model": {"name": "resnet18", "weights": "resnet18.pth"}}
    space = usual_space(values, catalog().load("resnet18"), {}, 10_000)
    assert "model.width" not in space and space["optimizer.lr"].high < 10


def test_the_config_as_it_is_may_be_a_point_of_the_space() -> None:
    values = {**RUINOUS, "optimizer": {"name": "sgd", "lr": 0.02}}
    space = usual_space(values, catalog().load("mlp"), {"hidden": [8]}, 105)
    point = as_point(values, space)
    assert point is not None and point["optimizer.lr"] == pytest.approx(2.0)  # times what is usual
    assert point["model.hidden"] == [8] and point["optimizer.schedule"] == "constant" and point["model.dropout"] == 0
    assert settled(values, space, point)[0]["model"] == {"name": "mlp", "hidden": [8], "dropout": 0.0}
    assert as_point(RUINOUS, space) is None


def test_points_are_counted() -> None:
    assert points(read_space({"optimizer.name": ["adam", "sgd"], "train.epochs": [1, 3]})) == 6
    assert points(read_space({"model.dropout": [0.0, 0.5]})) == math.inf


def test_no_password_is_told() -> None:
    assert hidden("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"
