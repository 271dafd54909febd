"""The Transformer held to torch.nn.Transformer, number for number, on shared weights."""

import re

import pytest
import torch
from references import TOLERANCE, difference, perturbed
from torch import Tensor, nn

from netwright.core.errors import ConfigError
from netwright.models import build
from netwright.models.language.transformer import Transformer
from netwright.models.weights.layout import renamed

pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor")  # of torch.nn.Transformer

VOCABULARY, SOURCE, TARGET = 13, 7, 5
SIZES = {
    "vocab_size": VOCABULARY, "context": 12, "num_layers": 2, "num_heads": 3, "hidden_size": 24, "inner_size": 40,
    "dropout": 0.0,
}  # fmt: skip
NAMES = (
    (r"self_attn\.out_proj", "attention.project"),
    (r"multihead_attn\.out_proj", "memory_attention.project"),
    (r"linear1", "feed_forward.expand"),
    (r"linear2", "feed_forward.project"),
    (r"^(encoder|decoder)\.norm", r"\1_norm"),
    (r"(encoder|decoder)\.layers\.", r"\1."),
    (r"norm1", "attention_join.norm"),
    (r"^encoder\.(.*)norm2", r"encoder.\1feed_forward_join.norm"),
    (r"norm2", "memory_join.norm"),
    (r"norm3", "feed_forward_join.norm"),
)


def _renamed(theirs: nn.Transformer) -> dict[str, Tensor]:
    """Its weights under our names; its joint projection is three of ours."""
    found = {}
    for name, tensor in renamed(theirs.state_dict(), NAMES).items():
        if "in_proj" in name:
            block, kind = re.match(r"(.*)\.in_proj_(weight|bias)", name).groups()
            block = block.replace("self_attn", "attention").replace("multihead_attn", "memory_attention")
            for part, piece in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                found[f"{block}.{part}.{kind}"] = piece
        else:
            found[name] = tensor
    return found


def _pair(norm: str, activation: str, **more: object) -> tuple[Transformer, nn.Transformer]:
    torch.manual_seed(0)
    theirs = nn.Transformer(
        24, 3, 2, 2, 40, dropout=0.0, activation=activation, norm_first=norm == "pre", batch_first=True
    )
    perturbed(theirs)
    ours = perturbed(build("transformer", **SIZES | {"norm": norm, "activation": activation} | more), seed=1)
    missing = ours.load_state_dict(_renamed(theirs), strict=False)
    assert not missing.unexpected_keys
    assert {name.split(".")[0] for name in missing.missing_keys} <= {"source", "target", "positions", "head"}
    return ours, theirs


def _texts() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    source_BS = torch.randint(0, VOCABULARY, (3, SOURCE), generator=generator)
    target_BT = torch.randint(0, VOCABULARY, (3, TARGET), generator=generator)
    mask_BS = torch.arange(SOURCE) < torch.tensor([SOURCE, 4, 1])[:, None]
    return source_BS, target_BT, mask_BS


def _theirs(ours: Transformer, theirs: nn.Transformer, source: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
    target_embedding = ours.source if ours.target is None else ours.target
    waves = ours.positions.weight
    hidden = None if mask is None else ~mask
    out: Tensor = theirs(
        ours.source(source) * 24**0.5 + waves[: source.shape[1]],
        target_embedding(target) * 24**0.5 + waves[: target.shape[1]],
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(target.shape[1]),
        src_key_padding_mask=hidden, memory_key_padding_mask=hidden, tgt_is_causal=True,
    )  # fmt: skip
    return out


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "padded"])
@pytest.mark.parametrize(("norm", "activation"), [("post", "relu"), ("pre", "gelu"), ("pre", "relu"), ("post", "gelu")])
def test_features_are_pytorchs(norm: str, activation: str, masked: bool, training: bool) -> None:
    ours, theirs = _pair(norm, activation, sharing="none")
    ours.train(training)
    theirs.train(training)
    source, target, mask = _texts()
    wanted = _theirs(ours, theirs, source, target, mask if masked else None)
    got = ours.features(source, target, mask if masked else None)
    assert difference(got, wanted) <= TOLERANCE


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_encoder_alone_and_gradients(norm: str) -> None:
    ours, theirs = _pair(norm, "relu")
    source, target, mask = _texts()
    wanted = theirs.encoder(ours.source(source) * 24**0.5 + ours.positions.weight[:SOURCE], src_key_padding_mask=~mask)
    keep = mask[:, :, None]  # what stands on padding is nobody's: PyTorch may leave it out
    assert difference(ours.encode(source, mask) * keep, wanted * keep) <= TOLERANCE
    direction = torch.randn(3, TARGET, 24, generator=torch.Generator().manual_seed(2))
    (_theirs(ours, theirs, source, target, mask) * direction).sum().backward()
    wanted_gradient = theirs.encoder.layers[0].linear1.weight.grad
    (ours.features(source, target, mask) * direction).sum().backward()
    assert difference(ours.encoder[0].feed_forward.expand.weight.grad, wanted_gradient) <= 5 * TOLERANCE


