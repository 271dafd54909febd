"""Published sizes of BERT and GPT-2: recognised by transformers' own names and shapes, without making a weight."""

from typing import Any

import pytest
import torch

from netwright.models import build, card
from netwright.models.weights.bert import LAYOUTS as BERT
from netwright.models.weights.gpt import LAYOUTS as GPT

BERTS = {
    "bert_tiny": (2, 2, 128), "bert_mini": (4, 4, 256), "bert_small": (4, 8, 512), "bert_medium": (8, 8, 512),
    "bert_base": (12, 12, 768), "bert_large": (24, 16, 1024), "minilm_l6": (6, 12, 384),
}  # fmt: skip
GPTS = {"gpt": (12, 12, 768), "gpt2_medium": (24, 16, 1024), "gpt2_large": (36, 20, 1280), "gpt2_xl": (48, 25, 1600)}


def _transformers() -> Any:
    import netwright.metrics.torchvision_guard  # noqa: F401 - transformers imports a torchvision that may be broken

    return pytest.importorskip("transformers", exc_type=ImportError)


def _fits(layout: Any, theirs: Any, name: str, spare: tuple[str, ...] = ()) -> None:
    tensors, config = theirs.state_dict(), theirs.config.to_dict()
    assert layout.identify(tensors, config) == name
    ours = build(name, **layout.sizes(tensors, config))
    found = {key: value.shape for key, value in layout.rename(tensors).items() if not key.startswith(spare)}
    assert found == {key: value.shape for key, value in ours.state_dict().items()}
    assert sum(weight.numel() for weight in build(name).parameters()) == card(name).parameters


@pytest.mark.parametrize("name", BERTS)
def test_berts(name: str) -> None:
    kind, (layers, heads, width) = _transformers(), BERTS[name]
    config = kind.BertConfig(
        num_hidden_layers=layers, num_attention_heads=heads, hidden_size=width, intermediate_size=4 * width
    )  # fmt: skip
    with torch.device("meta"):
        if name == "minilm_l6":
            _fits(BERT[0], kind.BertModel(config), name, spare=("pooler.",))
        else:
            _fits(BERT[0], kind.BertForSequenceClassification(config), name)


@pytest.mark.parametrize("name", GPTS)
def test_gpts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, (layers, heads, width) = _transformers(), GPTS[name]
    monkeypatch.setattr(torch, "equal", lambda one, other: one is other or one.shape == other.shape)  # of no values
    with torch.device("meta"):
        _fits(GPT[0], kind.GPT2LMHeadModel(kind.GPT2Config(n_layer=layers, n_head=heads, n_embd=width)), name)
