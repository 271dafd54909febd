"""What `place` puts on pools and on the sequences they stand in: the same bits, and whoever looks on sees the same."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from netwright.training.folding import folded
from netwright.training.placing import place, release

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("kernel", "size", "is_put"), [(2, (8, 6), True), ((1, 4), (5, 8), True), (2, (7, 6), True), (3, (9, 9), False)]
)
def test_means_side_by_side_are_those_of_torch(kernel, size, is_put) -> None:
    plain = nn.AvgPool2d(kernel)
    mended = place(nn.Sequential(nn.AvgPool2d(kernel)), CPU, True)
    assert ("forward" in vars(mended[0])) == is_put
    x = torch.randn(3, 5, *size).bfloat16().contiguous(memory_format=torch.channels_last).requires_grad_()
    ours, theirs = mended(x), plain(x)
    back = torch.randn(theirs.shape).bfloat16()
    assert torch.equal(ours, theirs)
    assert torch.equal(*(torch.autograd.grad(out, x, back)[0] for out in (ours, theirs)))
    release(mended)
    assert "forward" not in vars(mended[0])


def network(in_place: bool = False, pool: nn.Module | None = None) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(in_place), pool or nn.MaxPool2d(2),
        nn.Conv2d(8, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(in_place), nn.MaxPool2d(3, 2, 1),
        nn.Flatten(), nn.Linear(36, 3),
    )  # fmt: skip


def outputs_and_gradients(net: nn.Module, x: Tensor, bf16: bool) -> list[Tensor]:
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        out = net(x)
    torch.nn.functional.cross_entropy(out.float(), torch.arange(len(out)) % 3).backward()
    found = [out, x.grad, *(weight.grad for weight in net.parameters())]
    net.zero_grad()
    return found


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("channels_last", [False, True])
def test_pooling_first_gives_the_same_bits(channels_last: bool, bf16: bool, in_place: bool) -> None:
    """Also where all of a window is cut off, where numbers are equal, and where one is none."""
    x = torch.randn(6, 2, 11, 11).round(decimals=1)
    x[0] = 0
    x[1] = -3
    x[2, 0, 4, 4] = float("nan")
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    plain = network(in_place)
    plain = plain.to(memory_format=torch.channels_last) if channels_last else plain
    placed = place(copy.deepcopy(plain), CPU, channels_last)
    assert "forward" in vars(placed)
    order = [type(part) for part in ran(placed, x)]
    assert order[1:3] == [nn.MaxPool2d, nn.ReLU] and order[5:7] == [nn.MaxPool2d, nn.ReLU]
    for ours, theirs in zip(outputs_and_gradients(placed, x, bf16), outputs_and_gradients(plain, x, bf16), strict=True):
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs, atol=0, rtol=0, equal_nan=True)


def ran(net: nn.Sequential, x: Tensor) -> list[nn.Module]:
    """The parts in the order in which they were called, seen without a hook."""
    called: list[nn.Module] = []
    usual = nn.Module.__call__

    def call(module: nn.Module, *given: Any) -> Any:
        called.append(module)
        return usual(module, *given)

    nn.Module.__call__ = call  # type: ignore[method-assign]
    try:
        with torch.no_grad():
            net.eval()(x)
    finally:
        nn.Module.__call__ = usual  # type: ignore[method-assign]
        net.train()
    return called[1:]


@pytest.mark.parametrize("place_of_hook", [1, 2])
def test_whoever_looks_on_sees_the_plain_order(place_of_hook: int) -> None:
    net, x, seen = place(network(), CPU, True), torch.randn(4, 2, 10, 10), []
    hook = net[place_of_hook].register_forward_hook(lambda _, given, out: seen.append((given[0], out)))
    net(x)
    given, out = seen[0]
    assert given.shape[-1] == 10 and out.min() >= 0 and (given.min() >= 0) == (place_of_hook == 2)
    hook.remove()
    assert [type(part) for part in ran(net, x)][1:3] == [nn.MaxPool2d, nn.ReLU]


def test_what_is_somebody_elses_is_left_alone() -> None:
    """A pool that gives its indices too, and a forward that was put there before."""
    indices = place(nn.Sequential(nn.ReLU(), nn.MaxPool2d(2, return_indices=True)), CPU, True)
    x = torch.randn(2, 3, 8, 8)
    out, where = indices(x)
    assert where.dtype == torch.int64 and torch.equal(out, nn.functional.max_pool2d(x.relu(), 2))
    net = network()
    net[2].forward = own = lambda x: x.abs()[..., ::2, ::2] - 0.5
    net[5].forward = other = lambda x: -x.abs()
    x = torch.randn(4, 2, 10, 10)
    want = net(x)
    assert torch.equal(place(net, CPU, False)(x), want)
    release(net)
    assert net[2].forward is own and net[5].forward is other


def test_it_is_taken_off_again_and_copies_have_it() -> None:
    net = place(network(), CPU, True).eval()
    x = torch.randn(4, 2, 10, 10)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert "forward" in vars(twin) and twin.forward.args[0] is twin and torch.equal(twin(x), net(x))
    assert torch.equal(torch.export.export(net, (x,)).module()(x), net(x))
    before = net(x)
    with torch.no_grad(), folded(net):
        torch.testing.assert_close(net(x), before)
    assert vars(net)["forward"].args[0] is net
    release(net)
    assert not any("forward" in vars(part) for part in net.modules()) and torch.equal(net(x), before)
    torch.jit.script(net)
