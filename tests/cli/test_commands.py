"""The command line as a user meets it: quick help, one JSON document, exit codes, and a run from data to prediction."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from netwright.cli.main import main

CONFIG = """
data: digits
model: {name: mlp, hidden: [32]}
optimizer: {name: adam, lr: 0.01}
train: {epochs: 6, batch_size: 64, precision: float32}
"""


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command."""
    capsys.readouterr()
    code = main([str(word) for word in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The one JSON document that `--json` prints."""
    code, out, _ = said(capsys, *arguments, "--json")
    assert code == 0
    return json.loads(out)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a small network."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "digits.yaml").write_text(CONFIG)
    assert main(["train", str(folder / "digits.yaml"), "--out", str(folder / "run"), "--quiet"]) == 0
    return folder / "run"


def test_help_needs_no_torch_and_is_quick() -> None:
    code = (
        "import sys; from netwright.cli.main import main; main(['--help']); print([m for m in sys.modules if m in "
        "('torch', 'pydantic', 'numpy')], file=sys.stderr)"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]" and "train" in done.stdout
    assert time.monotonic() - began < 3  # the real figure is a tenth of it; this only catches an import gone heavy


def test_importing_the_package_imports_no_torch() -> None:
    code = "import netwright, sys; assert 'torch' not in sys.modules; assert 'fit' in dir(netwright)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_folder_holds_what_it_promises(run: Path) -> None:
    promised = ["config.yaml", "environment.json", "split.json", "metrics.jsonl", "findings.jsonl", "architecture.json",
                "checkpoints/last", "checkpoints/best", "model/config.json", "model/model.safetensors",
                "model/preprocessor.json", "report.html"]  # fmt: skip
    assert [name for name in promised if not (run / name).exists()] == []


def test_train_json_is_the_promised_document(tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Path) -> None:
    got = document(capsys, "train", run.parent / "digits.yaml", "--out", tmp_path / "r", "--set", "train.epochs=1")
    assert {"run", "model", "metrics", "findings", "seconds"} <= got.keys()
    assert set(got["metrics"]) == {"train", "validation", "test"}
    assert 0 < got["metrics"]["test"]["accuracy"] <= 1


def test_the_test_set_is_opened_once_and_later_looks_are_counted(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads((run / "split.json").read_text())["test_looks"] == 1
    first = document(capsys, "evaluate", run)
    assert first["test_looks"] == 2
    assert first["metrics"]["accuracy"] == json.loads((run / "summary.json").read_text())["metrics"]["test"]["accuracy"]


def test_predict_gives_a_line_an_input(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("L", (8, 8), 40).save(tmp_path / "a.png")
    code, out, _ = said(capsys, "predict", run / "model", tmp_path / "a.png", tmp_path / "a.png")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and len(lines) == 2
    assert lines[0]["label"] in [str(n) for n in range(10)] and 0 < lines[0]["probability"] <= 1


def test_report_is_written_again(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "report.html").unlink()
    code, out, _ = said(capsys, "report", run)
    assert code == 0 and "report.html" in out and (run / "report.html").exists()


def test_resume_of_a_finished_run_says_so_and_changes_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "model" / "model.safetensors").read_bytes()
    code, _, err = said(capsys, "train", "--resume", run)
    assert code == 0 and "finished already" in err
    assert (run / "model" / "model.safetensors").read_bytes() == before


def test_models_explain_and_data(capsys: pytest.CaptureFixture[str], run: Path) -> None:
    assert {"mlp", "lenet5", "gpt", "gan", "dqn"} <= {row["name"] for row in document(capsys, "models")}
    assert {row["kin"] for row in document(capsys, "models", "mobile", "depthwise")} >= {"mobilenet_v1"}
    code, out, _ = said(capsys, "models", "--family", "vision")
    assert code == 0 and "\nlenet5 (vision" in f"\n{out}" and "61,706" in out and "gpt" not in out
    headings = said(capsys, "models")[1]
    assert "\nbert (language, text-classification, " in headings and "question-answering): Devlin et al." in headings
    assert "\nlstm (sequence, text-classification, forecasting, language-modeling): Hochreiter" in headings
    explained = document(capsys, "explain", "lenet5")
    assert explained["parameters"] == 61_706
    assert [stage["name"] for stage in explained["stages"]][:2] == ["conv1", "pool1"]
    assert document(capsys, "explain", "lenet5", "--set", "model.norm=batch")["parameters"] == 61_728
    assert "tanh" in said(capsys, "explain", "lenet5", "--layers")[1].lower()
    assert document(capsys, "explain", "lenet5", "--input", "3x32x32")["parameters"] == 62_006
    assert document(capsys, "explain", run.parent / "digits.yaml")["output_shape"] == [10]
    assert any("digits" in str(row) for row in document(capsys, "data", "list"))
    assert document(capsys, "data", "describe", "digits")


def test_check_finds_fixes_and_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("data: digits\nmodel:\n  layers:\n    - flatten\n    - {linear: 10}\n    - softmax  # a slip\n")
    code, out, _ = said(capsys, "check", config, "--json")
    assert code == 1 and "double-softmax" in {finding["fault"] for finding in json.loads(out)["findings"]}
    code, out, _ = said(capsys, "check", config, "--fix")
    assert code == 0 and "-    - softmax  # a slip" in out and "softmax" not in config.read_text()


def test_a_missed_figure_is_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Path) -> None:
    settings = ("--set", "train.epochs=1", "--set", "expect.accuracy=1.0")
    code, _, err = said(capsys, "train", run.parent / "digits.yaml", "--out", tmp_path / "r", *settings)
    assert code == 1 and "expected accuracy" in err


def test_generate_goes_on_with_a_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        "data: glosses\nmodel: {name: gpt, context: 16, num_layers: 1, num_heads: 2, hidden_size: 16}\n"
        "train: {epochs: 1, steps: 5, batch_size: 16}\n"
    )
    assert main(["train", str(config), "--out", str(tmp_path / "r"), "--quiet"]) == 0
    how = ("generate", tmp_path / "r", "--prompt", "a kind of", "--temperature", "0", "--max-new-tokens", "40")
    code, out, _ = said(capsys, *how)
    assert code == 0 and out.startswith("a kind of") and len(out) > 30
    code, told, _ = said(capsys, *how, "--stop", out[15:17], "--json")
    whole, written = out.removesuffix("\n"), json.loads(told)
    place = whole.index(out[15:17], len("a kind of"))
    assert code == 0 and written["text"] == whole[:place] == "a kind of" + written["continuation"]
    code, searched, _ = said(capsys, *how, "--num-beams", "3")
    assert code == 0 and searched.startswith("a kind of")
    code, out, err = said(capsys, *how, "--num-beams", "3", "--top-k", "5")
    assert code == 2 and "draws nothing" in err and not out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["train", "no-such-example"], 2),
        (["train"], 2),
        (["explain", "lenet6"], 2),
        (["models", "no-such-word"], 2),
        (["predict", "nowhere", "x.png"], 4),
        (["data", "describe", "nowhere.csv"], 3),
        (["frobnicate"], 2),
        (["train", "--frob"], 2),
    ],
)
def test_errors_have_their_code_and_one_line(words: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    got, out, err = said(capsys, *words)
    assert (got, out) == (code, "") and "Traceback" not in err and len(err.strip().splitlines()) <= 2


def test_messages_come_in_chinese(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from netwright.core import messages

    monkeypatch.setenv("NETWRIGHT_LANG", "en")  # what --lang leaves behind is taken back

    try:
        code, _, err = said(capsys, "--lang", "zh", "train", "no-such-example")
    finally:
        messages.set_language(None)
    assert code == 2 and any("\u4e00" <= sign <= "\u9fff" for sign in err)
