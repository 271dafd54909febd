"""Blocks beyond the networks that use them: activations, norms, weights, positions, sampling, the cache."""

import math
from typing import get_args

import pytest
import torch
from torch import nn

from netwright.blocks.activations import (
    ACTIVATIONS,
    OUTPUT_ACTIVATIONS,
    ActivationName,
    OutputActivationName,
    activation,
)
from netwright.blocks.attention import KeyValueCache, attend, mask_bias
from netwright.blocks.feedforward import FeedForward, dense_stack
from netwright.blocks.heads import new_head, output_layer
from netwright.blocks.init import scaled_init
from netwright.blocks.norms import cancels_bias, norm
from netwright.blocks.positions import LearnedPositions, SinusoidalPositions
from netwright.blocks.sampling import sample_tokens
from netwright.core.errors import ConfigError

x = torch.linspace(-4, 4, 41)
FORMULAS = {
    "relu": x.clamp(min=0),
    "leaky-relu": torch.where(x > 0, x, 0.01 * x),
    "sigmoid": 1 / (1 + torch.exp(-x)),
    "tanh": (torch.exp(2 * x) - 1) / (torch.exp(2 * x) + 1),
    "gelu": x * 0.5 * (1 + torch.erf(x / 2**0.5)),
    "gelu-tanh": 0.5 * x * (1 + torch.tanh((2 / math.pi) ** 0.5 * (x + 0.044715 * x**3))),
    "silu": x / (1 + torch.exp(-x)),
    "elu": torch.where(x > 0, x, torch.exp(x) - 1),
    "selu": 1.0507009873554805 * torch.where(x > 0, x, 1.6732632423543772 * (torch.exp(x) - 1)),
    "identity": x,
}


@pytest.mark.parametrize(("name", "values"), FORMULAS.items(), ids=FORMULAS.keys())
def test_activations_are_their_formulas(name: str, values: torch.Tensor) -> None:
    torch.testing.assert_close(activation(name)(x), values, rtol=1e-5, atol=1e-6)


def test_tables_and_literals_name_the_same_activations() -> None:
    assert set(get_args(ActivationName)) == set(ACTIVATIONS)
    assert set(get_args(OutputActivationName)) == set(OUTPUT_ACTIVATIONS)
    with pytest.raises(ConfigError, match="did you mean gelu"):
        activation("gello")


@pytest.mark.parametrize("dims", [0, 1, 2, 3])
@pytest.mark.parametrize("name", ["batch", "layer", "instance", "group"])
def test_norms_give_unit_scale(name: str, dims: int) -> None:
    if name == "instance" and dims == 0:
        with pytest.raises(ConfigError):
            norm("instance", 8)
        return
    out = norm(name, 8, dims, groups=2)(torch.randn(64, 8, *(4, 3, 5)[:dims]) * 7 + 3).detach()
    assert out.mean().abs() < 0.05
    assert out.std().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", ["batch", "instance", "layer", "group"])
def test_cancels_bias_says_the_truth(name: str) -> None:
    images, bias = torch.randn(6, 4, 5, 5), torch.randn(4)[:, None, None]
    layer = norm(name, 4, 2, groups=2)
    assert torch.allclose(layer(images), layer(images + bias), atol=1e-4) == cancels_bias(name)


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "selu", "silu", "leaky-relu"])
def test_a_deep_stack_keeps_its_signal(name: str) -> None:
    torch.manual_seed(0)
    out = dense_stack(256, [256] * 10, name)(torch.randn(128, 256))
    # Smooth rectifiers have no scale-free factor, so they drift a little; PyTorch's default would give 1e-7.
    assert 0.1 < out.square().mean() < 10


def test_transposed_convolutions_start_at_unit_scale() -> None:
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(32, 16, kernel_size=4, stride=2)
    scaled_init(layer)
    assert layer(torch.randn(8, 32, 12, 12))[:, :, 4:-4, 4:-4].std().item() == pytest.approx(1, abs=0.15)


def test_dropout_stands_after_the_last_batch_norm() -> None:
    def kinds(norm_name: str) -> str:
        return "".join(type(m).__name__[0] for m in dense_stack(4, [4, 4], "relu", norm_name, 0.5))

    assert kinds("none") == "LRDLRD"
    assert kinds("batch") == "LBRLBRD"


