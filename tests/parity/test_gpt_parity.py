"""GPT held to PyTorch's own Transformer layer, to its fused attention, to GPT-2's sizes, and to transformers' texts."""

from pathlib import Path
from typing import Any

import pytest
import torch
from references import TOLERANCE, difference
from torch import Tensor, nn
from torch.nn import functional as F

import netwright as nw
from netwright.blocks.attention import SelfAttention, attend
from netwright.models import build
from netwright.models.language.gpt import GPTBlock

PUBLISHED = {  # Radford et al., 2019; the counts of the released checkpoints
    "gpt2": ((12, 12, 768), 124_439_808),
    "gpt2-medium": ((24, 16, 1024), 354_823_168),
    "gpt2-large": ((36, 20, 1280), 774_030_080),
    "gpt2-xl": ((48, 25, 1600), 1_557_611_200),
}


@pytest.mark.parametrize(("sizes", "parameters"), PUBLISHED.values(), ids=PUBLISHED.keys())
def test_published_parameter_counts(sizes: tuple[int, int, int], parameters: int) -> None:
    with torch.device("meta"):
        net = build("gpt", num_layers=sizes[0], num_heads=sizes[1], hidden_size=sizes[2])
    assert sum(weight.numel() for weight in net.parameters()) == parameters


def _reference(block: GPTBlock, width: int, heads: int) -> nn.TransformerEncoderLayer:
    """PyTorch's pre-norm layer with the weights of `block`."""
    layer = nn.TransformerEncoderLayer(
        width, heads, 4 * width, dropout=0.0, activation=lambda x: F.gelu(x, approximate="tanh"), batch_first=True,
        norm_first=True,
    )  # fmt: skip
    pairs = {
        "self_attn.in_proj_weight": block.attention.query_key_value.weight,
        "self_attn.in_proj_bias": block.attention.query_key_value.bias,
        "self_attn.out_proj.weight": block.attention.project.weight,
        "self_attn.out_proj.bias": block.attention.project.bias,
        "linear1.weight": block.feed_forward.expand.weight, "linear1.bias": block.feed_forward.expand.bias,
        "linear2.weight": block.feed_forward.project.weight, "linear2.bias": block.feed_forward.project.bias,
        "norm1.weight": block.attention_norm.weight, "norm1.bias": block.attention_norm.bias,
        "norm2.weight": block.feed_forward_norm.weight, "norm2.bias": block.feed_forward_norm.bias,
    }  # fmt: skip
    layer.load_state_dict({name: weight.detach().clone() for name, weight in pairs.items()})
    return layer


def _randomised(net: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    for weight in net.parameters():
        weight.data.copy_(torch.randn(weight.shape, generator=generator) * 0.3)
    return net


def test_a_block_is_pytorchs_pre_norm_layer() -> None:
    block = _randomised(GPTBlock(12, 3, "gelu-tanh", 0.0))
    layer = _reference(block, 12, 3)
    x_BTD = torch.randn(2, 7, 12, requires_grad=True)
    future = nn.Transformer.generate_square_subsequent_mask(7)
    ours, theirs = block(x_BTD), layer(x_BTD, src_mask=future, is_causal=True)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    weight = torch.randn_like(ours)
    ours, theirs = (torch.autograd.grad((out * weight).sum(), x_BTD)[0] for out in (ours, theirs))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_the_whole_network_from_its_weights() -> None:
    net = _randomised(build("gpt", vocab_size=9, context=6, num_layers=2, num_heads=2, hidden_size=8)).eval()
    tokens_BT = torch.randint(0, 9, (3, 6))
    x_BTD = F.embedding(tokens_BT, net.tokens.weight) + net.positions.weight[:6]
    for block in net.blocks:
        mask = nn.Transformer.generate_square_subsequent_mask(6)
        x_BTD = _reference(block, 8, 2).eval()(x_BTD, src_mask=mask, is_causal=True)
    x_BTD = F.layer_norm(x_BTD, (8,), net.norm.weight, net.norm.bias)
    torch.testing.assert_close(net(tokens_BT), x_BTD @ net.tokens.weight.T, rtol=1e-4, atol=1e-4)


def _formula(query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
    scores = (query.double() @ key.double().transpose(-2, -1)) / query.shape[-1] ** 0.5
    return scores.masked_fill(~visible, -torch.inf).softmax(-1) @ value.double()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("queries", "keys", "causal"), [(5, 5, True), (5, 5, False), (2, 6, True), (1, 6, True)])
def test_both_ways_of_attention_are_the_formula(dtype: torch.dtype, queries: int, keys: int, causal: bool) -> None:
    query, key, value = (torch.randn(2, 3, n, 4).to(dtype) for n in (queries, keys, keys))
    visible = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries) if causal else torch.tensor(True)
    wanted = _formula(query, key, value, visible)
    tolerance = 1e-5 if dtype == torch.float32 else 3e-2
    for got in (attend(query, key, value, causal=causal), _masked(query, key, value, causal)):
        torch.testing.assert_close(got.double(), wanted, rtol=tolerance, atol=tolerance)


