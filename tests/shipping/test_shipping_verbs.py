"""`export` and `serve` from the command line: a run of real data, one JSON document, exit codes, a server that ends."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import netwright as nw
from netwright.cli.main import main

CONFIG = """
data: digits
model: {name: mlp, hidden: [16]}
train: {epochs: 1, batch_size: 64, precision: float32, threads: 1}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shipping")
    (folder / "digits.yaml").write_text(CONFIG)
    assert main(["train", str(folder / "digits.yaml"), "--out", str(folder / "run"), "--quiet"]) == 0
    return folder / "run"


def _said(capsys: pytest.CaptureFixture[str], *words: Any) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main([*map(str, words)])
    return code, *capsys.readouterr()


def test_export_tries_the_file_on_the_runs_own_data(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = _said(capsys, "export", run, "--format", "torch", "--json")
    told = json.loads(out)
    assert code == 0, err
    assert told["file"] == str(run / "model.pt2") and (run / "model.pt2").is_file()
    assert told["verified"]["on"] == "validation" and told["verified"]["batches"] == [1, 5, 2]
    assert told["data"] == "digits" and told["licence"] and told["figures"]["test"]["accuracy"] > 0.1
    assert json.loads((run / "model.pt2.json").read_text("utf-8"))["classes"] == [str(k) for k in range(10)]
    pixels = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8)
    shares = torch.export.load(run / "model.pt2").module()(pixels).softmax(1)[0].tolist()
    said = nw.load(run)(pixels[0].numpy())[0]["probabilities"]
    assert list(said.values()) == pytest.approx(shares, abs=1e-6)


def test_export_refuses_in_a_line(run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "m.pt2"
    assert _said(capsys, "export", run / "model", "--format", "torch", "--out", file)[0] == 0
    assert "differs from the network" in _said(capsys, "export", run, "--format", "torch", "--out", file, "--force")[1]
    for words, code in (
        ((run, "--format", "torch", "--out", file), 2), ((tmp_path,), 4), ((run, "--format", "tf"), 2),
        ((run, "--out", tmp_path / "m.txt"), 2), ((run, "--format", "torch", "--out", file / "x.pt2"), 5),
    ):  # fmt: skip
        got, out, err = _said(capsys, "export", *words)
        assert got == code and out == "" and err.count("\n") == 1, err


@pytest.fixture
def server(run: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "netwright", "serve", str(run), "--port", "0", "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    url = json.loads(process.stdout.readline())["url"]
    yield process, url
    if process.poll() is None:
        process.kill()
    process.wait()


def _ask(url: str, body: bytes, kind: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, body, {"content-type": kind}), timeout=30) as reply:
        return json.loads(reply.read())


def test_a_server_answers_as_predict_does_and_ends_with_ctrl_c(
    server: tuple[subprocess.Popen[str], str], run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process, url = server
    Image.linear_gradient("L").resize((20, 30)).save(tmp_path / "x.png")
    content = (tmp_path / "x.png").read_bytes()
    (predicted,) = json.loads(_said(capsys, "predict", run, tmp_path / "x.png", "--json")[1])
    predicted.pop("input")
    asked = json.dumps({"inputs": [base64.b64encode(content).decode()]}).encode()
    assert _ask(f"{url}/predict", asked, "application/json") == {"answers": [predicted]}
    assert _ask(f"{url}/predict", content, "image/png") == {"answers": [predicted]}
    with pytest.raises(urllib.error.HTTPError) as error:
        _ask(f"{url}/predict", b"{}", "application/json")
    assert error.value.code == 422
    with urllib.request.urlopen(f"{url}/health", timeout=30) as reply:
        assert json.loads(reply.read())["status"] == "ok"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert process.stderr is not None and process.stderr.read() == "error: interrupted\n"


def test_serve_refuses_in_a_line(run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = _said(capsys, "serve", run, "--port", port)
        assert code == 5 and out == "" and f"port {port} cannot be listened at" in err and err.count("\n") == 1
    for words, code in (
        ((tmp_path,), 4), ((run, "--port", "70000"), 2), ((run, "--host", "no.such.host.invalid"), 2),
        ((run, "--host", "203.0.113.7"), 2),
    ):  # fmt: skip
        got, out, err = _said(capsys, "serve", *words)
        assert got == code and out == "" and err.count("\n") == 1, err
