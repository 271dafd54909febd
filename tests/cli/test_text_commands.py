"""Language and series from the command line: describing the data, checking, training, asking, for each kind of task."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from netwright.cli.main import main
from netwright.experiment.assemble import assemble
from netwright.experiment.config import load_config

WORDS = ["barn", "field", "wood", "cat", "dog", "cow", "sees", "hears", "bites", "the", "a"]
TRAIN = "train: {epochs: 1, batch_size: 16, threads: 1, precision: float32}\n"
CONFIGS = {
    "text-classification": "data: {path: rows.jsonl, text: text, target: label}\n"
    "model: {name: lstm, embedding_size: 8, hidden_size: 8}\n",
    "multilabel-classification": "data: {path: rows.jsonl, text: text, target: [has_a, has_the]}\n"
    "model: {name: gru, embedding_size: 8, hidden_size: 8}\n",
    "sequence-to-sequence": "data: {path: rows.jsonl, text: text, target_text: turned, tokens: {size: 300}}\n"
    "model: {name: transformer, num_layers: 1, num_heads: 2, hidden_size: 16, inner_size: 16}\n"
    "task: {name: sequence-to-sequence, measure: 2, max_new_tokens: 4}\n",
    "masked-language-modeling": "data: {path: rows.jsonl, text: text, tokens: {kind: bpe, size: 300}}\n"
    "model: {name: bert, num_layers: 1, num_heads: 2, hidden_size: 16, inner_size: 16, context: 32}\n"
    "task: masked-language-modeling\n",
    "language-modeling": "data: {path: rows.jsonl, text: text}\n"
    "model: {name: lstm_lm, num_layers: 1, hidden_size: 16, context: 16}\n",
    "forecasting": "data: {path: series.csv, target: y, window: 16, horizon: 4}\n"
    "model: {name: lstm_forecaster, hidden_size: 8}\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts with a column for every task, and a series."""
    torch.set_num_threads(1)
    folder, chance = tmp_path_factory.mktemp("texts"), random.Random(0)
    rows = []
    for _ in range(120):
        words = chance.choices(WORDS, k=8)
        flags = {f"has_{word}": int(word in words) for word in ("a", "the")}
        rows.append({"text": " ".join(words), "label": words[0], "turned": " ".join(reversed(words)), **flags})
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = [math.sin(k / 3) + chance.gauss(0, 0.1) for k in range(400)]
    (folder / "series.csv").write_text("y\n" + "".join(f"{value:.4f}\n" for value in values))
    for name, text in CONFIGS.items():
        (folder / f"{name}.yaml").write_text(text + TRAIN)
    return folder


@pytest.mark.parametrize(
    ("task", "data", "model"),
    [
        ("text-classification", "target: label", "lstm"),
        ("multilabel-classification", "target: [has_a, has_the]", "lstm"),
        ("sequence-to-sequence", "target_text: turned", "transformer"),
        ("masked-language-modeling", "bad: skip", "bert_mini"),
    ],
)
def test_every_task_has_a_network_of_its_own(task: str, data: str, model: str, folder: Path, tmp_path: Path) -> None:
    tokens = "" if "target" in data else ", tokens: {kind: bpe}"
    (tmp_path / "c.yaml").write_text(
        f"data: {{path: {folder}/rows.jsonl, text: text, {data}{tokens}}}\ntask: {task}\n"
        "train: {threads: 1, batch_size: 1}\n"
    )
    made = assemble(load_config(tmp_path / "c.yaml"), tmp_path / "run", quiet=True)
    assert made.recipe["model"]["name"] == model


def document(capsys: pytest.CaptureFixture[str], *arguments: Any) -> Any:
    """The one JSON document of a command that ends well."""
    capsys.readouterr()
    code = main([*map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    assert "Traceback" not in err
    return json.loads(out)


def asked(name: str, folder: Path) -> list[Any]:
    if name == "forecasting":
        return ["predict", folder / name, json.dumps([math.sin(k / 3) for k in range(16)])]
    if name == "masked-language-modeling":
        return ["predict", folder / name, "the cat <mask> a dog"]
    return ["predict", folder / name, "the cat sees a dog"]


@pytest.mark.parametrize("name", CONFIGS)
def test_from_data_to_an_answer(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    told = document(capsys, "data", "describe", f"{name}.yaml")
    assert told
    assert document(capsys, "check", f"{name}.yaml") is not None
    done = document(capsys, "train", f"{name}.yaml", "--out", folder / name, "--quiet")
    assert done["metrics"]["test"] and done["findings"] == []
    answers = document(capsys, *asked(name, folder))
    assert answers
    if name != "forecasting":  # a file of text is asked for what stands in it
        (folder / "asked.TXT").write_text(asked(name, folder)[-1], "utf-8-sig")
        (of_file,) = document(capsys, "predict", folder / name, folder / "asked.TXT")
        assert {**of_file, "input": ""} == {**answers[0], "input": ""}
    assert document(capsys, "evaluate", folder / name)["metrics"] == done["metrics"]["test"]
