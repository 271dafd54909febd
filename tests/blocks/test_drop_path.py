"""DropPath, the joins that it stands in, and the unit of convolution, norm and activation."""

from functools import partial

import pytest
import torch
from torch import nn

from netwright.blocks.conv import conv_norm_act, image_stem
from netwright.blocks.drop_path import DropPath, drop_path_rates
from netwright.blocks.residual import DenseJoin, Residual
from netwright.models.layers import LayerStack


def test_an_example_is_dropped_whole_or_scaled_up() -> None:
    torch.manual_seed(0)
    out = DropPath(0.25).train()(torch.ones(4000, 2, 3))
    kept = out[:, 0, 0] > 0
    assert torch.equal(out, (kept / 0.75)[:, None, None].expand(4000, 2, 3))
    assert abs(kept.float().mean() - 0.75) < 0.03
    assert abs(out.mean() - 1) < 0.04, "the expectation is that of evaluation"


def test_evaluation_draws_nothing() -> None:
    x, before = torch.randn(5, 3), torch.get_rng_state()
    assert DropPath(0.9).eval()(x) is x
    assert DropPath(0.0).train()(x) is x
    assert torch.equal(torch.get_rng_state(), before)


def test_a_seed_gives_the_same_draw() -> None:
    x, drawn = torch.ones(64, 1), []
    for _ in range(2):
        torch.manual_seed(7)
        drawn.append(DropPath(0.5)(x))
    assert torch.equal(*drawn)


def test_dropped_branches_get_no_gradient() -> None:
    torch.manual_seed(0)
    x = torch.randn(32, 4, requires_grad=True)
    join = Residual(nn.Linear(4, 4), drop_path=0.5)
    out = join(x)
    out.sum().backward()
    assert x.grad is not None
    past = (out == x).all(dim=1)
    assert 4 < past.sum() < 28
    assert torch.equal(x.grad[past], torch.ones(int(past.sum()), 4)), "of the identity alone"


def test_bfloat16_stays_bfloat16() -> None:
    assert DropPath(0.5)(torch.ones(8, 2, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_rates_rise_from_zero_in_equal_steps() -> None:
    assert drop_path_rates(0.3, 4) == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert drop_path_rates(0.3, 1) == [0.0]
    assert drop_path_rates(0.3, 0) == []


def test_joins_are_their_formulas() -> None:
    x, branch, skip = torch.randn(2, 3, 4, 4), nn.Conv2d(3, 5, 1), nn.Conv2d(3, 5, 1)
    torch.testing.assert_close(Residual(branch, skip)(x), skip(x) + branch(x))
    torch.testing.assert_close(DenseJoin(branch)(x), torch.cat((x, branch(x)), 1))


def test_a_list_of_layers_can_have_it() -> None:
    torch.manual_seed(0)
    net = LayerStack([{"residual": [{"conv": 2, "padding": "same"}, {"drop-path": 0.5}]}], (2, 4, 4))
    x = torch.randn(64, 2, 4, 4)
    past = (net.train()(x) == x).flatten(1).all(1)
    assert 16 < past.sum() < 48
    assert not (net.eval()(x) == x).flatten(1).all(1).any()


@pytest.mark.parametrize(("kernel", "stride", "side"), [(3, 1, 9), (3, 2, 5), (1, 1, 9), (7, 2, 5), (5, 3, 3)])
def test_conv_norm_act(kernel: int, stride: int, side: int) -> None:
    unit = conv_norm_act(4, 6, kernel, stride, 2, "hardswish", partial(nn.BatchNorm2d, eps=1e-3))
    assert [name for name, _ in unit.named_children()] == ["conv", "norm", "activation"]
    assert isinstance(unit.conv, nn.Conv2d) and unit.conv.bias is None and unit.conv.groups == 2
    assert unit.norm.eps == 1e-3 and isinstance(unit.activation, nn.Hardswish)
    assert unit(torch.randn(2, 4, 9, 9)).shape == (2, 6, side, side)
    assert len(conv_norm_act(4, 6, activation_name="identity")) == 2


@pytest.mark.parametrize(("name", "side"), [("imagenet", 9), ("small", 33)])
def test_stems(name: str, side: int) -> None:
    assert image_stem(3, 8, name)(torch.randn(1, 3, 33, 33)).shape == (1, 8, side, side)  # type: ignore[arg-type]
