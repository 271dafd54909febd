"""Texts and published weights: the tokenizer beside them is taken, another is refused, and a run outlives both."""

import json
import logging
import random
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import netwright as nw
from netwright.core.errors import ConfigError, NetwrightError, Preempted
from netwright.core.records import read_json
from netwright.data.tokenizing import LibraryTokenizer
from netwright.experiment import assemble as assembly
from netwright.experiment.checking import check_config
from netwright.experiment.config import load_config
from netwright.experiment.evaluating import evaluate_run
from netwright.experiment.model_folder import weights_hash
from netwright.training.hooks.base import Hook

WORDS = ["barn", "field", "wood", "cat", "dog", "cow", "sees", "hears", "bites", "the", "a"]
CODES = 290


@pytest.fixture(autouse=True)
def _alone() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts, and beside them folders of weights as transformers writes them, trained by nobody."""
    import netwright.metrics.torchvision_guard  # noqa: F401 - declares the operators that a broken build lacks

    transformers = pytest.importorskip("transformers")
    root, chance = tmp_path_factory.mktemp("weights"), random.Random(0)
    texts = [" ".join(chance.choices(WORDS, k=8)) for _ in range(80)]
    rows = [{"text": text, "label": text.split()[0], "turned": text[::-1]} for text in texts]
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tokenizer = json.dumps(LibraryTokenizer.fitted(texts, CODES).to_dict())
    size = len(LibraryTokenizer(tokenizer))
    torch.manual_seed(0)
    small: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    bert = transformers.BertConfig(vocab_size=size, intermediate_size=16, max_position_embeddings=32, **small)
    gpt2 = transformers.GPT2Config(vocab_size=size, n_positions=16, n_embd=16, n_layer=1, n_head=2)
    t5 = transformers.T5Config(
        vocab_size=320, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0
    )  # more vectors than codes, as the published ones
    nets = {
        "bert": transformers.BertModel(bert), "gpt": transformers.GPT2LMHeadModel(gpt2),
        "t5": transformers.T5ForConditionalGeneration(t5),
    }  # fmt: skip
    for name, net in nets.items():
        net.save_pretrained(root / name)
        (root / name / "tokenizer.json").write_text(tokenizer)
    return root


DATA = {
    "bert": {"text": "text", "target": "label"},
    "gpt": {"text": "text"},
    "t5": {"text": "text", "target_text": "turned"},
}


def config(root: Path, name: str, weights: Path | None = None, **tokens: Any) -> dict[str, Any]:
    data = {"path": str(root / "rows.jsonl"), **DATA[name], **({"tokens": tokens} if tokens else {})}
    model = {"name": name, "weights": str(weights or root / name)}
    return {"data": data, "model": model, "train": {"epochs": 1, "batch_size": 16}}


@pytest.mark.parametrize("name", DATA)
def test_a_folder_brings_its_tokenizer(name: str, root: Path, tmp_path: Path) -> None:
    made = assembly.assemble(load_config(config(root, name)), tmp_path, quiet=True)
    assert made.preprocess is not None and made.preprocess.tokenizer is not None
    assert made.preprocess.tokenizer.to_dict() == read_json(root / name / "tokenizer.json")
    assert made.config.to_dict()["data"]["tokens"] == {"path": str(root / name / "tokenizer.json")}
    table = next(module for module in made.model.modules() if isinstance(module, torch.nn.Embedding))
    assert table.num_embeddings == (320 if name == "t5" else len(made.preprocess.tokenizer))
    assert "error" not in {finding.severity for finding in check_config(config(root, name))}


def test_a_length_alone_leaves_the_tokenizer(root: Path, tmp_path: Path) -> None:
    made = assembly.assemble(load_config(config(root, "bert", max_length=12)), tmp_path, quiet=True)
    tokens = made.bundle.schema.tokens
    assert tokens is not None and tokens.max_length == 12 and tokens.path == str(root / "bert/tokenizer.json")


def test_other_tokens_are_refused_with_both_sizes(root: Path, tmp_path: Path) -> None:
    size = len(LibraryTokenizer((root / "bert/tokenizer.json").read_text()))
    with pytest.raises(ConfigError, match=rf"has 18 codes, and the weights of .*bert have vectors for {size}") as told:
        check_config(config(root, "bert", kind="words"))
    assert told.value.problems[0].path == "data.tokens"
    folder = shutil.copytree(root / "t5", tmp_path / "t5")
    big = LibraryTokenizer.fitted([f"{n:x} {n * n:x}" for n in range(3000)] * 2, 400)
    (folder / "tokenizer.json").write_text(json.dumps(big.to_dict()))
    with pytest.raises(ConfigError, match=rf"has {len(big)} codes, and the weights of .*t5 have vectors for 320"):
        check_config(config(root, "t5", folder))


def test_a_run_hands_its_tokenizer_on_and_outlives_its_weights(root: Path, tmp_path: Path) -> None:
    weights = shutil.copytree(root / "bert", tmp_path / "bert")
    first = nw.train(config(root, "bert", weights), out=tmp_path / "first", quiet=True)
    second = config(root, "bert", first.folder)
    made = assembly.assemble(load_config(second), tmp_path / "second", quiet=True)
    assert made.preprocess.tokenizer.to_dict() == read_json(first.folder / "model/tokenizer.json")  # type: ignore
    shutil.rmtree(weights)
    assert evaluate_run(first.folder)["metrics"] == first.metrics["test"]
    with pytest.raises(NetwrightError, match="does not exist"):  # another run has nothing to go on with
        nw.train(first.folder / "config.yaml", out=tmp_path / "again", quiet=True)


class Leave(Hook):
    stride = 1

    def step_end(self, run: Any, out: Any) -> None:
        if run.progress.step == 3:
            run.leave = lambda: Preempted("left")


@pytest.mark.parametrize("freeze", [None, "backbone"])
def test_a_run_goes_on_without_its_weights(
    freeze: str | None, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spec(weights: Path) -> dict[str, Any]:
        made = config(root, "bert", weights)
        return {**made, "model": {**made["model"], "freeze": freeze}} if freeze else made

    whole = nw.train(spec(root / "bert"), out=tmp_path / "whole", quiet=True)
    weights, hooks = shutil.copytree(root / "bert", tmp_path / "bert"), assembly.make_hooks
    monkeypatch.setattr(assembly, "make_hooks", lambda *given: [*hooks(*given), Leave()])
    with pytest.raises(Preempted):
        nw.train(spec(weights), out=tmp_path / "left", quiet=True)
    monkeypatch.undo()
    shutil.rmtree(weights)
    resumed = nw.train(resume=tmp_path / "left", quiet=True)
    assert resumed.model is not None and whole.model is not None
    assert weights_hash(resumed.model) == weights_hash(whole.model)
    assert resumed.metrics["test"] == whole.metrics["test"]


def test_without_a_checkpoint_there_is_nothing_to_go_on_with(root: Path, tmp_path: Path) -> None:
    weights = shutil.copytree(root / "bert", tmp_path / "bert")
    first = nw.train(config(root, "bert", weights), out=tmp_path / "first", quiet=True)
    shutil.rmtree(weights)
    shutil.rmtree(first.folder / "checkpoints")
    (first.folder / "summary.json").unlink()
    with pytest.raises(ConfigError, match=r"model.weights=.* does not exist"):
        nw.train(resume=first.folder, quiet=True)


def test_vectors_without_a_code_are_told(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("netwright"), "propagate", True)
    with caplog.at_level(logging.INFO, "netwright"):
        assembly.assemble(load_config(config(root, "t5")), tmp_path, quiet=True)
    told = [record for record in caplog.records if "vectors of" in record.getMessage()]
    assert [record.levelname for record in told] == ["INFO"] and re.match(r"\d\d of the 320 vectors", told[0].message)
    folder = shutil.copytree(root / "t5", tmp_path / "t5")
    small = LibraryTokenizer.fitted(["cat dog"] * 9, 264)
    (folder / "tokenizer.json").write_text(json.dumps(small.to_dict()))
    caplog.clear()
    with caplog.at_level(logging.WARNING, "netwright"):
        assembly.assemble(load_config(config(root, "t5", folder)), tmp_path, quiet=True)
    assert rf"has {len(small)} codes for 320 vectors; check that it is theirs" in caplog.text
    values = small.to_dict()
    values["model"]["vocab"]["late"] = 320
    (folder / "tokenizer.json").write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=r"has 321 codes, and the weights of .*t5 have vectors for 320"):
        assembly.assemble(load_config(config(root, "t5", folder)), tmp_path, quiet=True)
