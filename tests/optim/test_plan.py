"""The optimizer section: all mistakes at once, groups, and what comes out of it."""

import pytest
import torch
from torch import nn

from netwright.core.errors import ConfigError
from netwright.optim import build_optimizer, split_spec
from netwright.optim.groups import Grouping, depths, parameter_groups


def network() -> nn.Module:
    body = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.ReLU(), nn.Linear(6, 4))
    net = nn.ModuleDict({"embed": nn.Embedding(7, 4), "body": body, "head": nn.Linear(4, 7)})
    net["head"].weight = net["embed"].weight
    return net


def names(group: dict) -> set[str]:
    return set(group["param_names"])


def test_decay_spares_norms_and_biases_and_a_shared_weight_appears_once() -> None:
    optimizer = build_optimizer({"name": "adamw", "weight_decay": 0.1}, network())
    decayed, spared = sorted(optimizer.param_groups, key=lambda group: -group["weight_decay"])
    assert names(decayed) == {"embed.weight", "body.0.weight", "body.3.weight"}
    assert names(spared) == {"body.0.bias", "body.1.weight", "body.1.bias", "body.3.bias", "head.bias"}
    assert spared["weight_decay"] == 0 and decayed["weight_decay"] == 0.1


def test_decay_may_spare_embeddings_and_names_or_nothing() -> None:
    groups = parameter_groups(network(), 1.0, 0.1, Grouping(no_decay=("embeddings", "body.3")))
    spared = {name for group in groups if not group["weight_decay"] for name, _ in group["params"]}
    assert spared == {"embed.weight", "body.3.weight", "body.3.bias"}
    assert len(parameter_groups(network(), 1.0, 0.1, Grouping(no_decay=()))) == 1


def test_frozen_parameters_do_not_train_and_scaled_ones_train_at_their_rate() -> None:
    net = network()
    spec = {"name": "sgd", "lr": 0.1, "freeze": ["body.0"], "lr_scale": {"body": 0.1, "body.3": 0.5}}
    optimizer = build_optimizer(spec, net)
    rates = {name: group["lr"] for group in optimizer.param_groups for name in group["param_names"]}
    assert "body.0.weight" not in rates and not net["body"][0].weight.requires_grad
    assert rates["body.1.weight"] == pytest.approx(0.01) and rates["body.3.weight"] == pytest.approx(0.05)
    assert rates["head.bias"] == 0.1


def test_layer_decay_falls_with_distance_from_the_output() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
    assert depths(net) == {"0.weight": 2, "0.bias": 2, "2.0.weight": 1, "2.0.bias": 1, "2.1.weight": 0, "2.1.bias": 0}
    groups = parameter_groups(net, 1.0, 0.0, Grouping(layer_decay=0.5))
    rates = {name: group["lr"] for group in groups for name, _ in group["params"]}
    assert rates["0.weight"] == 0.25 and rates["2.0.bias"] == 0.5 and rates["2.1.weight"] == 1.0


def test_every_mistake_of_a_section_is_told_at_once() -> None:
    spec = {"name": "adamw", "lr": -1, "beta": 0.9, "schedule": {"name": "cosin"}, "clip": 0}
    spec["average"] = {"name": "ema", "decay": 1.5}
    with pytest.raises(ConfigError) as caught:
        split_spec(spec)
    assert {problem.path for problem in caught.value.problems} == {
        "optimizer.lr", "optimizer.beta", "optimizer.schedule", "optimizer.clip", "optimizer.average.decay"
    }  # fmt: skip
    text = str(caught.value)
    assert "did you mean betas?" in text and "did you mean cosine?" in text


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("adamx", "did you mean adam"),
        ({"name": 3}, "optimizer.name: got 3"),
        ({"name": "sgd", "nesterov": True, "momentum": 0}, "nesterov=true needs momentum"),
        ({"name": "sgd", "lr": "fast"}, "optimizer.lr='fast'"),
        ({"schedule": 3}, "optimizer.schedule=3"),
        ({"schedule": {"name": "cosine", "min_ler": 1}}, "did you mean min_lr"),
        ({"warmup": -1}, "optimizer.warmup=-1"),
        ({"freeze": "body"}, "optimizer.freeze"),
        ({"name": "adam", "betas": [0.9]}, "optimizer.betas"),
        ({"clip": 1.0, "clip_value": 0.5}, "optimizer.clip_value bounds each entry"),
    ],
)
def test_a_mistake_names_the_key_and_the_remedy(spec: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words.replace("[", r"\[")):
        split_spec(spec)


def test_a_name_that_fits_no_parameter_and_nothing_to_train_are_mistakes() -> None:
    with pytest.raises(ConfigError, match=r"optimizer.freeze: 'bodi' fits no parameter; did you mean body\?"):
        build_optimizer({"freeze": ["bodi"]}, network())
    with pytest.raises(ConfigError, match="nothing to train"):
        build_optimizer({"freeze": ["*"]}, network())


def test_the_plan_of_the_face_holds_everything() -> None:
    plan = split_spec({"name": "adamw", "lr": 3e-4, "weight_decay": 0.05, "betas": [0.9, 0.95], "schedule": "cosine",
                       "warmup": 0.05, "clip": 1.0, "average": {"name": "ema", "decay": 0.99}})  # fmt: skip
    net = network()
    optimizer = plan.build(net)
    assert optimizer.defaults["betas"] == (0.9, 0.95) and optimizer.defaults.get("fused") is True
    schedule = plan.build_schedule(optimizer, 100)
    assert schedule.warmup_steps == 5 and schedule.lr == pytest.approx(3e-4 / 5)
    assert plan.build_average(net, 100) is not None and split_spec("sgd").build_average(net, 1) is None
    assert plan.with_lr(1.0).lr == 1.0 and plan.lr == 3e-4


def test_a_section_without_a_name_is_adamw() -> None:
    assert isinstance(build_optimizer({}, network()), torch.optim.AdamW)
