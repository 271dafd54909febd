"""How commands end for programs that call them: a document for a mistake, shut streams, the library's words."""

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path

import pytest

from netwright.cli.main import main
from netwright.core import catalogs, errors, messages

_RUN = f"{sys.executable} -m netwright"


def _said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(list(words))
    return (code, *capsys.readouterr())


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETWRIGHT_LANG", "zh")


def test_a_mistake_is_a_document_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("data: digits\ntrain: {epochs: 0}\noptimizer: {lr: -1}\n")
    code, out, error = _said(capsys, "check", str(config), "--json")
    told = json.loads(out)
    assert code == told["exit_code"] == 2 and told["error"] in error.replace("error: ", "")
    assert {(one["path"], one["line"]) for one in told["problems"]} == {("train.epochs", 2), ("optimizer.lr", 3)}


@pytest.mark.parametrize("words", [["frob", "--json"], ["train", "--frob", "--json"], ["train", "--json"]])
def test_so_is_a_mistake_of_the_command_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _said(capsys, *words)
    assert code == json.loads(out)["exit_code"] == 2


@pytest.mark.parametrize("verb", ["init", "compress", "transcribe"])
def test_verbs_that_are_still_to_come_say_so(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, error = _said(capsys, verb, "x")
    assert (code, out) == (2, "") and f"{verb} comes with a later version" in error


@pytest.mark.parametrize(
    "words", [["frob"], ["train", "--frob"], ["train", "--out"], ["evaluate"], ["train", "a", "b"],
              ["doctor", "x", "--budget", "much"], ["doctor", "x", "--budget", "0"], ["models", "--json=3"]],
)  # fmt: skip
def test_the_command_line_is_explained_in_chinese(
    words: list[str], chinese: None, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, error = _said(capsys, *words)
    told = error.removeprefix(messages.say("error") + ":").partition("See:")[0].partition("参见")[0]
    assert code == 2 and any("\u4e00" <= letter <= "\u9fff" for letter in told)


def test_help_is_framed_in_chinese(chinese: None, capsys: pytest.CaptureFixture[str]) -> None:
    pages = [_said(capsys, *words, "--help")[1] for words in ([], ["train"], ["data"], ["data", "describe"])]
    assert not [page for page in pages if "Options:" in page or "Usage:" in page or "Show this" in page]


@pytest.mark.parametrize(
    ("line", "code"),
    [("--help >&-", 0), ("--help > /dev/full", 5), ("frob 2>&-", 2), ("frob 2> /dev/full", 2), ("frob >&- 2>&-", 2)],
)
def test_streams_that_are_shut_or_full(line: str, code: int) -> None:
    done = subprocess.run(["bash", "-c", f"{_RUN} {line}"], capture_output=True, text=True, check=False)
    assert done.returncode == code and "Traceback" not in done.stderr and "ignored" not in done.stderr


def test_an_entry_point_that_cannot_be_imported_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = importlib.metadata.EntryPoint("mine", "no_such_package:Net", "netwright.tests")
    catalog = catalogs.Catalog("model", {}, "netwright.tests")
    monkeypatch.setattr(catalog, "_extensions", lambda: {"mine": broken})
    with pytest.raises(errors.ConfigError, match=r"'mine' cannot be imported.*no_such_package"):
        catalog.load("mine")


def test_no_bar_is_drawn_into_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import sys, types; from netwright.training.hooks.progress import ProgressBar; bar = ProgressBar(1);"
        "bar.start(types.SimpleNamespace(progress=types.SimpleNamespace(step=0), total_steps=9)); bar.close(None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"FORCE_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


def test_fix_keeps_what_is_the_users(tmp_path: Path) -> None:
    """Line ends, a link, and who may read the file."""
    config, link = tmp_path / "c.yaml", tmp_path / "link.yaml"
    config.write_bytes(
        b"data: digits\r\nmodel:\r\n  layers:\r\n    - flatten\r\n    - {linear: 10}\r\n    - softmax\r\n"
    )
    config.chmod(0o600)
    link.symlink_to(config)
    assert main(["check", str(link), "--fix"]) == 0
    text = config.read_bytes()
    assert link.is_symlink() and b"softmax" not in text and text.count(b"\r\n") == text.count(b"\n") == 5
    assert config.stat().st_mode & 0o777 == 0o600


def test_code_of_the_users_predicts_only_with_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A module beside the user is found, as `python` would find it."""
    (tmp_path / "own_endings.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, in_channels: int, image_size: int, num_classes: int) -> None:\n"
        "        super().__init__(nn.Flatten(), nn.Linear(in_channels * image_size**2, num_classes))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    settings = ["--set", "data=digits", "--set", "model.name=own_endings:Net", "--set", "train.epochs=1"]
    (tmp_path / "c.yaml").write_text("data: digits\n")
    assert main(["train", "c.yaml", *settings, "--out", "run", "--quiet", "--trust"]) == 0
    for words in (["predict", "run", "no.png"], ["evaluate", "run"]):
        code, _, error = _said(capsys, *words)
        assert code == 2 and "add --trust" in error
    assert _said(capsys, "evaluate", "run", "--trust")[0] == 0
    assert _said(capsys, "predict", "run", "no.png", "--trust")[0] == 3  # the model is there, the picture is not


@pytest.mark.parametrize("name", ["bad.parquet", "bad.csv", "bad.jsonl"])
def test_files_that_cannot_be_read_are_no_bug(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("data: iris\ntrain: {epochs: 1}\n")
    if not (tmp_path / "run").exists():
        assert main(["train", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "run"), "--quiet"]) == 0
    (tmp_path / name).write_bytes({"bad.csv": b"", "bad.jsonl": b"5\n"}.get(name, b"PAR1junk"))
    code, out, error = _said(capsys, "predict", str(tmp_path / "run"), str(tmp_path / name))
    assert (code, out) == (3, "") and name in error and "bug" not in error


@pytest.mark.parametrize("how", ["", "try:\n    {0}\nexcept BaseException:\n    raise ImportError"])
def test_ctrl_c_during_the_imports_is_one_line(how: str, tmp_path: Path) -> None:
    """As a user in a hurry does; some libraries make another error of it, or end the process."""
    slow = "(os.kill(os.getpid(), signal.SIGINT), time.sleep(9))"
    (tmp_path / "typer.py").write_text(f"import os, signal, time\n{how.format(slow) or slow}\n")
    paths = os.environ | {"PYTHONPATH": str(tmp_path), "NETWRIGHT_LANG": "en"}
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # also where tests run in the background
    words = [*_RUN.split(), "models"]
    done = subprocess.run(words, env=paths, capture_output=True, text=True, check=False, preexec_fn=heard)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: interrupted\n")


def test_the_command_is_installed_with_that_care() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"netwright": "netwright.__main__:main"}


@pytest.mark.parametrize("setting", ["wrong.path=1", "train.epoch=3", "model.nrom=batch", "model.norm"])
def test_explain_tells_a_wrong_setting_as_train_does(
    setting: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yaml").write_text("data: digits\nmodel: lenet5\n")
    code, _, error = _said(capsys, "train", str(tmp_path / "c.yaml"), "--set", setting)
    assert code == 2 and setting.partition(".")[0] in error
    assert _said(capsys, "explain", "lenet5", "--set", setting) == (2, "", error)
    assert _said(capsys, "explain", str(tmp_path / "c.yaml"), "--set", setting) == (2, "", error)


def test_explain_takes_what_is_set(capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"mlp": "data=digits", "lenet5": "model=mlp", "lenet": "train.epochs=3"}
    told = [_said(capsys, "explain", name, "--set", setting, "--json") for name, setting in settings.items()]
    assert [json.loads(out)["input_shape"] for _, out, _ in told] == [[1, 8, 8], [784], [1, 28, 28]]


def test_code_of_the_users_is_explained_and_writes_only_with_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own_writer.py").write_text(
        "from netwright.models import build\n"
        "def net(vocab_size: int = 20):\n"
        "    return build('lstm_lm', vocab_size=vocab_size, num_layers=1, hidden_size=8, context=16)\n"
    )
    (tmp_path / "t.txt").write_text("the cat sat on the mat\n" * 40)
    (tmp_path / "c.yaml").write_text("data: {path: t.txt}\nmodel: own_writer:net\ntrain: {epochs: 1, batch_size: 8}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    assert main(["train", "c.yaml", "--out", "run", "--quiet", "--trust"]) == 0
    verbs = (["generate", "run", "--prompt", "the", "--max-new-tokens", "3"], ["explain", "c.yaml"])
    for words in (*verbs, ["explain", "own_writer:net"]):
        code, _, error = _said(capsys, *words)
        assert code == 2 and "add --trust" in error, words
    for words in verbs:
        code, out, error = _said(capsys, *words, "--trust")
        assert code == 0 and out, error
