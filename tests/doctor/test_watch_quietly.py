"""The watch leaves the network and its copies alone, whatever the loop is."""

import copy
import io

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netwright as nw
from netwright.doctor.watch import Watch
from netwright.doctor.watch.copies import Quiet

STEPS = 40


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.2), nn.Linear(24, 3))


def batch(step: int) -> tuple[Tensor, Tensor]:
    numbers = torch.Generator().manual_seed(step)
    x = torch.randn(32, 12, generator=numbers)
    return x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long()


def train(network: nn.Module, told: bool, every: int = 10, spoilt: int | None = None) -> Watch | None:
    opt = torch.optim.Adam(network.parameters(), 1e-3)
    doctor = nw.watch(network, opt, every) if told else None
    torch.manual_seed(1)
    for step in range(STEPS):
        x, y = batch(step)
        if step == spoilt:
            x[3, 4] = float("nan")
        opt.zero_grad()
        loss = F.cross_entropy(network(x), y)
        loss.backward()
        opt.step()
        if doctor is not None:
            doctor.step(loss)
            if step == STEPS // 2:
                assert isinstance(doctor.findings, list)
    return doctor


@pytest.mark.parametrize("spoilt", [None, 17])
@pytest.mark.parametrize("every", [1, 10])
def test_bit_identical_even_when_a_nan_is_looked_into(every: int, spoilt: int | None) -> None:
    plain, watched = net(), net()
    train(plain, False, spoilt=spoilt)
    end = torch.get_rng_state()
    doctor = train(watched, True, every, spoilt)
    assert torch.equal(end, torch.get_rng_state())
    for key, value in plain.state_dict().items():
        assert torch.equal(value.nan_to_num(7.0), watched.state_dict()[key].nan_to_num(7.0)), key
    assert doctor is not None
    assert [finding.where for finding in doctor.findings] == ([] if spoilt is None else ["data"])


def test_copies_and_pickles_are_not_watched() -> None:
    network = net()
    doctor = nw.watch(network, torch.optim.Adam(network.parameters()), every=1)
    doctor.step(F.cross_entropy(network(batch(0)[0]), batch(0)[1]))
    twin = copy.deepcopy(network)
    file = io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    before = doctor.signals()
    awake = before.tested_awake
    for other in (twin, loaded):
        with torch.no_grad():
            other(batch(1)[0])
    assert doctor.signals().tested_awake == awake
    hooks = [hook for other in (twin, loaded) for m in other.modules() for hook in m._forward_pre_hooks.values()]
    assert hooks and not any(isinstance(hook, Quiet) for hook in hooks)


def test_a_quiet_step_leaves_no_hook_on_a_network_whose_mode_does_not_matter() -> None:
    network = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))
    opt = torch.optim.SGD(network.parameters(), 0.1)
    on = []
    with nw.watch(network, opt) as doctor:
        for step in range(60):
            on.append(any(m._forward_pre_hooks or m._forward_hooks for m in network.modules()))
            opt.zero_grad()
            x, y = batch(step)
            loss = F.cross_entropy(network(x), y)
            loss.backward()
            opt.step()
            doctor.step(loss)
    assert sum(on) <= 12 and on[:3] == [True, True, True]


def test_losses_keep_their_order_whatever_they_are() -> None:
    network = nn.Linear(2, 1)
    with nw.watch(network) as doctor:
        for value in (1.0, torch.tensor(2.0), torch.tensor([3.0]), 4, torch.tensor([4.0, 6.0])):
            doctor.step(value)
    assert doctor.signals().losses == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_paused_watch_goes_on_where_it_was() -> None:
    network = nn.Linear(12, 3)
    opt = torch.optim.SGD(network.parameters(), 0.1)
    doctor = nw.watch(network, opt)
    for step in range(40):
        if step % 5 == 0:
            doctor.close()
            assert not network._forward_pre_hooks and not opt._optimizer_step_pre_hooks
            doctor.__enter__()
        loss = F.cross_entropy(network(batch(step)[0]), batch(step)[1])
        opt.zero_grad()
        loss.backward()
        opt.step()
        doctor.step(loss)
    seen = doctor.signals()
    assert len(seen.losses) == len(seen.rates) == 40 and seen.stepped <= 10
    doctor.close()
