"""word2vec as a task: what its batches hold, a run from text to neighbours, and vectors that start another network."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import netwright as nw
from netwright.core.errors import ConfigError, DataError
from netwright.data.batching import Batch
from netwright.data.batching.skipgram import NOTHING, PairSettings, SkipGrams

SIZE = 40
WORDS = torch.arange(600) % SIZE
TEXTS = torch.arange(600) // 100


def _source(mode: Any = "skip-gram", words: Tensor = WORDS, **more: Any) -> SkipGrams:
    settings = PairSettings(more.pop("window", 4), subsample=more.pop("subsample", 0.0))
    texts, counts = TEXTS[: len(words)], torch.bincount(words, minlength=SIZE)
    return SkipGrams(words, texts, counts, settings=settings, mode=mode, **{"batch_size": 64, "seed": 3, **more})


def _same(one: Batch, other: Batch) -> bool:
    assert one.targets is not None and other.targets is not None
    return torch.equal(one.targets, other.targets) and all(map(torch.equal, one.inputs, other.inputs))


def _distances(source: SkipGrams, epoch: int = 0) -> Tensor:
    """Of all pairs of an epoch: as words run 0, 1, …, how far a word's neighbour is from it."""
    found = []
    for batch in source.epoch(epoch):
        words_B1, _, _ = batch.inputs
        assert batch.targets is not None
        near_BC = batch.targets != NOTHING
        found.append(((batch.targets - words_B1 + SIZE // 2) % SIZE - SIZE // 2)[near_BC])
    return torch.cat(found)


@pytest.mark.parametrize("mode", ["skip-gram", "cbow"])
def test_batches_are_a_pure_function_of_seed_and_epoch(mode: str) -> None:
    first, again = list(_source(mode).epoch(2)), list(_source(mode).epoch(2))
    assert len(first) == len(again) == _source(mode).steps_per_epoch == 10
    assert all(map(_same, first, again))
    assert _same(next(_source(mode).epoch(2, start=7)), first[7])
    assert not _same(next(_source(mode).epoch(3)), first[0])
    assert not _same(next(_source(mode, seed=4).epoch(2)), first[0])


def test_near_words_count_more_and_windows_end_with_their_text() -> None:
    source = _source()
    distances = torch.cat([_distances(source, epoch) for epoch in range(8)])
    counts = torch.bincount(distances.abs(), minlength=5).double()
    assert counts[0] == 0 and len(counts) == 5
    share = counts[1:] / counts[1]
    torch.testing.assert_close(share, torch.tensor([1.0, 0.75, 0.5, 0.25]).double(), atol=0.06, rtol=0)
    whole = 8 * sum(2 * (600 - 6 * d) * (5 - d) / 4 for d in range(1, 5))  # of 6 texts, each short of d pairs a side
    assert counts.sum() == pytest.approx(whole, rel=0.02)


def test_cbow_is_the_same_windows_the_other_way_round() -> None:
    for there, back in zip(_source().epoch(0), _source("cbow").epoch(0), strict=True):
        words_B1, _, _ = there.inputs
        around_BC, near_BC, _ = back.inputs
        assert there.targets is not None and back.targets is not None
        assert torch.equal(there.targets, around_BC.masked_fill(~near_BC, NOTHING))
        kept = near_BC.any(1, keepdim=True)
        assert torch.equal(back.targets, words_B1.masked_fill(~kept, NOTHING))


def test_frequent_words_are_thinned_out_before_windows_are_laid() -> None:
    chance = torch.Generator().manual_seed(0)
    often = torch.rand(600, generator=chance) < 0.6
    words = torch.where(often, 0, 1 + torch.randint(39, (600,), generator=chance))
    source = _source(words=words, subsample=0.01, batch_size=16)
    expected = 600 * 0.6 * (0.01 / 0.6) ** 0.5 + 600 * 0.4
    assert source.examples == pytest.approx(expected, rel=0.25)
    seen = torch.cat([batch.inputs[0].flatten() for epoch in range(4) for batch in source.epoch(epoch)])
    assert 0.05 < (seen == 0).double().mean() < 0.3


def test_noise_is_drawn_by_the_power_of_the_frequencies() -> None:
    words = torch.cat((torch.zeros(400), torch.ones(100), torch.full((100,), 2.0))).long()
    noise = torch.cat([batch.inputs[2] for epoch in range(10) for batch in _source(words=words).epoch(epoch)])
    share = torch.bincount(noise, minlength=3).double() / len(noise)
    weight = torch.tensor([400.0, 100, 100]).double().pow(0.75)
    torch.testing.assert_close(share, weight / weight.sum(), atol=0.01, rtol=0)


def test_words_that_all_stand_alone_are_refused() -> None:
    with pytest.raises(DataError, match="no two known words beside each other"):
        SkipGrams(
            torch.arange(5), torch.arange(5), torch.ones(5), settings=PairSettings(), mode="cbow", batch_size=2
        )  # fmt: skip


def _text(folder: Path) -> Path:
    """Animals stand with what animals do, tools with what is done with them."""
    chance = torch.Generator().manual_seed(1)
    groups = (["dog", "cat", "cow"], ["eats", "sleeps", "runs"]), (["saw", "nail", "axe"], ["cuts", "lies", "rusts"])
    lines = []
    for _ in range(700):
        names, verbs = groups[int(torch.randint(2, (), generator=chance))]
        one, other, verb, more = torch.randint(3, (4,), generator=chance).tolist()
        lines.append(f"the {names[one]} and the {names[other]} {verbs[verb]} or {verbs[more]}")
    (folder / "lines.txt").write_text("\n".join(lines))
    return folder / "lines.txt"


def _config(path: Path, mode: str = "skip-gram") -> dict[str, Any]:
    return {
        "task": {"name": "word2vec", "window": 3, "subsample": 0.05, "related": [["dog", "cat"], ["saw", "axe"]]},
        "data": {"path": str(path), "tokens": {"kind": "words", "lower": True}},
        "model": {"name": "word2vec", "mode": mode, "hidden_size": 12},
        "optimizer": {"name": "adamw", "lr": 0.02, "weight_decay": 0.0},
        "train": {"epochs": 4, "batch_size": 64, "device": "cpu"},
        "expect": {"related": 0.9},
    }


@pytest.mark.parametrize("mode", ["skip-gram", "cbow"])
def test_from_text_to_neighbours(mode: str, tmp_path: Path) -> None:
    run = nw.train(_config(_text(tmp_path), mode), out=tmp_path / "run")
    assert run.expectations_met
    assert run.metrics["test"]["above_noise"] > 0.6
    predict = nw.load(tmp_path / "run")
    assert {word for word, _ in predict.nearest("dog", 2)} == {"cat", "cow"}
    assert predict(["saw"])[0]["nearest"][0]["word"] in ("nail", "axe")
    assert {word for word, _ in predict.analogy("dog", "eats", "saw", 4)} & {"cuts", "lies", "rusts"}
    said = [(near["word"], near["cosine"]) for near in predict(["dog eats saw"])[0]["nearest"]]
    assert said == predict.analogy("dog", "eats", "saw", 10)  # three words are a question, from the shell too
    tables = [item for item in json.loads((tmp_path / "run" / "exhibits.json").read_text()) if item["kind"] == "table"]
    assert any("dog" in row for table in tables for row in table["rows"])


def test_vectors_start_another_networks_embedding(tmp_path: Path) -> None:
    path = _text(tmp_path)
    config = _config(path) | {"train": {"epochs": 1, "batch_size": 64, "device": "cpu"}, "expect": {}}
    nw.train(config, out=tmp_path / "run")
    learned = nw.load(tmp_path / "run").vectors
    model = {"name": "lstm_lm", "hidden_size": 12, "embeddings": str(tmp_path / "run"), "freeze": ["tokens"]}
    other = {
        "task": "language-modeling", "data": config["data"] | {"tokens": {"kind": "words", "size": 14}}, "model": model,
        "train": {"epochs": 1, "batch_size": 8, "steps": 2, "device": "cpu"},
    }  # fmt: skip
    nw.train(other, out=tmp_path / "other")
    known = nw.load(tmp_path / "other").vectors
    assert 0 < len(known) < len(learned)
    for word in (word for word in known.words if word is not None):
        torch.testing.assert_close(known[word], learned[word])
    with pytest.raises(ConfigError, match="holds vectors of 12 numbers, and the network's have 8"):
        nw.train(other | {"model": model | {"hidden_size": 8}}, out=tmp_path / "third")
    with pytest.raises(ConfigError, match="does not exist; give the folder of a run"):
        nw.train(other | {"model": model | {"embeddings": "nowhere"}}, out=tmp_path / "third")


@pytest.mark.parametrize(
    ("section", "value", "said"),
    [
        ("data", {"tokens": {"kind": "characters"}}, "the tokens are characters; set data.tokens: {kind: words"),
        ("model", {"name": "gpt", "mode": None}, "trains vectors of words alone; set model: {name: word2vec}"),
        ("task", {"related": [["dog", "unicorn"], ["gryphon"]]}, "needs two groups or more"),
        ("task", {"window": 0}, "window"),
        ("model", {"mode": "glove"}, "mode"),
    ],
)
def test_what_does_not_fit_is_told(section: str, value: dict[str, Any], said: str, tmp_path: Path) -> None:
    config = _config(_text(tmp_path))
    changed = {**config[section], **value}
    if changed.get("name") == "gpt":
        changed = {"name": "gpt"}
    with pytest.raises(ConfigError) as caught:
        nw.train({**config, section: changed}, out=tmp_path / "run")
    assert said in str(caught.value)