def test_feed_forward_is_its_formula() -> None:
    block, rows = FeedForward(4, 9, "silu"), torch.randn(3, 4)
    inner = rows @ block.expand.weight.T + block.expand.bias
    torch.testing.assert_close(block(rows), inner * inner.sigmoid() @ block.project.weight.T + block.project.bias)


def test_heads() -> None:
    torch.manual_seed(0)
    head = output_layer(400, 50)
    assert head(torch.randn(200, 400)).std().item() == pytest.approx(1, abs=0.1)
    other = new_head(head.to(torch.bfloat16), 7)
    assert (other.in_features, other.out_features, other.weight.dtype) == (400, 7, torch.bfloat16)


@pytest.mark.parametrize("count", [0, -1, 2.5, "ten", None])
def test_a_head_without_outputs_is_refused(count: object) -> None:
    with pytest.raises(ConfigError, match="does not fit a head; give a whole number from 1 on"):
        new_head(nn.Linear(2, 3), count)  # type: ignore[arg-type]


def test_sinusoids() -> None:
    waves = SinusoidalPositions(10, 6)
    assert not waves.state_dict()
    row = waves(1, start=7)[0]
    for i in range(3):
        angle = 7 / 10_000 ** (2 * i / 6)
        assert row[2 * i].item() == pytest.approx(math.sin(angle), abs=1e-5)
        assert row[2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)
    assert SinusoidalPositions(4, 5)(4).shape == (4, 5)


def test_learned_positions_continue() -> None:
    positions = LearnedPositions(10, 6)
    assert torch.equal(torch.cat((positions(4), positions(3, start=4))), positions(7))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_that_sees_nothing_stays_finite(dtype: torch.dtype) -> None:
    query, key, value = (torch.randn(1, 1, 3, 4).to(dtype) for _ in range(3))
    hidden = torch.tensor([[False, False, True]])
    assert attend(query, key, value, mask_bias(hidden, dtype), causal=True).isfinite().all()


def test_attention_dropout_keeps_the_mean() -> None:
    torch.manual_seed(0)
    for dtype in (torch.float32, torch.bfloat16):
        ones = torch.ones(64, 4, 16, 8, dtype=dtype)
        out = attend(ones, ones, ones, dropout=0.5).float()
        assert out.std() > 0.1
        assert out.mean() == pytest.approx(1, abs=0.05)


def test_the_cache_gives_back_what_it_was_given() -> None:
    cache, parts = KeyValueCache(6), torch.randn(6, 2, 3, 1, 4)
    for count, part in enumerate(parts, start=1):
        keys, values = cache.append(part, -part)
        assert cache.length == keys.shape[2] == count
    assert torch.equal(keys, parts[:, :, :, 0].permute(1, 2, 0, 3))
    assert torch.equal(values, -keys)


def _shares(scores: torch.Tensor, **settings: float) -> torch.Tensor:
    rows = scores.expand(20_000, -1)
    drawn = sample_tokens(rows, **settings, generator=torch.Generator().manual_seed(0))
    return torch.bincount(drawn, minlength=scores.shape[0]) / len(rows)


def test_sampling_follows_the_probabilities() -> None:
    scores = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    for settings, wanted in [
        ({}, [0.5, 0.3, 0.15, 0.05]),
        ({"temperature": 0.5}, [0.25 / 0.365, 0.09 / 0.365, 0.0225 / 0.365, 0.0025 / 0.365]),
        ({"top_k": 2}, [0.625, 0.375, 0, 0]),
        ({"top_p": 0.75}, [0.625, 0.375, 0, 0]),
        ({"top_p": 0.85}, [0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0]),
        ({"top_p": 0.01}, [1, 0, 0, 0]),
        ({"top_k": 9, "top_p": 1.0}, [0.5, 0.3, 0.15, 0.05]),
        ({"temperature": 0}, [1, 0, 0, 0]),
    ]:
        shares = torch.tensor(wanted, dtype=torch.float32)
        torch.testing.assert_close(_shares(scores, **settings), shares, rtol=0, atol=0.015)
