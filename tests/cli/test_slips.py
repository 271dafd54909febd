"""Slips of a first day: a setting in the wrong section or under another library's name, arrays of several rows."""

from pathlib import Path

import numpy as np
import pytest

from netwright.cli.main import main
from netwright.core.errors import ConfigError
from netwright.experiment.config import load_config

CONFIG = "data: {{path: {file}}}\nmodel: {{name: mlp, hidden: [4]}}\ntrain: {{epochs: 1, batch_size: 32}}\n"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.lr=0.1", "train.lr is not a known setting; did you mean optimizer.lr?"),
        ("optimizer.epochs=3", "optimizer.epochs is not a known setting; did you mean train.epochs?"),
        ("lr=0.1", "lr is no section; it belongs into one: optimizer.lr"),
        ("optimizer.learning_rate=0.1", "optimizer.learning_rate is not a known setting; did you mean lr?"),
        ("doctor=on", "doctor='on' is not one of off, advise or repair"),
        ("train.precision=fp16", "train.precision='fp16' is not one of auto, float32 or bf16; did you mean bf16?"),
    ],
)
def test_it_is_told_where_a_setting_belongs(override: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({"data": "digits"}, [override])
    assert str(caught.value) == said


def test_a_file_of_several_arrays_gets_an_answer_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
    np.savez(tmp_path / "all.npz", x=x, y=(x[:, 0] > 0).astype("int64"))
    np.save(tmp_path / "rows.npy", x[:3])
    np.save(tmp_path / "row.npy", x[0])
    np.savez(tmp_path / "other.npz", a=x, b=x)
    config, run = tmp_path / "c.yaml", tmp_path / "run"
    config.write_text(CONFIG.format(file=tmp_path / "all.npz"))
    missed = ["--set", "expect={accuracy: 2}", "--quiet"]
    assert main(["train", str(config), "--out", str(run), *missed]) == 1
    assert "expected accuracy 2.0, got " in (err := capsys.readouterr().err) and len(err.rsplit("got ")[1].strip()) == 6
    assert main(["predict", str(run), *(str(tmp_path / name) for name in ("rows.npy", "all.npz", "row.npy"))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 + 60 + 1 and "rows.npy row 2" in lines[2] and "all.npz row 0" in lines[3]
    assert main(["predict", str(run), str(tmp_path / "other.npz")]) == 3
    assert "has no array 'x'; known: a, b" in capsys.readouterr().err


def test_texts_in_folders_are_described_like_those_in_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label, words in (("good", "fine lovely great happy"), ("bad", "awful poor sad broken")):
        (tmp_path / label).mkdir()
        for number, word in enumerate(words.split() * 5):
            (tmp_path / label / f"{number}.txt").write_text(f"it was {word}")
    assert main(["data", "describe", str(tmp_path)]) == 0
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["kind", "text"] in told and ["text", "text", "0", "8", "0"] in told
