"""The same mistakes through the command: the exit code, one line on stderr, no traceback, on stdout at most JSON."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from malformed_case import config_text
from malformed_yaml import MODULES

GOOD = "good.yaml"
FILES = {
    GOOD: config_text(""),
    "lr.yaml": config_text("optimizer: {lr: -1}\ntrain: {epochs: 0}"),
    "broken.yaml": "data: [table.csv\n",
    "empty.yaml": "",
    "latin.yaml": "# für\ndata: a\n",
    "target.yaml": config_text("data: {path: table.csv, target: lable}"),
    "gone.yaml": config_text("data: {path: gone.csv, target: label}"),
    "lenet.yaml": config_text("model: lenet5"),
    "python.yaml": config_text("model: 'own_module:Net'"),
}


@dataclass(frozen=True)
class Command:
    """A command line, the exit code it must leave with, and what it must say."""

    line: str
    code: int
    pattern: str


COMMANDS = [
    Command("train lr.yaml", 2, r"lr\.yaml:4: optimizer\.lr=-1.*\n.*lr\.yaml:3: train\.epochs=0|epochs=0.*\n.*lr=-1"),
    Command("train lr.yaml --json", 2, r"optimizer\.lr=-1"),
    Command("train broken.yaml", 2, r"broken\.yaml:2: not valid YAML"),
    Command("train empty.yaml", 2, r"empty\.yaml holds nothing"),
    Command("train latin.yaml", 2, r"latin\.yaml is not UTF-8 text"),
    Command("train no.yaml", 2, r"no\.yaml is neither a file nor a gallery example"),
    Command("train", 2, r"give a config"),
    Command("train good.yaml --set train.epochs", 2, r"--set train\.epochs does not fit; expected path=value"),
    Command("train good.yaml --set train.device=gpu", 2, r"train\.device='gpu' is not on this machine"),
    Command("train good.yaml --frobnicate", 2, r"(?i)no such option.*--frobnicate"),
    Command("train python.yaml", 2, r"names Python code; add --trust"),
    Command("train lenet.yaml --out out", 2, r"lenet\.yaml:2: model lenet5 is for other data.*use mlp"),
    Command("train target.yaml --out out", 3, r"no column 'lable'; did you mean label\?"),
    Command("train gone.yaml --out out", 3, r"gone\.csv does not exist"),
    Command("train good.yaml --out table.csv", 5, r"table\.csv is a file; choose another folder"),
    Command("train good.yaml --out run", 2, r"run holds a run already; go on with --resume run"),
    Command("train --resume photos", 4, r"photos holds no run to resume"),
    Command("check lr.yaml", 2, r"optimizer\.lr=-1"),
    Command("check gone.yaml", 3, r"gone\.csv does not exist"),
    Command("explain resnet9000", 2, r"resnet9000"),
    Command("predict photos x.png", 4, r"photos holds no model"),
    Command("predict run no.csv", 3, r"no\.csv is neither a file nor a row as JSON"),
    Command("evaluate photos", 4, r"photos.*does not exist; is this the folder of a run"),
    Command("data describe gone.csv", 3, r"gone\.csv does not exist"),
    Command("data describe dgits", 2, r"dgits.*did you mean digits\?"),
    Command("frobnicate", 2, r"(?i)no such command.*frobnicate"),
]


@pytest.fixture(scope="module")
def place(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commands")
    for entry in world.iterdir():
        (folder / entry.name).symlink_to(entry)
    for name, content in FILES.items():
        (folder / name).write_bytes(content.encode("latin-1"))
    for name, content in MODULES.items():
        (folder / name).write_text(content)
    return folder


@pytest.fixture(scope="module")
def results(place: Path) -> dict[str, tuple[int, str, str]]:
    """What became of every command, each run in its own process."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("cli_forks.py"))],
        input=json.dumps([command.line.split() for command in COMMANDS]),
        cwd=place, env=os.environ | {"NETWRIGHT_LANG": "en"}, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    return dict(zip([command.line for command in COMMANDS], json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("command", COMMANDS, ids=[command.line for command in COMMANDS])
def test_a_command_says_what_is_wrong(command: Command, results: dict[str, tuple[int, str, str]], place: Path) -> None:
    code, out, error = results[command.line]
    assert code == command.code, error
    assert re.search(command.pattern, error), error
    assert "Traceback" not in error and "bug" not in error
    assert (json.loads(out)["exit_code"] == code) if "--json" in command.line else (out.strip() == ""), out
    assert not (place / "out").exists()
    assert not (place / "runs").exists()


def test_the_installed_command_agrees(place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "netwright", "train", "target.yaml", "--out", "out"],
        cwd=place, env=os.environ | {"NETWRIGHT_LANG": "en"}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert re.search(r"no column 'lable'; did you mean label\?", done.stderr)
    assert "Traceback" not in done.stderr
