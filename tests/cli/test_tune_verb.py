"""`netwright tune` as a user meets it: a table, one JSON document, exit codes, and mistakes all at once."""

import json
from pathlib import Path

import pytest

from netwright.cli.main import main

CONFIG = """\
data: iris
model: {name: mlp, hidden: [8]}
optimizer: {name: adam, lr: 1e-7}
train: {epochs: 4, batch_size: 16, threads: 1}
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "irises.yaml"
    path.write_text(CONFIG, "utf-8")
    return str(path)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["tune", *words])
    return code, *capsys.readouterr()


def test_a_search_ends_in_a_table_a_verdict_and_a_config(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    words = ["--trials", "4", "--space", "optimizer.lr=1e-3..1e-1:log", "--again", "1", "--out", out]
    code, told, log = said(capsys, config, *words)
    assert code == 0
    assert "the config as it is" in told and "is the best of 4" in told and f"{out}/best.yaml" in told
    assert "trial 3" in log and "lr=" in log
    code, told, _ = said(capsys, config, *words, "--json", "--quiet")  # there is nothing left to do
    document = json.loads(told)
    assert code == 0 and [trial["number"] for trial in document["trials"]] == [0, 1, 2, 3]
    assert document["best"]["number"] > 0 and document["gain"] > 0 and len(document["again"]["best"]) == 1
    assert document["config"] == f"{out}/best.yaml" and document["space"] == {"optimizer.lr": [1e-3, 1e-1, "log"]}
    page = Path(out, "report.html")
    page.unlink()
    capsys.readouterr()
    assert main(["report", out]) == 0 and document["verdict"].partition(";")[0][1:] in page.read_text("utf-8")


def test_all_mistakes_of_a_space_are_told_at_once(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spaces = ["optimizer.lrr=0.1..1", "model.dropout=0..3", "train.seed=1..9"]
    words = [word for space in spaces for word in ("--space", space)]
    code, told, log = said(capsys, config, *words, "--json", "--out", str(tmp_path / "out"))
    assert code == 2 and len(json.loads(told)["problems"]) == 3
    assert "did you mean lr?" in log and "model.dropout=3" in log and "tune.train.seed" in log
    assert not (tmp_path / "out").exists()  # nothing was begun, and nothing is left


def test_mistakes_of_the_section_have_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "irises.yaml"
    path.write_text(f"{CONFIG}tune:\n  optimizer.lr: [1, 0.1]\n", "utf-8")
    code, _, log = said(capsys, str(path), "--out", str(tmp_path / "out"))
    assert code == 2 and f"{path}:5: tune.optimizer.lr: a range goes" in log


def test_it_speaks_chinese(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NETWRIGHT_LANG", "zh")
    assert said(capsys, config, "--trials", "1")[0] == 2
    assert said(capsys, config, "--trials", "1")[2].count("原样的配置") == 1


def test_when_nothing_comes_to_a_figure_the_code_tells(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--set", "optimizer={name: sgd, lr: 1e30}", "--space", "optimizer.lr=1e30,1e31"]
    code, told, _ = said(capsys, config, *words, "--trials", "2", "--out", str(tmp_path / "out"))
    assert code == 1 and "no trial came to a figure" in told
