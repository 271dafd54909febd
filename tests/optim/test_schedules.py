"""Schedules: parity with torch's, purity in the step, warm-up, plateau, and their cost."""

import json
from collections.abc import Callable

import pytest
import torch
from torch.optim import SGD, Optimizer, lr_scheduler

from netwright.core.errors import ConfigError
from netwright.optim import build_schedule
from netwright.optim.catalog import SCHEDULES


def optimizer(*rates: float) -> Optimizer:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates or (0.4,)]
    return SGD(groups, lr=1.0)


def trace(name: str, total: int, warmup: float = 0.0, **options: object) -> list[float]:
    made = optimizer()
    schedule = build_schedule(name, made, total, warmup, **options)
    found = []
    for _ in range(total):
        found.append(made.param_groups[-1]["lr"])
        schedule.advance()
    return found


def torch_trace(make: Callable[[Optimizer], lr_scheduler.LRScheduler], total: int) -> list[float]:
    made = optimizer(0.4)
    schedule = make(made)
    found = []
    for _ in range(total):
        found.append(made.param_groups[0]["lr"])
        made.step()
        schedule.step()
    return found


@pytest.mark.parametrize(
    ("name", "options", "reference"),
    [
        ("cosine", {"min_lr": 0.04}, lambda o: lr_scheduler.CosineAnnealingLR(o, 50, 0.04)),
        ("linear", {}, lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, 50)),
        ("step", {"milestones": [0.4, 35.0], "gamma": 0.5}, lambda o: lr_scheduler.MultiStepLR(o, [20, 35], 0.5)),
        ("step", {"every": 12, "gamma": 0.3}, lambda o: lr_scheduler.StepLR(o, 12, 0.3)),
        ("one-cycle", {}, lambda o: lr_scheduler.OneCycleLR(o, 0.4, total_steps=51, cycle_momentum=False)),
        ("warm-restarts", {"first": 7, "multiplier": 2}, lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 7, 2)),
        ("warm-restarts", {"first": 0.2, "multiplier": 1}, lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 10)),
        ("constant", {}, lambda o: lr_scheduler.ConstantLR(o, 1.0)),
    ],
)
def test_parity_with_torch(name: str, options: dict, reference: Callable) -> None:
    total = 51 if name == "one-cycle" else 50
    assert trace(name, total, **options) == pytest.approx(torch_trace(reference, total), abs=1e-7)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
@pytest.mark.parametrize("warmup", [0.0, 0.2, 7])
def test_warmup_rises_on_any_and_the_rate_stays_in_bounds(name: str, warmup: float) -> None:
    rates = trace(name, 40, warmup)
    rise = {0.0: 0, 0.2: 8, 7: 7}[warmup]
    assert rates[:rise] == pytest.approx([0.4 * (step + 1) / rise for step in range(rise)])
    assert all(0 <= rate <= 0.4 + 1e-9 for rate in rates)
    if name != "one-cycle":
        assert rates[rise] == pytest.approx(0.4)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
@pytest.mark.parametrize("total", [1, 2, 3, 10])
def test_short_and_overlong_runs_have_a_rate(name: str, total: int) -> None:
    made = optimizer()
    schedule = build_schedule(name, made, total, 0.5)
    for _ in range(total + 5):
        schedule.advance()
        assert 0 <= schedule.lr <= 0.4 + 1e-9


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_a_resumed_schedule_goes_on_as_if_never_stopped(name: str) -> None:
    made, other = optimizer(0.4, 0.1), optimizer(0.4, 0.1)
    schedule = build_schedule(name, made, 30, 5)
    for step in range(17):
        schedule.observe(1.0 + step)
        schedule.advance()
    twin = build_schedule(name, other, 30, 5)
    other.load_state_dict(made.state_dict())
    twin.load_state(json.loads(json.dumps(schedule.state())))
    for step in range(10):
        assert [group["lr"] for group in made.param_groups] == [group["lr"] for group in other.param_groups]
        for each in (schedule, twin):
            each.observe(2.0 + step)
            each.advance()


def test_groups_keep_their_proportion_and_scale_is_kept() -> None:
    made = optimizer(0.4, 0.04)
    schedule = build_schedule("cosine", made, 10, min_lr=0.1)
    for _ in range(10):
        schedule.advance()
    assert [group["lr"] for group in made.param_groups] == pytest.approx([0.1, 0.01])
    schedule.scale(0.5)
    assert made.param_groups[0]["initial_lr"] == pytest.approx(0.2)


def test_plateau_cuts_as_torch_does() -> None:
    values = [1.0, 0.9, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.9, float("nan"), 0.7]
    made, other = optimizer(), optimizer()
    ours = build_schedule("plateau", made, 100, factor=0.5, patience=2, cooldown=1)
    theirs = lr_scheduler.ReduceLROnPlateau(other, factor=0.5, patience=2, cooldown=1)
    for value in values:
        ours.observe(value)
        theirs.step(value)
        assert made.param_groups[0]["lr"] == pytest.approx(other.param_groups[0]["lr"]), value
    assert made.param_groups[0]["lr"] < 0.4


def test_plateau_may_watch_a_value_that_should_rise() -> None:
    made = optimizer()
    schedule = build_schedule("plateau", made, 100, patience=0)
    for value in (0.1, 0.2, 0.3):
        schedule.observe(value, "max")
    assert schedule.lr == 0.4
    schedule.observe(0.3, "max")
    assert schedule.lr == pytest.approx(0.04)


def test_a_constant_rate_is_not_written_again() -> None:
    made = optimizer()
    schedule = build_schedule("constant", made, 10)
    made.param_groups[0]["lr"] = 7.0  # would be overwritten by any work
    schedule.advance()
    assert made.param_groups[0]["lr"] == 7.0


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ConfigError, match=r"optimizer.schedule.gama is not a known setting; did you mean gamma\?"):
        build_schedule("step", optimizer(), 10, gama=0.1)
    with pytest.raises(ConfigError, match="did you mean cosine"):
        build_schedule("cosines", optimizer(), 10)
