"""Forks are private, comparisons are paired, and each change changes one thing."""

import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from netwright.core.messages import say, set_language
from netwright.doctor.probe import CHANGES, Outcome, Program, Scene, collect, compare, in_words, set_scene
from netwright.doctor.probe.yardstick import yardstick_for
from netwright.doctor.words import CHANGED


def data(n: int = 256) -> tuple[Tensor, Tensor]:
    x = torch.randn(n, 12, generator=torch.Generator().manual_seed(0))
    return x, (x[:, :3].sum(1) > 0).long()


def program(step: Any = None, loss: Any = F.cross_entropy, **options: Any) -> Program:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(12, 24), nn.Tanh(), nn.Dropout(0.1), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 2))
    return Program(net, torch.optim.SGD(net.parameters(), **{"lr": 0.1, "momentum": 0.9, **options}), loss, step)


def scene(given: Program, steps: int = 30) -> Scene:
    return set_scene(given, collect(data(), given.net, steps, 32), None, steps, steps)


def test_a_fork_leaves_the_program_alone() -> None:
    losses: list[float] = []
    counter = itertools.count()
    given = program()
    schedule = torch.optim.lr_scheduler.StepLR(given.optimizer, 1, 0.5)

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        given.optimizer.zero_grad()  # through the closure: must be the copy
        loss = F.cross_entropy(given.net(batch[0]), batch[1])
        loss.backward()
        opt.step()
        schedule.step()
        losses.append(float(loss.detach()) + next(counter))
        return loss

    given = Program(given.net, given.optimizer, given.loss, step)
    before = {key: value.clone() for key, value in given.net.state_dict().items()}
    fork = given.fork()
    for _ in range(3):
        fork.advance(data(32))
    assert losses == [] and next(counter) == 0 and schedule.last_epoch == 0
    assert given.optimizer.param_groups[0]["lr"] == 0.1 and not given.optimizer.state
    assert all(p.grad is None for p in given.net.parameters())
    assert all(torch.equal(value, before[key]) for key, value in given.net.state_dict().items())
    assert fork.optimizer.param_groups[0]["lr"] == pytest.approx(0.1 / 8)
    assert not torch.equal(fork.net[0].weight, given.net[0].weight)


def test_every_change_has_words() -> None:
    assert set(CHANGED) == set(CHANGES)


@pytest.mark.parametrize("name", list(CHANGES))
def test_every_change_runs_and_touches_nothing(name: str) -> None:
    given = program(weight_decay=1e-3)
    before = {key: value.clone() for key, value in given.net.state_dict().items()}
    told = scene(given, 4)
    made = CHANGES[name](told)
    if made is not None:
        outcome = told.play(*made, 0)
        assert outcome.error == "" and len(outcome.losses) == 4
        assert outcome.losses[0] == outcome.losses[0]
    assert all(torch.equal(value, before[key]) for key, value in given.net.state_dict().items())
    assert given.optimizer.param_groups[0]["lr"] == 0.1 and not given.optimizer.state


def test_the_same_seed_gives_the_same_run() -> None:
    told = scene(program())
    one, two = (told.play(told.program.fork(), told.batches, 1) for _ in range(2))
    assert one.losses == two.losses and one.losses != told.unchanged(0).losses


def test_rate_is_scaled_whatever_a_schedule_does() -> None:
    told = scene(program(), 6)
    made = CHANGES["lr/10"](told)
    assert made is not None
    start = made[0].net[0].weight.clone()
    made[0].advance(told.train.batch)
    slow = float((made[0].net[0].weight - start).norm().detach())
    plain = told.program.fork()
    torch.manual_seed(0)
    plain.advance(told.train.batch)
    assert slow == pytest.approx(0.1 * float((plain.net[0].weight - start).norm().detach()), rel=0.5)
    assert made[0].optimizer.param_groups[0]["lr"] == 0.1


def test_clipping_is_taken_out_and_put_back() -> None:
    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        opt.zero_grad()
        loss = F.cross_entropy(net(batch[0]), batch[1])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1e-6)
        opt.step()
        return loss

    real = torch.nn.utils.clip_grad_norm_
    told = scene(program(step))
    made = CHANGES["unclipped"](told)
    assert made is not None
    assert told.play(*made, 0).unexplained < 0.7 < told.unchanged(0).unexplained
    assert torch.nn.utils.clip_grad_norm_ is real


def test_an_effect_is_told_from_chance() -> None:
    each = torch.rand(200, generator=torch.Generator().manual_seed(0))
    same = [Outcome([1.0], each=each + 0.01 * shift) for shift in (1, -1, 1)]
    other = [Outcome([1.0], each=each - 0.01 * shift) for shift in (-1, 1, 0)]
    better = [Outcome([1.0], each=0.4 * each) for _ in range(3)]
    assert not compare(same, other).certain
    effect = compare(same, better)
    assert effect.certain and effect.share == pytest.approx(0.6, abs=0.05)


def test_effects_in_words() -> None:
    before, after = [Outcome([1.0], each=torch.full((9,), 0.997))], [Outcome([1.0], each=torch.full((9,), 0.59))]
    words = in_words(CHANGED["lr/10"], before, after, 1.0, 50)
    assert words == "With the learning rate divided by 10 the error falls 41% in 50 steps; unchanged, 0.3%."
    set_language("zh")
    try:
        assert "41%" in in_words(say(CHANGED["lr/10"]), before, after, 1.0, 50)
    finally:
        set_language(None)


@pytest.mark.parametrize("scale", [1.0, 1000.0, 0.001])
def test_the_yardstick_does_not_depend_on_the_scale_of_scores(scale: float) -> None:
    labels = torch.arange(300) % 3
    scores = F.one_hot(labels, 3) + 0.3 * torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    for reading in (scores * scale, scores.softmax(1)):
        measure = yardstick_for(reading, labels, None)
        assert measure is not None and float(measure(reading, labels).mean()) < 0.4
    shuffled = labels[torch.randperm(300, generator=torch.Generator().manual_seed(1))]
    assert float(measure(scores * scale, shuffled).mean()) == pytest.approx(1, abs=0.05)
    assert float(measure(scores * float("nan"), labels).mean()) == 3


def test_a_loader_is_read_as_the_loop_reads_it() -> None:
    x, y = data(100)
    chance = torch.Generator().manual_seed(3)
    loader = DataLoader(TensorDataset(x, y), 32, shuffle=True, generator=chance)
    state = chance.get_state()
    told = collect(loader, nn.Linear(1, 1), 10, 8)
    assert torch.equal(chance.get_state(), state)
    assert told.per_epoch == 4 and told.size == 32 and told.shuffled and told.examples == 100
    assert len(list(told.sequence(11))) == 11 and told.pool is not None and told.pool[0].shape == (100, 12)
    ordered = collect(DataLoader(TensorDataset(x, y), 32), nn.Linear(1, 1), 10, 8)
    assert not ordered.shuffled and torch.equal(next(ordered.sequence(1, 5))[0], x[:32])