@pytest.mark.parametrize("sharing", ["all", "embeddings", "head", "none"])
def test_sharing_is_one_matrix_where_it_says_so(sharing: str) -> None:
    net = build("transformer", **SIZES, sharing=sharing).eval()
    source, target, _ = _texts()
    extra = {"all": 0, "embeddings": 1, "head": 1, "none": 2}[sharing]
    alone = sum(weight.numel() for weight in build("transformer", **SIZES).parameters())
    assert sum(weight.numel() for weight in net.parameters()) == alone + extra * VOCABULARY * 24
    states = net.features(source, target)
    matrix = {"all": net.source, "head": net.target}.get(sharing, net.head).weight
    torch.testing.assert_close(net(source, target), states @ matrix.T)


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary"])
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_the_future_and_padding_change_nothing(norm: str, positions: str) -> None:
    net = perturbed(build("transformer", **SIZES | {"num_heads": 2}, norm=norm, positions=positions)).eval()
    source, target, mask = _texts()
    whole = net(source, target, mask)
    later = target.clone()
    later[:, 3:] = (later[:, 3:] + 1) % VOCABULARY
    assert torch.equal(net(source, later, mask)[:, :3], whole[:, :3])
    assert not torch.equal(net(source, later, mask)[:, 3:], whole[:, 3:])
    garbage = torch.where(mask, source, (source + 5) % VOCABULARY)
    assert torch.equal(net(garbage, target, mask), whole)
    for row, length in enumerate(mask.sum(1).tolist()):
        alone = net(source[row : row + 1, :length], target[row : row + 1])
        torch.testing.assert_close(whole[row : row + 1], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary"])
def test_cached_scores_are_the_uncached(positions: str) -> None:
    net = perturbed(build("transformer", **SIZES | {"num_heads": 2}, positions=positions)).eval()
    source, target, mask = _texts()
    memory, caches = net.encode(source, mask), net.new_caches(TARGET, SOURCE)
    pieces = [net.decode(part, memory, mask, caches) for part in target.split([2, 1, 2], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), net(source, target, mask), rtol=1e-4, atol=1e-5)


def _greedy(net: Transformer, source: Tensor, mask: Tensor | None, steps: int) -> Tensor:
    """Without caches, one whole forward a token."""
    target = source.new_full((len(source), 1), net.start_token)
    for _ in range(steps):
        target = torch.cat((target, net(source, target, mask)[:, -1:].argmax(-1)), dim=1)
    return target


def test_generate_is_the_uncached_greedy_text_and_beams_are_no_worse() -> None:
    net = perturbed(build("transformer", **SIZES, norm="pre")).train()
    source, _, mask = _texts()
    written = net.generate(source, mask, max_new_tokens=8, temperature=0)
    assert net.training
    net.eval()
    assert torch.equal(written, _greedy(net, source, mask, 8))
    searched = net.generate(source, mask, max_new_tokens=8, num_beams=5)
    assert (_surprise(net, source, mask, searched) <= _surprise(net, source, mask, written) + 1e-5).all()
    first, second = (
        net.generate(source, mask, max_new_tokens=8, generator=torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(first, second)


def _surprise(net: Transformer, source: Tensor, mask: Tensor, target: Tensor) -> Tensor:
    scores = net(source, target[:, :-1], mask).log_softmax(-1)
    return -scores.gather(2, target[:, 1:, None])[:, :, 0].sum(1)


def test_what_does_not_fit_is_refused() -> None:
    net = build("transformer", **SIZES)
    source = torch.zeros(1, 13, dtype=torch.int64)
    for call in (lambda: net(source, source[:, :3]), lambda: net(source[:, :3], source)):
        with pytest.raises(ConfigError, match=r"13 tokens are more than model.context=12"):
            call()
    assert net.generate(source[:, :4], max_new_tokens=20).shape == (1, 1 + 12)  # as far as the positions go
    with pytest.raises(ConfigError, match="num_heads=5 does not divide hidden_size=24"):
        build("transformer", **SIZES | {"num_heads": 5})
    with pytest.raises(ConfigError, match="heads 3 wide"):
        build("transformer", **SIZES | {"num_heads": 8}, positions="rotary")