def _masked(query: Tensor, key: Tensor, value: Tensor, causal: bool) -> Tensor:
    return attend(query, key, value, bias=torch.zeros(1, 1, 1, key.shape[2]), causal=causal)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_self_attention_with_padding_is_pytorchs(dtype: torch.dtype) -> None:
    ours = _randomised(SelfAttention(8, 2)).to(dtype)
    theirs = nn.MultiheadAttention(8, 2, batch_first=True).to(dtype)
    theirs.load_state_dict(
        dict(zip(theirs.state_dict(), [weight.detach() for weight in ours.parameters()], strict=True))
    )
    mask_BT = torch.tensor([[True, True, True, False], [True, False, True, True]])
    x_BTD = torch.randn(2, 4, 8).to(dtype)
    wanted = theirs(x_BTD, x_BTD, x_BTD, key_padding_mask=~mask_BT, need_weights=False)[0]
    tolerance = 1e-5 if dtype == torch.float32 else 4e-2
    torch.testing.assert_close(ours(x_BTD, mask_BT), wanted, rtol=tolerance, atol=tolerance)


def _both(folder: Path, **more: Any) -> tuple[Any, Any]:
    """GPT-2 of transformers, with weights so large that its texts are not all alike, and ours from its folder."""
    import netwright.metrics.torchvision_guard  # noqa: F401 - transformers imports a torchvision that may be broken

    library = pytest.importorskip("transformers", exc_type=ImportError)
    sizes = {"vocab_size": 31, "n_positions": 32, "n_embd": 24, "n_layer": 2, "n_head": 3}
    theirs = library.GPT2LMHeadModel(library.GPT2Config(**sizes, bos_token_id=None, eos_token_id=None, **more)).eval()
    _randomised(theirs).save_pretrained(folder)
    return theirs, nw.load_pretrained("gpt", folder)


@pytest.mark.parametrize(
    "more", [{"n_inner": 50}, {"activation_function": "gelu_fast"}, {"activation_function": "relu"}]
)
@torch.no_grad()
def test_settings_of_a_folder_are_transformers(more: dict[str, Any], tmp_path: Path) -> None:
    theirs, ours = _both(tmp_path, **more)
    tokens_BT = torch.randint(0, 31, (2, 9))
    assert difference(ours(tokens_BT), theirs(tokens_BT).logits) <= TOLERANCE


BEAMS = {"num_beams": 4, "length_penalty": 0.0}
DRAWN = {"temperature": 1.4, "top_k": 9, "top_p": 0.8}
HOW: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "greedy": ({"temperature": 0}, {}),
    "penalty": ({"temperature": 0, "repetition_penalty": 1.3}, {"repetition_penalty": 1.3}),
    "beams": (BEAMS, BEAMS),
    "beams-penalty": (BEAMS | {"repetition_penalty": 1.4}, BEAMS | {"repetition_penalty": 1.4}),
    "drawn": (DRAWN, DRAWN | {"do_sample": True}),
}


@pytest.mark.parametrize(("how", "their_how"), HOW.values(), ids=HOW.keys())
def test_texts_are_transformers(how: dict[str, Any], their_how: dict[str, Any], tmp_path: Path) -> None:
    theirs, ours = _both(tmp_path)
    tokens_BT = torch.randint(0, 31, (3, 6), generator=torch.Generator().manual_seed(2))
    mask_BT = torch.arange(6) >= torch.tensor([[0], [2], [5]])
    torch.manual_seed(7)
    got = ours.generate(tokens_BT, 12, mask_BT=mask_BT, **how)
    torch.manual_seed(7)
    settings = {"do_sample": False, "early_stopping": "never" if "num_beams" in how else None, **their_how}
    wanted = theirs.generate(tokens_BT, attention_mask=mask_BT.long(), max_new_tokens=12, pad_token_id=0, **settings)
    assert torch.equal(got, wanted)
