"""Several labels an example: pictures, tables and texts from config to answer, and what does not fit."""

import json
import random

import pytest
import torch
from task_helpers import Source

import netwright as nw
from netwright.core.errors import ConfigError
from netwright.core.records import read_json
from netwright.data.batching import Batch
from netwright.data.schema import Schema, Target
from netwright.experiment.checking import check_config
from netwright.tasks.multilabel import MultilabelClassification

LABELS = ("a", "b", "c")
SCHEMA = Schema("table", (6,), "float32", Target("multilabel", names=LABELS))


class Given(torch.nn.Module):
    """Says its input."""

    def forward(self, x):
        return x


def test_the_table_counts_each_label():
    scores = torch.tensor([[2.0, -1.0, -1.0], [2.0, 1.0, -1.0], [-2.0, 1.0, -1.0], [1.0, -1.0, -1.0]])
    truth = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    task = MultilabelClassification(SCHEMA)
    batches = Batch(scores[:3], truth[:3], None), Batch(scores[3:], truth[3:], None)
    (shown,) = task.exhibits(Given(), Source(*batches), None)
    assert shown["rows"] == [
        ["a", 3, 3, 0.6667, 0.6667, 0.6667], ["b", 1, 2, 0.5, 1.0, 0.6667], ["c", 0, 0, None, None, None]
    ]  # fmt: skip
    answers = task.answers(scores)
    assert [answer["labels"] for answer in answers] == [["a"], ["a", "b"], ["b"], ["a"]]
    assert answers[1]["probabilities"]["b"] == pytest.approx(1 / (1 + 2.718281828**-1))


def test_one_label_is_a_yes_or_no():
    task = MultilabelClassification(Schema("table", (1,), "float32", Target("multilabel", names=("a",))))
    measure = task.measure()
    measure.update(torch.tensor([[1.0], [-1.0]]), torch.tensor([[1.0], [0.0]]))
    assert measure.compute() == {"f1": 1.0, "auroc": 1.0, "accuracy": 1.0}


def rows(count=160):
    chance = random.Random(0)
    for _ in range(count):
        found = {word: chance.random() < 0.4 for word in ("sun", "sea", "ice")}
        words = [word for word, there in found.items() if there] + chance.choices(["oak", "elm", "fir", "may"], k=4)
        chance.shuffle(words)
        numbers = {f"x{k}": round(chance.gauss(2 * there, 0.3), 3) for k, there in enumerate(found.values())}
        yield {"text": " ".join(words), **numbers, **{f"is_{word}": int(there) for word, there in found.items()}}


def text_config(path):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    names = ["is_sun", "is_sea", "is_ice"]
    model = {"name": "gru", "embedding_size": 16, "hidden_size": 16}
    data = {"path": str(path), "text": "text", "target": names, "tokens": {"kind": "words"}}
    return {"data": data, "model": model, "optimizer": {"name": "adam", "lr": 0.02}}


def table_config(path):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    names = ["is_sun", "is_sea", "is_ice"]
    data = {"path": str(path), "target": names, "ignore": ["text"]}
    return {"data": data, "model": {"name": "mlp", "hidden": [16]}, "optimizer": {"name": "adam", "lr": 0.02}}


def picture_config(path):
    import numpy

    chance = numpy.random.default_rng(0)
    y = (chance.random((160, 3)) < 0.4).astype("float32")
    x = chance.integers(0, 60, (160, 16, 16, 1)).astype("uint8")
    for label in range(3):
        x[:, 5 * label : 5 * label + 5] += (150 * y[:, label].astype("uint8"))[:, None, None, None]
    path = path.with_suffix(".npz")
    numpy.savez(path, x=x, y=y)
    return {"data": {"path": str(path)}, "model": {"name": "mlp", "hidden": [16]},
            "optimizer": {"name": "adam", "lr": 0.02}}  # fmt: skip


INPUTS = {"text": "the sun and the ice", "table": {"x0": 2.0, "x1": 0.0, "x2": 2.0}, "picture": None}


@pytest.mark.parametrize("make", [text_config, table_config, picture_config])
def test_a_run_learns_and_answers(make, tmp_path):
    config = {**make(tmp_path / "rows.jsonl"), "train": {"epochs": 10, "batch_size": 16, "seed": 0}}
    assert check_config(config) == []
    run = nw.train(config, out=tmp_path / "run", quiet=True)
    assert run.findings == [] and set(run.metrics["test"]) == {"loss", "f1", "auroc", "accuracy"}
    assert read_json(tmp_path / "run" / "model" / "config.json")["task"]["name"] == "multilabel-classification"
    assert run.metrics["test"]["f1"] > 0.9
    predict = nw.load(tmp_path / "run")
    given = INPUTS[make.__name__.partition("_")[0]]
    (told,) = predict(given if given is not None else torch.full((1, 16, 16), 200, dtype=torch.uint8))
    assert len(told["probabilities"]) == 3 and (given is None or len(told["labels"]) == 2), told
    (table,) = json.loads((tmp_path / "run" / "exhibits.json").read_text())
    assert len(table["rows"]) == 3


def test_softmax_over_labels_is_said(tmp_path):
    config = {**text_config(tmp_path / "rows.jsonl"), "loss": "cross-entropy"}
    assert "NW108" in {finding.code for finding in check_config(config)}


def test_other_targets_are_refused(tmp_path):
    config = text_config(tmp_path / "rows.jsonl")
    config["data"]["target"] = "is_sun"
    with pytest.raises(ConfigError, match="task multilabel-classification needs several labels an example"):
        check_config({**config, "task": "multilabel-classification"})
