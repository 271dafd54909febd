"""What a malformed case is, and the small world of good files that each of them spoils.

A case makes its files in an empty folder, gives the call that must fail, the exit code, and a pattern that the message
must match: it names the key or the file, and says what to do.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from netwright.experiment.run import train

__all__ = ["GOOD", "Case", "add_runs", "config", "config_text", "data", "make_world"]

Call = Callable[[], object]

GOOD = {
    "data": "{path: table.csv, target: label}",
    "model": "{name: mlp, hidden: [4]}",
    "train": "{epochs: 1, batch_size: 8}",
}


@dataclass(frozen=True)
class Case:
    """`make` writes what is wrong into a folder and gives the call; `code` and `pattern` are what must come of it."""

    name: str
    code: int
    pattern: str
    make: Callable[[Path], Call]


def config(snippet: str, pattern: str, code: int = 2, base: dict[str, str] | None = None, **call: object) -> Case:
    """A config with some sections replaced (`key: text`, a line each; `key: -` takes one away), trained in `out`."""

    def make(folder: Path) -> Call:
        path = folder / "config.yaml"
        path.write_text(config_text(snippet, base))
        return lambda: train(path, out=folder / "out", quiet=True, **call)  # type: ignore[arg-type]

    return Case(" ".join([snippet.replace("\n", " | "), *(f"{k}={v}" for k, v in call.items())]), code, pattern, make)


def config_text(snippet: str, base: dict[str, str] | None = None) -> str:
    """The YAML of a good config with the snippet's sections in place of its own."""
    sections = dict(GOOD if base is None else base)
    for line in snippet.splitlines():
        key, _, value = line.partition(":")
        sections[key] = value.strip()
    return "".join(f"{key}: {value}\n" for key, value in sections.items() if value != "-")


def data(name: str, files: dict[str, str | bytes], section: str, pattern: str, code: int = 3, more: str = "") -> Case:
    """Data files and the `data:` section that names them; what else the config needs stands in `more`."""

    def make(folder: Path) -> Call:
        for place, content in files.items():
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path = folder / "config.yaml"
        path.write_text(config_text(f"data: {section}\n{more}"))
        return lambda: train(path, out=folder / "out", quiet=True)

    return Case(name, code, pattern, make)


def make_world(folder: Path) -> Path:
    """Good data of every kind: `table.csv`, `prices.csv`, `photos/`, `story.txt`."""
    with (folder / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["a", "b", "kind", "label"])
        rows.writerows([n * 0.7, (n * n) % 17, "xyz"[n % 3], ("cat", "dog", "owl")[n * 7 % 3]] for n in range(60))
    with (folder / "prices.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["a", "b", "price"])
        rows.writerows([n * 0.7, (n * n) % 17, n * 3.25 + 1] for n in range(60))
    for label, tone in (("cats", 40), ("dogs", 120), ("owls", 200)):
        (folder / "photos" / label).mkdir(parents=True)
        for n in range(8):
            Image.new("L", (16, 16), tone + n).save(folder / "photos" / label / f"{n}.png")
    (folder / "story.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 40)
    return folder


def add_runs(world: Path) -> None:
    """Two finished runs beside the data: `run` on the table, `photo-run` on the pictures."""
    table = {"data": {"path": str(world / "table.csv"), "target": "label"}, "model": {"name": "mlp", "hidden": [4]}}
    for name, sections in {"run": table, "photo-run": {"data": str(world / "photos"), "model": "lenet5"}}.items():
        train({**sections, "train": {"epochs": 1, "batch_size": 8}, "doctor": "off"}, out=world / name, quiet=True)
