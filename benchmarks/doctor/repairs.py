"""How many faulty runs the doctor repairs: `python benchmarks/doctor/repairs.py`.

A run is repaired when its validation figure has come at least four fifths of the way from the faulty run's to that of
its healthy twin, with at most three more training runs. Beside it: random search over the same settings with as many
runs, the best by validation. Healthy runs must not come out worse. A case counts only where the fault costs something:
more than five points of a share, or a tenth of an error.
"""

import argparse
import contextlib
import json
import logging
import math
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent))

import torch
from repair_cases import FAULTY, HEALTHY

from netwright.core.errors import NetwrightError
from netwright.core.records import read_json
from netwright.experiment.doctor.attempts import Patient, figures_of
from netwright.experiment.doctor.diagnosing import Told, diagnose_run
from netwright.experiment.doctor.repairing import repair
from netwright.experiment.run import train

torch.set_num_threads(1)
_MOST, _WAY = 3, 0.8
_SHARE, _ERROR = 0.05, 0.1


def main() -> int:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["faulty", "healthy"])
    parser.add_argument("--names", nargs="+", help="parts of names")
    parser.add_argument("--budget", type=float, default=15.0, help="seconds of a diagnosis")
    parser.add_argument("--no-search", action="store_true")
    parser.add_argument("--no-repair", action="store_true", help="random search alone")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    logging.getLogger("netwright").setLevel(logging.ERROR)
    rows, healthy = [], []
    for name, twin, faulty in FAULTY if chosen.only != "healthy" else []:
        if _wanted(name, chosen):
            rows.append(_faulty(name, twin, faulty, chosen))
    for name, config in HEALTHY if chosen.only != "faulty" else []:
        if _wanted(name, chosen):
            healthy.append(_healthy(name, config, chosen))
    _print(rows, healthy)
    if chosen.json:
        chosen.json.write_text(json.dumps({"faulty": rows, "healthy": healthy}, indent=1))
    return 0


def _wanted(name: str, chosen: argparse.Namespace) -> bool:
    return not chosen.names or any(part in name for part in chosen.names)


