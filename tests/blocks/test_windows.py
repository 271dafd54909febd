"""Windowed attention against attention place by place over the whole map, from the definition."""

import pytest
import torch
from torch import Tensor

from netwright.blocks.windows import (
    WindowAttention,
    join_windows,
    relative_index,
    shift_bias,
    split_windows,
)
from netwright.core.errors import ConfigError


def test_windows_come_back_as_the_map() -> None:
    x = torch.randn(2, 6, 9, 4)
    windows = split_windows(x, 3)
    assert windows.shape == (2, 6, 9, 4)
    assert torch.equal(windows[1, 4], x[1, 3:6, 3:6].flatten(0, 1)), "windows go row by row"
    assert torch.equal(join_windows(windows, 3, 6, 9), x)


def test_one_row_of_the_table_for_each_offset() -> None:
    index = relative_index(3)
    places = [(row, column) for row in range(3) for column in range(3)]
    rows: dict[tuple[int, int], int] = {}
    for i, (row, column) in enumerate(places):
        for j, (other_row, other_column) in enumerate(places):
            offset = (row - other_row, column - other_column)
            assert rows.setdefault(offset, int(index[i, j])) == index[i, j]
    assert sorted(rows.values()) == list(range(25))


def test_only_true_neighbours_see_each_other_after_a_shift() -> None:
    """Two places of a rolled window may look at each other exactly if neither axis came round between them."""
    size, window, shift = 9, 3, 1
    bias = shift_bias(size, size, window, (shift, shift), torch.zeros(1))
    place = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij"), dim=-1)
    origin = split_windows(place.roll((-shift, -shift), dims=(0, 1))[None], window)[0]  # [N, T, 2]
    near = ((origin[:, :, None] - origin[:, None, :]).abs() < window).all(-1)
    assert torch.equal(bias == 0, near)
    assert set(bias.unique().tolist()) == {0.0, -100.0}


def test_a_side_without_a_shift_hides_nothing() -> None:
    assert not shift_bias(3, 6, 3, (0, 0), torch.zeros(1)).any()
    bias = shift_bias(3, 6, 3, (0, 1), torch.zeros(1))
    assert not bias[0].any() and bias[1].any()


def _by_places(layer: WindowAttention, x_BHWD: Tensor, shift: int) -> Tensor:
    """Every place over all places of its window, windows laid `shift` places down and right; no map is cut."""
    batch, height, width, depth = x_BHWD.shape
    heads, window = layer.num_heads, layer.window
    query, key, value = layer.query_key_value(x_BHWD).double().chunk(3, dim=-1)
    places = [(row, column) for row in range(height) for column in range(width)]
    out = torch.zeros(batch, height, width, depth, dtype=torch.float64)
    for row, column in places:
        home = ((row - shift) // window, (column - shift) // window)
        mates = [(r, c) for r, c in places if ((r - shift) // window, (c - shift) // window) == home]
        for head in range(heads):
            part = slice(head * depth // heads, (head + 1) * depth // heads)
            scores = []
            for r, c in mates:
                offset = (row - r + window - 1) * (2 * window - 1) + column - c + window - 1
                dot = (query[:, row, column, part] * key[:, r, c, part]).sum(-1) / (depth // heads) ** 0.5
                scores.append(dot + layer.relative_bias[offset, head])
            share = torch.stack(scores, dim=-1).softmax(-1)
            seen = torch.stack([value[:, r, c, part] for r, c in mates], dim=-1)
            out[:, row, column, part] = (seen * share[:, None]).sum(-1)
    return layer.project.double()(out)


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize(("height", "width"), [(4, 6), (6, 4)])
def test_attention_is_its_definition(shift: int, height: int, width: int) -> None:
    torch.manual_seed(0)
    layer = WindowAttention(hidden_size=6, num_heads=2, window=2, shift=shift)
    layer.relative_bias.data.normal_()
    x = torch.randn(2, height, width, 6)
    got = layer(x)
    torch.testing.assert_close(got.double(), _by_places(layer, x, shift), rtol=1e-4, atol=1e-5)


def test_what_lies_outside_the_window_does_not_matter() -> None:
    torch.manual_seed(0)
    layer, x = WindowAttention(4, 1, window=3), torch.randn(1, 6, 6, 4)
    changed = x.clone()
    changed[:, 3:, 3:] = 0
    before, after = layer(x), layer(changed)
    assert torch.equal(before[:, :3], after[:, :3]) and not torch.allclose(before[:, 3:, 3:], after[:, 3:, 3:])


@pytest.mark.parametrize(("height", "width"), [(2, 2), (5, 7), (3, 8)])
def test_any_size_comes_back_and_the_table_learns(height: int, width: int) -> None:
    layer = WindowAttention(4, 2, window=3, shift=1)
    out = layer(torch.randn(2, height, width, 4))
    assert out.shape == (2, height, width, 4)
    out.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in layer.parameters())


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ConfigError, match="num_heads=3 does not divide hidden_size=8"):
        WindowAttention(8, 3, window=2)
