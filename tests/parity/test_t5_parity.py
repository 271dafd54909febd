"""T5, both kinds, held to transformers' T5ForConditionalGeneration on shared weights that sit at no default."""

from pathlib import Path
from typing import Any

import pytest
import torch
from references import TOLERANCE, difference, perturbed
from torch import Tensor, nn

import netwright as nw
import netwright.metrics.torchvision_guard  # transformers imports torchvision, which may be broken
from netwright.core.errors import CheckpointError
from netwright.models import build, card
from netwright.models.language.t5 import T5
from netwright.models.weights.t5 import LAYOUTS

transformers = pytest.importorskip("transformers", exc_type=ImportError)

SMALL = {
    "vocab_size": 37, "d_model": 24, "d_kv": 10, "d_ff": 48, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 3,
    "relative_attention_num_buckets": 8, "relative_attention_max_distance": 20, "decoder_start_token_id": 0,
    "dropout_rate": 0.0,
}  # fmt: skip
KINDS = {
    "t5": {"feed_forward_proj": "relu"},
    "v1.1": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def _reference(kind: str, **more: Any) -> Any:
    torch.manual_seed(0)
    config = transformers.T5Config(**SMALL | KINDS[kind] | more, attn_implementation="eager")
    theirs = transformers.T5ForConditionalGeneration(config)
    if kind == "v1.1":  # transformers 5 ties them until a file says otherwise
        theirs.lm_head.weight = nn.Parameter(torch.randn(theirs.shared.weight.shape) * 0.3)
    seen = set()
    generator = torch.Generator().manual_seed(1)
    for weight in theirs.parameters():
        assert id(weight) not in seen
        seen.add(id(weight))
        spread = weight.std() if weight.dim() > 1 else 0.5
        weight.data.add_(torch.randn(weight.shape, generator=generator) * 0.3 * spread)
    # Signs that differ: else a tied head says again and again what it has just read.
    theirs.decoder.final_layer_norm.weight.data.mul_(torch.randn(24, generator=generator).sign())
    return theirs.eval()


def _ours(theirs: Any) -> T5:
    tensors, config = theirs.state_dict(), theirs.config.to_dict()
    ours = build(LAYOUTS[0].identify(tensors, config), **LAYOUTS[0].sizes(tensors, config))
    found = ours.load_state_dict(LAYOUTS[0].rename(tensors), strict=False)
    assert not found.missing_keys
    assert all(name.startswith(ours.spare_weights or ("nothing",)) for name in found.unexpected_keys)
    return ours.eval()


def _texts(target: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    source_BS = torch.randint(2, 37, (3, 30), generator=generator)
    target_BT = torch.randint(2, 37, (3, target), generator=generator)
    return source_BS, target_BT, torch.arange(30) < torch.tensor([30, 17, 3])[:, None]


@every_kind
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "padded"])
def test_scores_and_states_are_transformers(kind: str, masked: bool) -> None:
    theirs = _reference(kind)
    ours = _ours(theirs)
    source, target, mask = _texts(25)
    mask = mask if masked else torch.ones_like(mask)
    with torch.no_grad():
        wanted = theirs(input_ids=source, attention_mask=mask.long(), decoder_input_ids=target)
        assert difference(ours(source, target, mask), wanted.logits) <= TOLERANCE
        keep = mask[:, :, None]
        assert difference(ours.encode(source, mask) * keep, wanted.encoder_last_hidden_state * keep) <= TOLERANCE
        if not masked:
            assert difference(ours(source, target), wanted.logits) <= TOLERANCE


@every_kind
def test_gradients_in_training_are_transformers(kind: str) -> None:
    theirs = _reference(kind).train()
    ours = _ours(theirs).train()
    source, target, mask = _texts()
    direction = torch.randn(3, 9, 37, generator=torch.Generator().manual_seed(2))
    logits = theirs(input_ids=source, attention_mask=mask.long(), decoder_input_ids=target).logits
    (logits * direction).sum().backward()
    (ours(source, target, mask) * direction).sum().backward()
    gradients = {name: weight.grad for name, weight in theirs.named_parameters()}
    wanted = LAYOUTS[0].rename(gradients)
    for name, weight in ours.named_parameters():
        assert difference(weight.grad, wanted[name]) <= 10 * TOLERANCE, name


@every_kind
def test_greedy_text_is_transformers_and_the_uncached(kind: str) -> None:
    theirs = _reference(kind, num_decoder_layers=2)  # its cache has a layer for each of the encoder's
    ours = _ours(theirs)
    source, _, mask = _texts()
    for beams in (1, 4):
        wanted = theirs.generate(
            input_ids=source, attention_mask=mask.long(), max_new_tokens=25, do_sample=False, num_beams=beams,
            eos_token_id=1, pad_token_id=0, **({"length_penalty": 0.0} if beams > 1 else {}),
        )  # fmt: skip
        got = ours.generate(source, mask, max_new_tokens=25, temperature=0, num_beams=beams, length_penalty=0.0, eos=1)
        assert len(got.unique()) > 5
        for row, theirs_row in zip(got.tolist(), wanted.tolist(), strict=True):
            assert _until_end(row) == _until_end(theirs_row)
    target = source.new_zeros(3, 1)
    for _ in range(12):
        target = torch.cat((target, ours(source, target, mask)[:, -1:].argmax(-1)), dim=1)
    assert torch.equal(ours.generate(source, mask, max_new_tokens=12, temperature=0), target)