def _faulty(name: str, twin: dict[str, Any], faulty: dict[str, Any], chosen: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        good, (metric, sense) = _trained(twin, where / "twin")
        bad, _ = _trained(faulty, where / "run", (metric, sense))
        begun = time.monotonic()
        told = Told("", []) if chosen.no_repair else diagnose_run(where / "run", budget=chosen.budget)
        diagnosed = time.monotonic() - begun
        repairs = repair(Patient(where / "run", quiet=True), chosen.budget, told)
        mended = figures_of(where / "run").get(metric, math.nan)
        searched = bad if chosen.no_search else _search(name, faulty, where, (metric, sense), bad)
    worse = (good - bad) if sense == "max" else (bad - good)
    counts = worse > (_SHARE if sense == "max" and 0 <= good <= 1 else _ERROR * abs(good)) or bad != bad
    row = {
        "name": name, "counts": counts, "twin": good, "faulty": bad, "mended": mended, "search": searched,
        "repaired": _came(mended, bad, good), "found": _came(searched, bad, good),
        "runs": len(repairs.attempts), "diagnosis": round(diagnosed, 1), "worse": _is_worse(mended, bad, sense),
        "said": [(f.fault, f.severity) for f in told.findings if f.severity != "note"][:3],
        "tried": [(one.fault, one.change, one.held) for one in repairs.attempts],
    }  # fmt: skip
    mark = "  " if not counts else "ok" if row["repaired"] else "NO"
    print(f"{mark} {name:36} twin {good:7.3f} faulty {bad:7.3f} mended {mended:7.3f} search {searched:7.3f} "
          f"{row['said']} {row['tried']} {diagnosed:.0f}s", flush=True)  # fmt: skip
    return row


def _healthy(name: str, config: dict[str, Any], chosen: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        before, (metric, sense) = _trained(config, run)
        live = [finding.get("fault") for finding in _findings(run) if finding["severity"] != "note"]
        told = diagnose_run(run, budget=chosen.budget)
        repairs = repair(Patient(run, quiet=True), chosen.budget, told)
        after = figures_of(run).get(metric, math.nan)
    row = {
        "name": name, "before": before, "after": after, "runs": len(repairs.attempts), "live": live,
        "said": [(f.fault, f.severity) for f in told.findings if f.severity != "note"],
        "worse": _is_worse(after, before, sense), "kept": repairs.kept,
    }  # fmt: skip
    print(f"{'NO' if row['worse'] else 'ok'} {name:36} {before:7.3f} -> {after:7.3f} {row}", flush=True)
    return row


def _trained(
    config: Mapping[str, Any], folder: Path, monitor: tuple[str, str] | None = None
) -> tuple[float, tuple[str, str]]:
    """The figure that chooses the weights, and which it is; the faulty run may diverge."""
    with contextlib.suppress(NetwrightError):
        train(dict(config), folder, quiet=True)
    if (folder / "summary.json").is_file():
        name, sense = read_json(folder / "summary.json")["monitor"]
        monitor = (name, sense)
    assert monitor is not None
    return figures_of(folder).get(monitor[0], math.nan), monitor


def _search(name: str, faulty: dict[str, Any], where: Path, monitor: tuple[str, str], bad: float) -> float:
    """The best by validation of as many random configs as repair may try."""
    chance = random.Random(name)
    found = [bad]
    for number in range(_MOST):
        found.append(_trained(_random(faulty, chance), where / f"search-{number}", monitor)[0])
    finite = [value for value in found if math.isfinite(value)]
    return (max if monitor[1] == "max" else min)(finite) if finite else math.nan


def _random(config: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Every setting that the doctor may change drawn from the range that faults and remedies lie in."""
    optimizer: dict[str, Any] = {
        "name": chance.choice(["sgd", "adam", "adamw", "rmsprop"]), "lr": 10 ** chance.uniform(-6, 1),
        "weight_decay": chance.choice([0.0, 10 ** chance.uniform(-5, 1.5)]),
        "schedule": chance.choice(["constant", "cosine", "one-cycle"]),
    }  # fmt: skip
    if chance.random() < 0.5:
        optimizer["clip"] = 10 ** chance.uniform(-4, 1)
    if optimizer["name"] == "sgd":
        optimizer["momentum"] = chance.choice([0.0, 0.9, 0.99])
    batch = min(config["train"]["batch_size"], 2 ** chance.randint(3, 9))
    train_section = {**config["train"], "batch_size": max(8, batch), "accumulate": chance.choice([1, 1, 4])}
    return {**config, "optimizer": optimizer, "train": train_section, "model": _random_model(config["model"], chance)}


def _random_model(model: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    if model.get("name") == "mlp":
        return {
            **model, "activation": chance.choice(["relu", "sigmoid", "tanh", "leaky-relu"]),
            "norm": chance.choice(["none", "batch", "layer"]), "dropout": chance.choice([0.0, chance.uniform(0, 0.95)]),
        }  # fmt: skip
    if "layers" not in model:
        return model
    other = chance.choice(["relu", "sigmoid", "tanh"])
    layers = [other if entry in ("relu", "sigmoid", "tanh") else entry for entry in model["layers"]]
    layers = [
        entry for entry in layers if not (isinstance(entry, dict) and "dropout" in entry) or chance.random() < 0.5
    ]
    if layers[-1] == "softmax" and chance.random() < 0.5:
        layers = layers[:-1]
    return {"layers": layers}


def _came(now: float, bad: float, good: float) -> bool:
    """Whether four fifths of the way from the faulty figure to the healthy one are gone."""
    if now != now:
        return False
    if bad != bad:
        return abs(now - good) <= (1 - _WAY) * max(abs(good), 1e-9)
    return (now - bad) / (good - bad) >= _WAY if good != bad else True


def _is_worse(after: float, before: float, sense: str) -> bool:
    return after == after and before == before and (after < before - 1e-9 if sense == "max" else after > before + 1e-9)


def _findings(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "findings.jsonl").read_text("utf-8").splitlines()]


def _print(rows: list[dict[str, Any]], healthy: list[dict[str, Any]]) -> None:
    counting = [row for row in rows if row["counts"]]
    if counting:
        runs = statistics.mean(row["runs"] for row in counting)
        print(f"\nfaulty runs: {len(counting)} (of {len(rows)}; the others are not clearly worse than their twin)")
        print(f"repaired within {_MOST} runs: {statistics.mean(row['repaired'] for row in counting):.2f} ({runs:.1f})")
        print(f"random search, {_MOST} runs:  {statistics.mean(row['found'] for row in counting):.2f}")
        print(f"made worse: {sum(row['worse'] for row in rows)}")
    if healthy:
        print(f"healthy runs: {len(healthy)}, made worse: {sum(row['worse'] for row in healthy)}, "
              f"with a warning during training: {sum(bool(row['live']) for row in healthy)}, "
              f"attempts: {sum(row['runs'] for row in healthy)}")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
