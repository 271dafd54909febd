"""What the benchmarks share: a measurement is a process of its own, and contenders take turns."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import torch

from netwright.core.devices import describe_machine

__all__ = ["Contender", "answer", "counted", "in_turns", "machine", "measured", "timed", "turns"]

HERE = Path(__file__).resolve().parent
T = TypeVar("T")


def measured(script: str, *words: str) -> dict[str, Any]:
    """Run `script` of this folder in a fresh process; the JSON of its last line."""
    done = subprocess.run([sys.executable, str(HERE / script), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{script} {' '.join(words)} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class Contender:
    """A process that takes steps when it is told to, so that two with memory settings of their own can take turns.

    It says something of itself in one line when it is ready, and then serves `answer`.
    """

    def __init__(self, script: str, *words: str) -> None:
        self.line = " ".join((script, *words))
        command = [sys.executable, str(HERE / script), *words]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about: dict[str, Any] = self._said()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def steps(self, count: int) -> list[float]:
        """The seconds of each of so many steps, or of one in the mean, after one that warms up."""
        self._tell(str(count))
        found: list[float] = self._said()
        return found

    def go_on(self) -> None:
        """To the next kind of step."""
        self._tell("next")

    def _tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def _said(self) -> Any:
        assert self.process.stdout is not None
        if line := self.process.stdout.readline():
            return json.loads(line)
        raise SystemExit(f"{self.line} failed")  # it wrote why to stderr, which is ours


def in_turns(contenders: Mapping[str, Contender], turns_taken: int, burst: float) -> dict[str, list[float]]:
    """The seconds of a step in each turn, by name; a turn is of as many steps as take about `burst` seconds."""
    counts = {name: max(1, round(burst / statistics.median(one.steps(1)))) for name, one in contenders.items()}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(turns_taken):
        for name in turns(list(contenders), turn):
            times[name].append(statistics.median(contenders[name].steps(counts[name])))
    return times


def answer(step: Callable[[], object]) -> None:
    """In a contender: for each line with a number, that many timed steps after one that warms up; until "next"."""
    for line in iter(sys.stdin.readline, "next\n"):
        step()
        print(json.dumps([timed(step) for _ in range(int(line))]), flush=True)


def timed(step: Callable[[], object]) -> float:
    """Seconds of one step."""
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def turns(names: Sequence[T], turn: int) -> list[T]:
    """All names, another one first each turn, so that a machine that slows down does so for all."""
    return [names[(turn + place) % len(names)] for place in range(len(names))]


def counted(count: int, what: str) -> str:
    """The number with its word: 1 round, 2 rounds."""
    return f"{count} {what}" + "s" * (count != 1)


def machine() -> str:
    """The machine in one line."""
    known = describe_machine(torch.device("cpu"))
    return f"{known['cpu']}, {counted(known['threads'], 'thread')}, Python {known['python']}, PyTorch {known['torch']}"
