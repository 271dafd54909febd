"""Searches in several processes: one that is killed and goes on, and two that share a store."""

import json
import os
import signal
import sys
import time
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

from tuning_runs import RATE, told, write_yaml

import netwright as nw
from netwright.core.records import read_json

SPACE = "optimizer.lr=1e-5..1e-1:log"


def command(words: list[str], log: str) -> None:
    """In a process of its own: the command line, standard output going to a file."""
    from netwright.cli.main import main

    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT, 0o644), 1)
    sys.exit(main(words))


def start(server: ForkServerContext, config: Path, out: Path, *options: str) -> ForkServerProcess:
    words = ["tune", str(config), "--space", SPACE, "--again", "0", "--quiet", "--json", "--out", str(out), *options]
    process = server.Process(target=command, args=(words, f"{out}.json"))
    process.start()
    return process


def wait_for(path: Path, process: ForkServerProcess) -> None:
    while not path.exists() and process.is_alive():
        time.sleep(0.005)


def said(out: Path) -> dict[str, Any]:
    return json.loads(Path(f"{out}.json").read_text("utf-8"))


def test_a_search_that_is_killed_goes_on_as_if_nothing_had_happened(tmp_path: Path, server: ForkServerContext) -> None:
    config, out = write_yaml(tmp_path), tmp_path / "killed"
    process = start(server, config, out, "--trials", "4")
    wait_for(out / "trials" / "002" / "metrics.jsonl", process)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    done = nw.tune(config, trials=4, space=RATE, out=out, again=0, quiet=True)
    whole = nw.tune(config, trials=4, space=RATE, out=tmp_path / "whole", again=0, quiet=True)
    assert len(done.trials) == 4 and told(done) == told(whole)


def test_two_workers_share_a_store(tmp_path: Path, server: ForkServerContext) -> None:
    config, store = write_yaml(tmp_path), f"sqlite:///{tmp_path}/shared.db"
    outs = [tmp_path / "one", tmp_path / "two"]
    both = [start(server, config, out, "--trials", "6", "--storage", store) for out in outs]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    done = [[folder.name for folder in (out / "trials").iterdir()] for out in outs]
    assert all(done) and sorted(done[0] + done[1]) == [f"{number:03d}" for number in range(6)]  # none was done twice
    statuses = [[trial["status"] for trial in said(out)["trials"]] for out in outs]
    assert min(told.count("running") for told in statuses) == 0 and all(len(told) == 6 for told in statuses)
    assert read_json(outs[0] / "study.json")["worker"] != read_json(outs[1] / "study.json")["worker"]


def test_what_goes_on_is_said_when_a_search_is_stopped(tmp_path: Path, server: ForkServerContext) -> None:
    config, out = write_yaml(tmp_path), tmp_path / "out"
    process = start(server, config, out, "--trials", "3", "--set", "train.epochs=100000")
    wait_for(out / "trials" / "000" / "metrics.jsonl", process)
    os.kill(process.pid or 0, signal.SIGTERM)
    process.join()
    assert process.exitcode == 75 and said(out)["exit_code"] == 75
    words = f"netwright tune {config} --out {out} --set train.epochs=100000 --space optimizer.lr=1e-05..0.1:log"
    assert f"{words} --trials 3" in said(out)["error"]
