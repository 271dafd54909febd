"""Run every example of the gallery, and write docs/gallery.md with what it measured.

    python tools/gallery.py [NAME ...]

Each example is one `netwright train NAME --json`, as a user runs it. The figures on the page come from the runs' own
folders (runs/gallery/), so that a page can be written again without training: `--write`.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from netwright.metrics import direction

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "gallery"
PAGE = ROOT / "docs" / "gallery.md"


def main() -> int:
    """Run what is asked for, then write the page from all runs that are there; 1 when a figure was missed."""
    names = [path.stem for path in sorted((ROOT / "examples").glob("*.yaml"), key=_after_its_teacher)]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names)}; all by default")
    parser.add_argument(
        "--write", action="store_true", help="write the page from the runs that are there; train nothing"
    )
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(names):
        parser.error(f"no example is called {', '.join(sorted(unknown))}")
    missed = [] if chosen.write else [name for name in chosen.names or names if not _run(name)]
    done = [name for name in names if _finished(RUNS / name / "summary.json")]
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(_page([_read(name) for name in done]), "utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {len(done)} of {len(names)} examples; missed: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


def _after_its_teacher(path: Path) -> tuple[bool, str]:
    """By name, but students last: they learn from the runs of other examples."""
    return "distill:" in path.read_text("utf-8"), path.stem


def _run(name: str) -> bool:
    """Train one example in a folder of its own; whether it reached what it promises."""
    folder = RUNS / name
    shutil.rmtree(folder, ignore_errors=True)
    print(f"== {name}", flush=True)
    command = [sys.executable, "-m", "netwright", "train", name, "--out", str(folder), "--json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{name} ended with exit code {done.returncode}")
    return done.returncode == 0


def _finished(summary: Path) -> bool:
    return summary.exists() and json.loads(summary.read_text("utf-8"))["status"] == "finished"


def _read(name: str) -> dict[str, Any]:
    folder = RUNS / name
    read = {
        part: json.loads((folder / f"{part}.json").read_text("utf-8")) for part in ("summary", "environment", "split")
    }
    comments = [line[1:].strip() for line in (ROOT / "examples" / f"{name}.yaml").read_text("utf-8").splitlines()
                if line.startswith("#")]  # fmt: skip
    expect = YAML(typ="safe").load((ROOT / "examples" / f"{name}.yaml").read_text("utf-8")).get("expect", {})
    return {"name": name, "about": " ".join(comments), "must": expect, **read}


def _page(runs: list[dict[str, Any]]) -> str:
    machines = sorted({_machine(run["environment"]) for run in runs})
    marks = {machine: f" ({place})" for place, machine in enumerate(machines, 1)} if len(machines) > 1 else {}
    rows = [_row(run, marks.get(_machine(run["environment"]), "")) for run in runs]
    return "\n".join([
        "# Gallery",
        "",
        "Each example is a config in [examples/](../examples): `netwright train NAME`. Written by `make gallery` from",
        "what the runs measured: figures of the sealed test set, opened once, after the weights were chosen on the",
        "validation set.",
        "",
        "| example | network, parameters | data, training examples | figure | must reach | time |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        "Measured on: " + "; ".join(machine + marks.get(machine, "") for machine in machines) + ".",
        "",
        *[line for run in runs for line in (f"**{run['name']}.** {run['about']}", "")],
    ])  # fmt: skip


def _row(run: dict[str, Any], mark: str) -> str:
    """A row; `mark` says on which of several machines its time was measured."""
    summary, sizes = run["summary"], run["split"]["sizes"]
    network = f"{summary['model']}, {summary['parameters']:,}"
    data = f"{summary['data']}, {sizes['train']:,}" if sizes.get("train") else summary["data"]
    figures = {name: summary["expect"][name]["got"] for name in run["must"]}
    got = "; ".join(f"{name} {_short(value)}" for name, value in figures.items())
    must = "; ".join(_must(name, figures[name], wanted) for name, wanted in run["must"].items())
    time = _time(summary["seconds"]) + mark
    cells = [f"[{run['name']}](../examples/{run['name']}.yaml)", network, data, got, must, time]
    return f"| {' | '.join(cells)} |"


def _must(name: str, got: float | None, wanted: float) -> str:
    bound = "at most " if direction(name) == "min" else ""
    return f"{bound}{_short(wanted)}{'' if _reached(name, got, wanted) else ' (missed)'}"


def _reached(name: str, got: float | None, wanted: float) -> bool:
    return got is not None and (got >= wanted if direction(name) == "max" else got <= wanted)


def _short(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def _machine(environment: dict[str, Any]) -> str:
    device = environment["device"]
    threads = environment["threads"]
    where = f"{environment['cpu']}, {threads} thread{'s' * (threads != 1)}" if device == "cpu" else device
    return f"{where}, Python {environment['python']}, PyTorch {environment['torch']}"


if __name__ == "__main__":
    sys.exit(main())
