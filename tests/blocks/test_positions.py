"""Rotary positions and T5's bias of distances, each against its formula; attention's cache and bias with them."""

import math

import pytest
import torch
from torch import Tensor, nn

from netwright.blocks.attention import Attention, KeyValueCache, join_bias
from netwright.blocks.positions import RelativeBias, RotaryPositions, SinusoidalPositions, distance_buckets
from netwright.core.errors import ConfigError


def test_rotary_turns_each_pair_by_its_angle() -> None:
    heads = torch.randn(2, 3, 5, 8)
    turned = RotaryPositions(16, 8, base=100.0)(heads, start=4)
    for place in range(5):
        for pair in range(4):
            angle = (4 + place) / 100.0 ** (2 * pair / 8)
            point = torch.complex(heads[:, :, place, pair], heads[:, :, place, pair + 4])
            wanted = point * complex(math.cos(angle), math.sin(angle))
            torch.testing.assert_close(turned[:, :, place, pair], wanted.real, rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(turned[:, :, place, pair + 4], wanted.imag, rtol=1e-5, atol=1e-5)


def test_rotary_products_depend_on_the_distance_alone() -> None:
    rotate = RotaryPositions(64, 8)
    query, key = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    products = {
        start: (rotate(query, start + 7) * rotate(key, start)).sum().item() for start in (0, 5, 31)
    }  # fmt: skip
    assert max(products.values()) - min(products.values()) < 1e-4
    assert abs((rotate(query, 9) * rotate(key, 0)).sum().item() - products[0]) > 1e-3
    with pytest.raises(ConfigError, match="7 wide"):
        RotaryPositions(4, 7)


def _bucket(distance: int, buckets: int, longest: int, causal: bool) -> int:
    """By the words of the paper: half of the buckets exact, then logarithmic up to the longest distance."""
    offset = 0
    if not causal:
        buckets //= 2
        offset = buckets if distance > 0 else 0
    apart = max(-distance, 0) if causal else abs(distance)
    exact = buckets // 2
    if apart < exact:
        return offset + apart
    wide = exact + int(math.log(apart / exact) / math.log(longest / exact) * (buckets - exact) + 1e-6)
    return offset + min(wide, buckets - 1)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("buckets", "longest"), [(32, 128), (8, 20), (16, 1000)])
def test_buckets_of_distances(buckets: int, longest: int, causal: bool) -> None:
    distance = torch.arange(-300, 301)
    wanted = [_bucket(one, buckets, longest, causal) for one in distance.tolist()]
    got = distance_buckets(distance, buckets, longest, causal).tolist()
    assert got == wanted
    assert set(got) <= set(range(buckets))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("queries", "keys"), [(6, 6), (1, 9), (4, 7), (1, 1)])
def test_the_bias_of_a_place_is_that_of_its_distance(queries: int, keys: int, causal: bool) -> None:
    bias = RelativeBias(2, 8, 20, causal)
    got = bias(queries, keys)
    assert got.shape == (1, 2, queries, keys)
    for query in range(queries):
        for key in range(keys):
            distance = key - (keys - queries + query)
            assert torch.equal(got[0, :, query, key], bias.weight[_bucket(distance, 8, 20, causal)])


@pytest.mark.parametrize(
    ("buckets", "longest", "causal"), [(3, 20, False), (1, 20, True), (32, 8, False), (32, 16, True)]
)
def test_buckets_that_sort_nothing_are_refused(buckets: int, longest: int, causal: bool) -> None:
    with pytest.raises(ConfigError, match=f"buckets={buckets} and max_distance={longest} tell no distances apart"):
        RelativeBias(2, buckets, longest, causal)


class _Square(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bias = RelativeBias(2, 8, 20)

    def forward(self, x_BT: Tensor) -> Tensor:
        return self.bias(x_BT.shape[1], x_BT.shape[1])  # type: ignore[no-any-return]


def test_a_bias_is_exported_for_any_length() -> None:
    net, time = _Square(), torch.export.Dim("time", min=2, max=64)
    program = torch.export.export(net, (torch.zeros(1, 9),), dynamic_shapes=({1: time},)).module()
    for length in (2, 30):
        assert torch.equal(program(torch.zeros(1, length)), net(torch.zeros(1, length)))


def test_sinusoids_are_the_papers() -> None:
    waves = SinusoidalPositions(9, 6)(4, start=5)
    assert waves[1, 2].item() == pytest.approx(math.sin(6 / 10_000 ** (2 / 6)), abs=1e-6)
    assert waves[3, 5].item() == pytest.approx(math.cos(8 / 10_000 ** (4 / 6)), abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_bias_and_a_mask_stay_finite(dtype: torch.dtype) -> None:
    mask = torch.tensor([[True, False, True], [False, False, False]])
    joined = join_bias(torch.full((1, 2, 3, 3), -60.0), mask, dtype)
    assert joined is not None and joined.dtype == dtype and joined.shape == (2, 2, 3, 3)
    assert torch.isfinite(joined - 60).all()
    assert (joined[0, :, :, 1] < -1e4).all() and (joined[0, :, :, 0] == -60).all()
    assert torch.isfinite((joined - 60).softmax(-1)).all()


def test_attention_to_a_memory_is_pytorchs() -> None:
    ours, theirs = Attention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    parts = (ours.query, ours.key, ours.value)
    for part in parts:
        nn.init.normal_(part.bias)
    theirs.load_state_dict({
        "in_proj_weight": torch.cat([part.weight for part in parts]).detach(),
        "in_proj_bias": torch.cat([part.bias for part in parts]).detach(),
        "out_proj.weight": ours.project.weight.detach(), "out_proj.bias": ours.project.bias.detach(),
    })  # fmt: skip
    x, memory = torch.randn(2, 4, 12), torch.randn(2, 5, 12)
    mask = torch.tensor([[True] * 5, [True, False, True, False, False]])
    wanted = theirs(x, memory, memory, key_padding_mask=~mask, need_weights=False)[0]
    torch.testing.assert_close(ours(x, memory, mask), wanted, rtol=1e-4, atol=1e-5)
    cache = KeyValueCache(5)
    torch.testing.assert_close(ours(x, memory, mask, cache=cache), wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours(x, torch.zeros_like(memory), mask, cache=cache), wanted, rtol=1e-4, atol=1e-5)


def test_a_reordered_cache_is_that_of_the_reordered_batch() -> None:
    attention, x = Attention(8, 2), torch.randn(3, 5, 8)
    rows = torch.tensor([2, 2, 0, 1])
    cache = KeyValueCache(8)
    cache.reorder(rows)  # nothing to do yet
    attention(x[:, :4], causal=True, cache=cache)
    cache.reorder(rows)
    got = attention(x[rows, 4:], causal=True, cache=cache)
    torch.testing.assert_close(got, attention(x[rows], causal=True)[:, 4:], rtol=1e-4, atol=1e-5)
    assert cache.length == 5


def test_heads_of_their_own_width() -> None:
    attention = Attention(10, 3, head_size=4, bias=False)
    assert attention(torch.randn(2, 6, 10)).shape == (2, 6, 10)
    assert attention.query.weight.shape == (12, 10)
    with pytest.raises(ConfigError, match="num_heads=3 does not divide hidden_size=10"):
        Attention(10, 3)
