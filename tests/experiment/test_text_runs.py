"""Runs on texts from config to answer: each task as a user meets it."""

import json
import random

import pytest
import torch

import netwright as nw
from netwright.core.errors import ConfigError
from netwright.core.records import read_json
from netwright.data.tokenizing import WordTokenizer
from netwright.experiment.assemble import assemble
from netwright.experiment.config import load_config

ANIMALS, VERBS, PLACES = ["cat", "dog", "cow", "fox", "hen"], ["sees", "hears", "bites"], ["barn", "field", "wood"]
BERT = {"name": "bert", "num_layers": 1, "num_heads": 2, "hidden_size": 16, "inner_size": 16, "context": 48}


@pytest.fixture(autouse=True)
def _alone():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """One file with a column for every task."""
    chance, path = random.Random(0), tmp_path_factory.mktemp("texts") / "rows.jsonl"
    with path.open("w") as file:
        for _ in range(160):
            one, verb, two, place = (chance.choice(words) for words in (ANIMALS, VERBS, ANIMALS, PLACES))
            text = f"In the {place} the {one} {verb} the {two}" + chance.choice(["", " today", " once again."])
            row = {"text": text, "place": place, "turned": " ".join(reversed(text.split())), "question": f"Who {verb}?"}
            file.write(json.dumps({**row, "answer": {"text": one, "start": text.index(f"the {one}") + 4}}) + "\n")
    return str(path)


TASKS = {
    "text-classification": ({"text": "text", "target": "place"}, BERT, None),
    "language-modeling": (
        {"text": "text"},
        {"name": "gru_lm", "hidden_size": 16, "num_layers": 1, "context": 16},
        None,
    ),
    "masked-language-modeling": ({"text": "text", "target": "place"}, BERT, {"whole_words": True}),
    "sequence-to-sequence": (
        {"text": "text", "target_text": "turned"},
        {"name": "seq2seq", "hidden_size": 16, "num_layers": 1},
        {"measure": 3, "own_share": 0.5, "max_new_tokens": 8},
    ),
    "question-answering": ({"text": "question", "context": "text", "answer": "answer"}, BERT, None),
}
FIGURES = {
    "text-classification": {"accuracy", "f1", "auroc", "ece"},
    "language-modeling": {"perplexity", "bits_per_token", "bits_per_byte"},
    "masked-language-modeling": {"perplexity", "bits_per_token", "accuracy"},
    "sequence-to-sequence": {"perplexity", "bleu", "chrf", "exact_match"},
    "question-answering": {"exact_match", "f1"},
}
INPUTS = {
    "text-classification": "In the barn the cat sees the dog",
    "language-modeling": "In the",
    "masked-language-modeling": "In the <mask> the cat sees the dog",
    "sequence-to-sequence": "In the barn the cat sees the dog",
    "question-answering": {"question": "Who sees?", "context": "In the wood the fox sees the hen. " * 5},
}


def config(name, rows, **more):
    data, model, settings = TASKS[name]
    tokens = {"kind": "bpe", "size": 320, "max_length": 40}
    named = {"task": {"name": name, **settings}} if settings else {}
    train = {"epochs": 1, "batch_size": 32, "seed": 0, **more}
    return {**named, "data": {"path": rows, "tokens": tokens, **data}, "model": model, "train": train}


@pytest.mark.parametrize("name", TASKS)
def test_a_run_has_no_false_alarm_its_figures_and_an_answer(name, rows, tmp_path):
    run = nw.train(config(name, rows), out=tmp_path / "run", quiet=True)
    assert run.findings == []
    recipe = read_json(tmp_path / "run" / "model" / "config.json")
    assert recipe["task"]["name"] == name  # also where the config did not say so
    assert set(run.metrics["test"]) == FIGURES[name] | {"loss"}
    assert read_json(tmp_path / "run" / "architecture.json")
    predict = nw.load(tmp_path / "run")
    (told,) = predict(INPUTS[name])
    assert (told,) == tuple(predict([INPUTS[name]])) and json.dumps(told)
    key = {"text-classification": "label", "language-modeling": "continuation", "question-answering": "answer"}
    assert isinstance(told[key.get(name, "text")], str)
    assert len(predict([INPUTS[name]] * 3)) == 3


@pytest.mark.parametrize("name", ["masked-language-modeling", "sequence-to-sequence"])
def test_what_chance_decides_goes_on_where_it_was(name, rows, tmp_path):
    """Half a run, saved and taken up by another session, teaches what the whole one does."""

    def session(folder):
        (tmp_path / folder).mkdir(exist_ok=True)
        return assemble(load_config(config(name, rows, epochs=2)), tmp_path / folder, quiet=True).session

    def losses(run, count):
        found = []
        for batch in run.batches():
            out = run.task.training_step(run.model, batch, run.task.phases[0])
            run.engine.backward(out.loss, run.task.phases[0])
            run.engine.update_if_due(run.task.phases[0])
            found.append(out.loss.item())
            if len(found) == count:
                break
        return found

    whole = losses(session("whole"), 7)
    first = session("first")
    begun = losses(first, 3)
    state = first.state()
    second = session("second")
    second.load_state(state)
    assert begun + losses(second, 4) == whole


def test_a_mask_is_no_mask_where_the_tokenizer_has_none(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(WordTokenizer, "mask", None)
    spec = config("masked-language-modeling", rows)
    spec["data"]["tokens"] = {"kind": "words"}
    with pytest.raises(ConfigError, match="masks"):
        nw.train(spec, out=tmp_path / "run", quiet=True)
