"""`netwright doctor`: verdict first, one JSON document on demand, and the exit code of what stands."""

import json
from pathlib import Path
from typing import Any

import pytest

from netwright.cli.main import main

_SLOW = """\
data: digits
model: {name: mlp, hidden: [16]}
optimizer: {name: adam, lr: 3.0e-6}
train: {epochs: 3, batch_size: 64, threads: 1}
"""


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    path = tmp_path / "slow.yaml"
    path.write_text(_SLOW)
    return path


def test_a_faulty_config_is_named_with_proof(slow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "doctor", slow, "--budget", 60)
    assert code == 1
    assert out.splitlines()[0] == "The likeliest cause is lr-too-low, proved."
    assert "evidence" in out and "unchanged" in out and "▁" in out


def test_a_healthy_config_has_nothing_to_fear(slow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "doctor", slow, "--budget", 60, "--json", "--set", "optimizer.lr=0.003")
    told: dict[str, Any] = json.loads(out)
    assert code == 0 and told["ok"] and not [one for one in told["findings"] if one["severity"] == "error"]
    assert {"subject", "verdict", "findings", "probed", "seconds", "note"} <= set(told)


def test_a_run_is_diagnosed_and_repaired(slow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = slow.parent / "run"
    assert said(capsys, "train", slow, "--out", folder, "--quiet")[0] == 0
    code, out, _ = said(capsys, "doctor", folder, "--budget", 60, "--json")
    assert code == 1 and json.loads(out)["findings"][0]["fault"] == "lr-too-low"
    kept = [json.loads(line) for line in (folder / "findings.jsonl").read_text().splitlines()]
    assert kept == json.loads(out)["findings"]
    code, out, _ = said(capsys, "doctor", folder, "--repair", "--budget", 60, "--json")
    told = json.loads(out)
    assert code == 0 and told["repairs"]["kept"] != "original"
    code, out, _ = said(capsys, "doctor", folder, "--repair")
    assert code == 0 and "repaired by attempt" in out


def test_what_is_no_run_and_no_config_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, "doctor", tmp_path / "nothing")
    assert code == 2 and "nothing" in err
