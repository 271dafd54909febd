"""How well the doctor does: `python benchmarks/doctor/run.py` prints the table, per fault and per family.

detected: anything but a note on a faulty program; first / top 3: the fault's name; proved: the right cause, as a proved
error; alarm: an error (or a warning) on a healthy program. `--verify` measures instead that every faulty program is
worse than its twin.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent))

import torch
from cases import FAULTY, HEALTHY, HELD_OUT
from programs import Built, build

import netwright as nw

torch.set_num_threads(1)
ALSO = {  # names that say the same of these programs
    "over-regularized": {"dropout-misuse"},
    "missing-normalization": {"vanishing-gradient"},
    "vanishing-gradient": {"missing-normalization", "saturation"},
    "wrong-optimizer": {"lr-too-low"},
    "oscillation": {"lr-too-high"},
}


def main() -> int:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+")
    parser.add_argument("--faults", nargs="+")
    parser.add_argument("--budget", type=float, default=20.0)
    parser.add_argument("--only", choices=["faulty", "healthy"])
    parser.add_argument("--tuned", action="store_true", help="only the families that are tuned on")
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--verbose", action="store_true")
    chosen = parser.parse_args()
    rows = [_row(*case, chosen) for case in _chosen(chosen)]
    if not chosen.verify:
        _print(rows)
        if chosen.json:
            chosen.json.write_text(json.dumps(rows, indent=1))
    return 0


def _chosen(chosen: argparse.Namespace) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    every = [
        *(FAULTY if chosen.only != "healthy" else []),
        *((f, "", d, d) for f, d in HEALTHY if chosen.only != "faulty"),
    ]
    for family, fault, dials, twin in every:
        wanted = not chosen.families or family in chosen.families
        wanted &= not chosen.faults or fault in chosen.faults
        if wanted and not (chosen.tuned and family in HELD_OUT) and not (chosen.verify and not fault):
            yield family, fault, dials, twin


def _row(
    family: str, fault: str, dials: dict[str, Any], twin: dict[str, Any], chosen: argparse.Namespace
) -> dict[str, Any]:
    name = f"{family} {fault or 'healthy'} {dials}"
    if chosen.verify:
        worse, better = ([_trained(build(family, seed, **given)) for seed in range(3)] for given in (dials, twin))
        print(f"{statistics.mean(worse):7.3f} {statistics.mean(better):7.3f} "
              f"{'' if max(worse) < min(better) else 'NOT WORSE'} {name}", flush=True)  # fmt: skip
        return {}
    b = build(family, **dials)
    told = nw.diagnose(
        b.net,
        b.opt,
        b.loss,
        train=b.train,
        validation=b.validation,
        step=b.step,
        epochs=b.epochs,
        budget_seconds=chosen.budget,
    )
    said = [(f.fault, f.severity, f.proven) for f in told.findings if f.severity != "note"]
    names = [one[0] for one in said]
    good = {fault, *ALSO.get(fault, set())}
    row = {
        "family": family, "fault": fault, "dials": dials, "said": said, "seconds": told.seconds,
        "detected": bool(said), "first": bool(names) and names[0] in good, "three": bool(good & set(names[:3])),
        "proved": any(n in good and s == "error" and p for n, s, p in said),
        "error": any(s == "error" for _, s, _ in said), "progress": told.progress, "unexplained": told.unexplained,
    }  # fmt: skip
    ok = row["first"] if fault else not said
    print(f"{'ok ' if ok else 'BAD'} {told.seconds:5.1f}s p={told.progress or 0:.2f} u={told.unexplained or 0:.2f} {name} -> "  # noqa: E501
          f"{[f'{n}:{s[0]}' for n, s, _ in said[:4]]}", flush=True)  # fmt: skip
    if chosen.verbose:
        print(told, {k: round(v, 2) for k, v in told.probes.items()}, sep="\n")
    return row


def _trained(b: Built) -> float:
    """Accuracy or R2 on the validation examples after the whole run."""
    from netwright.doctor.probe.fork import plain_step

    step = b.step or plain_step(b.loss)
    for _ in range(b.epochs):
        for batch in b.train:
            b.net.train()
            step(b.net, b.opt, batch)
    b.net.eval()
    x, y = b.validation
    with torch.no_grad():
        out = b.net(x)
    if b.kind == "number":
        return max(-1.0, float(1 - (out - y).square().mean() / (y - y.mean(0)).square().mean()))
    return float((out.argmax(-1) == y).float().mean())


def _print(rows: list[dict[str, Any]]) -> None:
    faulty, healthy = [r for r in rows if r["fault"]], [r for r in rows if not r["fault"]]
    print(f"\n{'':24} {'n':>3} {'detected':>8} {'first':>6} {'top 3':>6} {'proved':>6} {'s/case':>6}")
    groups = {"all": faulty, "tuned on": [r for r in faulty if r["family"] not in HELD_OUT],
              "held out": [r for r in faulty if r["family"] in HELD_OUT]}  # fmt: skip
    groups |= {
        f"family {f}": [r for r in faulty if r["family"] == f] for f in dict.fromkeys(r["family"] for r in faulty)
    }
    groups |= {f: [r for r in faulty if r["fault"] == f] for f in sorted({r["fault"] for r in faulty})}
    for name, part in groups.items():
        if part:
            shares = [statistics.mean(r[key] for r in part) for key in ("detected", "first", "three", "proved")]
            took = statistics.mean(r["seconds"] for r in part)
            print(
                f"{name:24} {len(part):3} {shares[0]:8.2f} {shares[1]:6.2f} {shares[2]:6.2f} {shares[3]:6.2f} {took:6.1f}"  # noqa: E501
            )
    for name, part in (("tuned on", [r for r in healthy if r["family"] not in HELD_OUT]),
                       ("held out", [r for r in healthy if r["family"] in HELD_OUT])):  # fmt: skip
        if part:
            errors, warned = sum(r["error"] for r in part), sum(r["detected"] and not r["error"] for r in part)
            took = statistics.mean(r["seconds"] for r in part)
            print(
                f"healthy, {name}: {len(part)} programs, {errors} with an error, {warned} with a warning, {took:.1f} s a case"  # noqa: E501
            )


if __name__ == "__main__":
    sys.exit(main())