def _until_end(row: list[int]) -> list[int]:
    return row[: row.index(1)] if 1 in row else row


@every_kind
def test_cached_scores_are_the_uncached(kind: str) -> None:
    ours = _ours(_reference(kind))
    source, target, mask = _texts()
    memory, caches = ours.encode(source, mask), ours.new_caches(9, 30)
    pieces = [ours.decode(part, memory, mask, caches) for part in target.split([3, 1, 1, 4], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), ours(source, target, mask), rtol=1e-4, atol=1e-4)


@every_kind
def test_the_future_and_padding_change_nothing(kind: str) -> None:
    ours = _ours(_reference(kind))
    source, target, mask = _texts()
    whole = ours(source, target, mask)
    later = target.clone()
    later[:, 5:] = (later[:, 5:] + 1) % 37
    assert torch.equal(ours(source, later, mask)[:, :5], whole[:, :5])
    assert torch.equal(ours(torch.where(mask, source, 36 - source), target, mask), whole)
    for row, length in enumerate(mask.sum(1).tolist()):
        alone = ours(source[row : row + 1, :length], target[row : row + 1])
        torch.testing.assert_close(whole[row : row + 1], alone, rtol=1e-4, atol=1e-4)
    assert torch.isfinite(ours(source, target, torch.zeros_like(mask))).all()


@every_kind
@pytest.mark.parametrize("old", [False, True], ids=["transformers-5", "transformers-4"])
def test_a_hugging_face_folder_loads(kind: str, old: bool, tmp_path: Path) -> None:
    """Also an older one, whose config knows the tie alone, and with the names that it repeats."""
    theirs = _reference(kind)
    theirs.save_pretrained(tmp_path)
    if old:
        config = tmp_path / "config.json"
        words = '"tie_word_embeddings": ' + ("false" if kind == "v1.1" else "true")
        text = config.read_text().replace('"tie_word_embeddings": true', words)
        config.write_text("\n".join(line for line in text.split("\n") if "scale_decoder_outputs" not in line))
    net = nw.load_pretrained("t5", tmp_path)
    source, target, mask = _texts()
    with torch.no_grad():
        wanted = theirs(input_ids=source, attention_mask=mask.long(), decoder_input_ids=target).logits
        assert difference(net(source, target, mask), wanted) <= TOLERANCE


def test_a_folder_of_the_gated_kind_that_ties_its_head_loads(tmp_path: Path) -> None:
    """transformers 5 makes such a network where version 1.1 is asked for without weights."""
    torch.manual_seed(0)
    theirs = transformers.T5ForConditionalGeneration(transformers.T5Config(**SMALL | KINDS["v1.1"])).eval()
    theirs.save_pretrained(tmp_path)
    source, target, mask = _texts()
    with torch.no_grad():
        wanted = theirs(input_ids=source, attention_mask=mask.long(), decoder_input_ids=target).logits
        assert difference(nw.load_pretrained("t5", tmp_path)(source, target, mask), wanted) <= TOLERANCE


def test_a_folder_that_computes_otherwise_is_refused(tmp_path: Path) -> None:
    theirs = _reference("t5", feed_forward_proj="gelu")
    theirs.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="feed_forward_proj=gelu"):
        nw.load_pretrained("t5", tmp_path)


@pytest.mark.parametrize("name", ["t5_small", "t5_base", "t5_large", "t5_v1_1_small", "t5_v1_1_base"])
def test_published_sizes_are_transformers(name: str) -> None:
    """The counts of the released checkpoints, and the layout's name for them."""
    with torch.device("meta"):
        net = build(name)
        sizes = {
            "d_model": net.hidden_size, "d_ff": net.encoder.blocks[0].feed_forward.expand.out_features,
            "num_layers": len(net.encoder.blocks), "num_heads": net.encoder.positions.weight.shape[1],
            **KINDS["v1.1" if "v1_1" in name else "t5"],
        }  # fmt: skip
        theirs = transformers.T5ForConditionalGeneration(transformers.T5Config(**sizes))
    apart = theirs.shared.weight.numel() if "v1_1" in name else 0
    wanted = sum(weight.numel() for weight in theirs.parameters()) + apart
    assert sum(weight.numel() for weight in net.parameters()) == wanted == card(name).parameters
    assert LAYOUTS[0].identify(theirs.state_dict(), {}) == name


@pytest.mark.slow
def test_t5_small_loads_by_its_name(tmp_path: Path) -> None:
    theirs = perturbed(transformers.T5ForConditionalGeneration(transformers.T5Config(decoder_start_token_id=0))).eval()
    theirs.save_pretrained(tmp_path)
    net = nw.load_pretrained("t5_small", tmp_path)
    source, target = torch.randint(0, 32128, (2, 40)), torch.randint(0, 32128, (2, 11))
    with torch.no_grad():
        assert difference(net(source, target), theirs(input_ids=source, decoder_input_ids=target).logits) <= TOLERANCE


@every_kind
def test_first_scores_have_unit_scale(kind: str) -> None:
    torch.manual_seed(0)
    net = build("t5_v1_1_small" if kind == "v1.1" else "t5_small", num_layers=2, vocab_size=500).eval()
    with torch.no_grad():
        deviation = net(torch.randint(0, 500, (2, 20)), torch.randint(0, 500, (2, 20))).std().item()
    assert 0.3 < deviation < 3
