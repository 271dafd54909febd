"""A repair that is stopped: the run stays as it was, its folder is free, and the next repair goes on."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netwright.core.records import RunLock, read_json, write_json
from netwright.experiment.doctor import repairing
from netwright.experiment.doctor.attempts import Patient
from netwright.experiment.doctor.repairing import repair
from netwright.experiment.run import train

SLOW: dict[str, Any] = {
    "data": "digits", "model": {"name": "mlp", "hidden": [32]}, "optimizer": {"name": "adam", "lr": 3e-6},
    "train": {"epochs": 2, "batch_size": 64, "threads": 1, "checkpoint_every": 20},
}  # fmt: skip
PLAN = {"fault": "lr-too-low", "change": "lr*1000", "patch": {"optimizer.lr": 3e-3, "train.epochs": 80}}


def digests(run: Path) -> dict[str, str]:
    """Of everything that a run is, without what its repair writes beside it."""
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and "repairs" not in path.relative_to(run).parts]
    beside = {"repairs.json", ".lock", "report.html"}
    return {str(p.relative_to(run)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files if p.name not in beside}


def begun(run: Path) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", "from netwright.cli.main import main; import sys; sys.exit(main(sys.argv[1:]))"]
    words += ["doctor", str(run), "--repair", "--budget", "5"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def under_way(process: subprocess.Popen[str], run: Path, since: set[str]) -> set[str]:
    """Wait for a new checkpoint of the first attempt."""
    folder, end = run / "repairs" / "1" / "checkpoints", time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        there = {path.name for path in folder.glob("*")} if folder.is_dir() else set()
        if there - since:
            return there
        time.sleep(0.02)
    raise AssertionError(f"the attempt did not begin: {process.returncode}")


@pytest.mark.slow
def test_terminated_and_killed_and_gone_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train(SLOW, tmp_path / "run", quiet=True).folder
    plan = {"base": 0, "queue": [PLAN], "tried": []}
    write_json(run / "repairs.json", {"attempts": [], "kept": "original", "verdict": "", "plan": plan})
    before, seen = digests(run), set[str]()
    for sent, code in ((signal.SIGTERM, 75), (signal.SIGKILL, -signal.SIGKILL)):
        for process in begun(run):
            seen = under_way(process, run, seen)
            process.send_signal(sent)
            _, said = process.communicate(timeout=120)
            assert process.returncode == code, said
            assert code != 75 or f"netwright doctor {run} --repair" in said
        assert digests(run) == before
        assert read_json(run / "repairs.json")["plan"] == plan
        RunLock(run).release()  # nobody holds it any more
    monkeypatch.setattr(repairing, "_still", lambda *_: [])
    done = repair(Patient(run, quiet=True))
    assert done.succeeded and len(done.attempts) == 1
    record = (run / "repairs" / "1" / "metrics.jsonl").read_text().splitlines()
    steps = [line["step"] for line in map(json.loads, record) if line["kind"] == "validation"]
    assert steps == sorted(set(steps)) and len(steps) == 80


def test_an_attempt_that_fails_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    run = train(SLOW, tmp_path / "run", quiet=True).folder
    worse = {"fault": "lr-too-high", "change": "lr/10", "patch": {"optimizer.lr": 3e-7}}
    plan = {"base": 0, "queue": [worse], "tried": []}
    write_json(run / "repairs.json", {"attempts": [], "kept": "original", "verdict": "", "plan": plan})
    before = digests(run)
    done = repair(Patient(run, quiet=True))
    assert digests(run) == before and not done.succeeded
    (told,) = read_json(run / "repairs.json")["attempts"]
    assert told["held"] is False and "+optimizer" in told["diff"] and told["after"]["accuracy"] < 0.5
