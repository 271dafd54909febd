"""The engine's arithmetic: accumulation, clipping, l1, averaging, precision, phases, the guard before the update."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from netwright.core.devices import Precision
from netwright.core.errors import DivergedError
from netwright.optim import clip_norm, clip_value, split_spec
from netwright.tasks.base import Phase
from netwright.training.engine import Engine, Updater

CPU, FLOAT32, PHASE = torch.device("cpu"), Precision(None, ""), Phase()
BF16 = Precision(torch.bfloat16, "")


def engine_of(net: nn.Module, accumulate: int = 1, precision: Precision = FLOAT32, **spec: Any) -> Engine:
    """One phase over the whole network; SGD with a step of one half if nothing else is said."""
    kind = {} if "name" in spec else {"name": "sgd", "momentum": 0.0}
    plan = split_spec({"lr": 0.5, **kind, **spec})
    optimizer = plan.build(net)
    clip = None
    if plan.clip is not None:
        clip = partial(clip_norm, max_norm=plan.clip)
    elif plan.clip_value is not None:
        clip = partial(clip_value, max_value=plan.clip_value)
    updater = Updater(optimizer, plan.build_schedule(optimizer, 100), clip, plan.l1)
    return Engine({"train": updater}, CPU, precision, accumulate, plan.build_average(net, 100))


def whole_numbers(*shape: int) -> Tensor:
    """Numbers whose sums and halves a float holds exactly, so that the order of adding changes nothing."""
    return torch.randint(-4, 5, shape, generator=torch.Generator().manual_seed(sum(shape))).float()


def linear(inputs: int = 4, outputs: int = 2) -> nn.Linear:
    net = nn.Linear(inputs, outputs)
    with torch.no_grad():
        net.weight.copy_(whole_numbers(outputs, inputs))
        net.bias.zero_()
    return net


def error(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return (net(x) - y).square().mean()


def update(engine: Engine, losses: Sequence[Tensor]) -> list[bool]:
    done = []
    for loss in losses:
        engine.backward(loss, PHASE)
        done.append(engine.update_if_due(PHASE))
    return done


def weights(net: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in net.parameters()]


def same(left: Sequence[Tensor], right: Sequence[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


# --- accumulation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_accumulation_is_the_big_batch_exactly_where_sums_are_exact(parts: int) -> None:
    x, y = whole_numbers(16, 4), whole_numbers(16, 2)
    big, small = linear(), linear()
    update(engine_of(big), [error(big, x, y)])
    engine = engine_of(small, accumulate=parts)
    chunks = zip(x.chunk(parts), y.chunk(parts), strict=True)
    assert update(engine, [error(small, *chunk) for chunk in chunks]) == [False] * (parts - 1) + [True]
    assert same(weights(big), weights(small))
    assert engine.updates == 1


def test_accumulation_is_the_big_batch_of_a_real_network_nearly() -> None:
    def run(accumulate: int) -> tuple[list[float], list[Tensor]]:
        torch.manual_seed(1)
        net = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 3))
        engine = engine_of(net, accumulate, lr=0.1, name="adamw", clip=1.0)
        losses = []
        for step in range(6):
            x = torch.randn(32, 8, generator=torch.Generator().manual_seed(step))
            y = torch.randint(3, (32,), generator=torch.Generator().manual_seed(step))
            parts = [
                nn.functional.cross_entropy(net(a), b)
                for a, b in zip(x.chunk(accumulate), y.chunk(accumulate), strict=True)
            ]
            losses.append(torch.stack(parts).mean().item())
            update(engine, parts)
        return losses, weights(net)

    (losses, end), (wanted_losses, wanted_end) = run(4), run(1)
    assert losses == pytest.approx(wanted_losses, rel=1e-4)
    for got, wanted in zip(end, wanted_end, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-4)


def test_the_schedule_and_the_average_count_updates_and_not_batches() -> None:
    net = linear()
    engine = engine_of(net, accumulate=3, average="ema", schedule="cosine")
    x, y = whole_numbers(4, 4), whole_numbers(4, 2)
    for _ in range(7):
        update(engine, [error(net, x, y)])
    assert engine.updates == 2 and engine.averaging is not None and engine.averaging.step == 2
    assert engine.updaters["train"].schedule.step == 2
    assert engine.state()["phases"]["train"]["pending"] == 1
    assert engine.state()["phases"]["train"]["gradients"] is not None


# --- what happens to gradients ---------------------------------------------------------------------------------------


def test_clipping_by_norm_keeps_the_direction_and_bounds_the_step() -> None:
    x, y = whole_numbers(8, 4), 100 * whole_numbers(8, 2)
    free, held = linear(), linear()
    start = weights(free)
    update(engine_of(free), [error(free, x, y)])
    update(engine_of(held, clip=0.25), [error(held, x, y)])
    far = torch.cat([(a - b).flatten() for a, b in zip(weights(free), start, strict=True)])
    near = torch.cat([(a - b).flatten() for a, b in zip(weights(held), start, strict=True)])
    assert near.norm().item() == pytest.approx(0.5 * 0.25, rel=1e-4)  # step times bound
    assert torch.cosine_similarity(far, near, dim=0).item() == pytest.approx(1.0, abs=1e-5)


def test_a_bound_that_is_not_reached_changes_nothing() -> None:
    x, y = whole_numbers(8, 4), whole_numbers(8, 2)
    free, held = linear(), linear()
    update(engine_of(free), [error(free, x, y)])
    update(engine_of(held, clip=1e6), [error(held, x, y)])
    assert same(weights(free), weights(held))


def test_clipping_by_value_bounds_every_entry() -> None:
    net = linear()
    start = weights(net)
    update(engine_of(net, clip_value=0.25), [error(net, whole_numbers(8, 4), 100 * whole_numbers(8, 2))])
    moved = torch.cat([(a - b).flatten() for a, b in zip(weights(net), start, strict=True)])
    assert moved.abs().max().item() == 0.5 * 0.25


def test_l1_pulls_every_weight_by_its_strength_and_spares_biases() -> None:
    net = nn.Linear(3, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[4.0, -4.0, 2.0], [-2.0, 8.0, 1.0]]))
        net.bias.fill_(3.0)
    update(engine_of(net, l1=0.5), [(net.weight.sum() + net.bias.sum()) * 0.0])
    pulled = [[3.75, -3.75, 1.75], [-1.75, 7.75, 0.75]]  # a step of one half times one half towards zero
    assert torch.equal(net.weight, torch.tensor(pulled))
    assert torch.equal(net.bias, torch.full((2,), 3.0))


def test_the_signals_are_those_of_the_update() -> None:
    net = linear()
    engine, start = engine_of(net), weights(net)
    engine.measure_next()
    engine.backward(error(net, whole_numbers(8, 4), whole_numbers(8, 2)), PHASE)
    gradient = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
    engine.update_if_due(PHASE)
    size = torch.cat([w.flatten() for w in start]).norm()
    assert engine.signals["train"].grad_norm == pytest.approx(gradient.norm().item(), rel=1e-5)
    assert engine.signals["train"].update_ratio == pytest.approx((0.5 * gradient.norm() / size).item(), rel=1e-5)
    before = engine.signals["train"]
    update(engine, [error(net, whole_numbers(8, 4), whole_numbers(8, 2))])
    assert engine.signals["train"] is before, "measured once, until asked again"


def test_measuring_changes_no_bit() -> None:
    quiet, watched = linear(), linear()
    first, second = engine_of(quiet, name="adamw", clip=0.1), engine_of(watched, name="adamw", clip=0.1)
    for step in range(4):
        second.measure_next()
        for net, engine in ((quiet, first), (watched, second)):
            update(engine, [error(net, whole_numbers(8, 4) + step, whole_numbers(8, 2))])
    assert same(weights(quiet), weights(watched))


# --- averages and precision ------------------------------------------------------------------------------------------


def test_swapping_the_average_in_leaves_the_training_weights_untouched() -> None:
    net = linear()
    engine = engine_of(net, average={"name": "ema", "decay": 0.9}, lr=0.01)
    for _ in range(5):
        update(engine, [error(net, whole_numbers(8, 4), whole_numbers(8, 2))])
    live, gradients = weights(net), [p.grad for p in net.parameters()]
    identity = [id(p) for p in net.parameters()]
    assert engine.averaging is not None
    with engine.averaging.swap():
        averaged = weights(net)
    assert not same(live, averaged)
    assert same(live, weights(net))
    assert identity == [id(p) for p in net.parameters()] and gradients == [p.grad for p in net.parameters()]
    with pytest.raises(ZeroDivisionError), engine.averaging.swap():
        raise ZeroDivisionError
    assert same(live, weights(net))


def test_training_with_an_average_is_training_without_one() -> None:
    plain, averaged = linear(), linear()
    first, second = engine_of(plain, lr=0.01), engine_of(averaged, lr=0.01, average="ema")
    assert second.averaging is not None
    for _ in range(4):
        update(first, [error(plain, whole_numbers(8, 4), whole_numbers(8, 2))])
        update(second, [error(averaged, whole_numbers(8, 4), whole_numbers(8, 2))])
        with second.averaging.swap():
            pass
    assert same(weights(plain), weights(averaged))


def test_bf16_is_used_where_it_was_chosen_and_only_there() -> None:
    net = linear()
    with engine_of(net, precision=BF16).autocast():
        assert net(whole_numbers(8, 4)).dtype == torch.bfloat16
    with engine_of(net).autocast():
        assert net(whole_numbers(8, 4)).dtype == torch.float32
    assert net(whole_numbers(8, 4)).dtype == torch.float32


def test_bf16_keeps_weights_gradients_and_state_in_float32() -> None:
    net = linear()
    engine = engine_of(net, precision=BF16, name="adamw")
    with engine.autocast():
        loss = error(net, whole_numbers(8, 4), whole_numbers(8, 2))
    engine.backward(loss, PHASE)
    assert {p.grad.dtype for p in net.parameters() if p.grad is not None} == {torch.float32}
    engine.update_if_due(PHASE)
    kept = engine.updaters["train"].optimizer.state.values()
    assert {value.dtype for state in kept for value in state.values()} == {torch.float32}
    assert {p.dtype for p in net.parameters()} == {torch.float32}


# --- phases ----------------------------------------------------------------------------------------------------------


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = linear(4, 4), linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second(self.first(x))
        return out


def two_phases(net: Two, accumulate: int = 1) -> tuple[Engine, Phase, Phase]:
    plan = split_spec({"name": "sgd", "lr": 0.5, "momentum": 0.0})
    updaters = {}
    for part in ("first", "second"):
        optimizer = plan.build(net.get_submodule(part))
        updaters[part] = Updater(optimizer, plan.build_schedule(optimizer, 10))
    return Engine(updaters, CPU, FLOAT32, accumulate), Phase("first", "first"), Phase("second", "second")


def test_a_phase_touches_gradients_and_weights_of_its_own_part_only() -> None:
    net = Two()
    engine, first, second = two_phases(net)
    x, y = whole_numbers(8, 4), whole_numbers(8, 2)
    for phase, own, other in ((first, net.first, net.second), (second, net.second, net.first)):
        mine, theirs = weights(own), weights(other)
        engine.backward(error(net, x, y), phase)
        assert all(p.grad is not None for p in own.parameters())
        assert all(p.grad is None for p in other.parameters())
        assert engine.update_if_due(phase)
        assert not same(mine, weights(own)) and same(theirs, weights(other))


def test_phases_accumulate_each_for_themselves() -> None:
    net = Two()
    engine, first, second = two_phases(net, accumulate=2)
    x, y = whole_numbers(8, 4), whole_numbers(8, 2)
    engine.backward(error(net, x, y), first)
    assert not engine.update_if_due(first)
    kept = [p.grad.clone() for p in net.first.parameters() if p.grad is not None]
    engine.backward(error(net, x, y), second)
    assert not engine.update_if_due(second)
    assert same(kept, [p.grad for p in net.first.parameters() if p.grad is not None])
    engine.backward(error(net, x, y), first)
    assert engine.update_if_due(first) and not engine.update_if_due(second)


# --- the guard -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_no_number_is_refused_before_any_gradient(bad: float) -> None:
    net = linear()
    engine, start = engine_of(net), weights(net)
    with pytest.raises(DivergedError, match=r"loss is .* at update 0 .*; the weights are those of the step before"):
        engine.backward(error(net, whole_numbers(8, 4), whole_numbers(8, 2)) * bad, PHASE)
    assert same(start, weights(net)) and all(p.grad is None for p in net.parameters())


def test_a_gradient_that_is_no_number_is_refused_where_it_is_clipped_anyhow() -> None:
    net = linear()
    engine, start = engine_of(net, clip=1.0), weights(net)
    engine.backward((net.weight - net.weight.detach()).sum().sqrt(), PHASE)
    with pytest.raises(DivergedError, match="gradient norm is"):
        engine.update_if_due(PHASE)
    assert same(start, weights(net))


def on_a_device(net: nn.Module, **spec: Any) -> Engine:
    """As on an accelerator, where nobody waits for a figure; the fused optimizers of a CPU have the same mechanism."""
    engine = engine_of(net, name="adam", **spec)
    engine._waits_for_device = True
    return engine


def test_on_a_device_the_update_is_held_back_until_somebody_looks() -> None:
    net = linear()
    engine, start = on_a_device(net), weights(net)
    engine.check()
    update(engine, [error(net, whole_numbers(8, 4), whole_numbers(8, 2)) * float("inf")])
    update(engine, [error(net, whole_numbers(8, 4), whole_numbers(8, 2))])  # nor may a later one follow
    assert same(start, weights(net))
    with pytest.raises(DivergedError, match="is nan at update 2"):
        engine.check()


def test_on_a_device_a_healthy_loss_updates() -> None:
    net = linear()
    engine, start = on_a_device(net, clip=1.0), weights(net)
    update(engine, [error(net, whole_numbers(8, 4), whole_numbers(8, 2))])
    engine.check(weights=True)
    assert not same(start, weights(net))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_on_a_device_one_bad_batch_spoils_the_accumulated_update(place: int) -> None:
    net = linear()
    engine, start = on_a_device(net, accumulate=3), weights(net)
    factors = [float("nan") if place == i else 1.0 for i in range(3)]
    update(engine, [error(net, whole_numbers(8, 4), whole_numbers(8, 2)) * factor for factor in factors])
    assert same(start, weights(net))
    with pytest.raises(DivergedError):
        engine.check()


def test_on_a_device_a_bad_norm_holds_the_update_back() -> None:
    net = linear()
    engine, start = on_a_device(net, clip=1.0), weights(net)
    update(engine, [(net.weight - net.weight.detach()).sum().sqrt()])
    assert same(start, weights(net))
    with pytest.raises(DivergedError):
        engine.check()


def test_weights_that_are_no_numbers_are_found() -> None:
    net = linear()
    engine = engine_of(net)
    engine.check(weights=True)
    with torch.no_grad():
        net.bias[1] = float("nan")
    engine.check()
    with pytest.raises(DivergedError, match="weights stopped being numbers"):
        engine.check(weights=True)
