"""How well the doctor does: `python benchmarks/doctor/run.py` measures every case, prints the tables and writes
docs/bench-doctor.md (`make doctor-bench`).

With `--repair` it repairs as well, against random search; that is what writes the page. `--verify` measures instead
that every faulty program is worse than its twin over three seeds. `--quick` takes every tenth case (`--quick 3`: every
third), spread over faults and families. Cases run in worker processes, a fresh one for each handful.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
PAGE = HERE.parents[1] / "docs" / "bench-doctor.md"

import torch  # noqa: E402
from cases import FAULTY, HEALTHY, HELD_OUT, STYLE  # noqa: E402

torch.set_num_threads(1)
_HANDFUL = 8
_BUDGET = 15.0  # seconds of `diagnose`

Case = tuple[str, str, dict[str, Any], dict[str, Any], bool]
ALL: list[Case] = [
    *((*row, False) for row in FAULTY), *((*row, True) for row in STYLE),
    *((family, "", dials, dials, False) for family, dials in HEALTHY),
]  # fmt: skip


def main() -> int:
    """Measure, print, write."""
    chosen = _arguments()
    if chosen.worker is not None:
        for number in chosen.worker:
            print(json.dumps([number, _measured(number, chosen)], default=str), flush=True)
        return 0
    numbers, begun = _chosen(chosen), time.monotonic()
    rows = _rows(numbers, chosen)
    if chosen.verify:
        print(f"{sum(not row['worse'] for row in rows)} of {len(rows)} are not really worse")
        return int(any(not row["worse"] for row in rows))
    from fresh import machine
    from page import page

    told = page(rows, HELD_OUT, machine(), chosen.budget, time.monotonic() - begun, _rivals(chosen, numbers))
    print(told)
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1))
    if len(numbers) == len(ALL) and not chosen.dry and chosen.repair:
        PAGE.write_text(told, "utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+")
    parser.add_argument("--faults", nargs="+")
    parser.add_argument("--only", choices=["faulty", "healthy"])
    parser.add_argument("--tuned", action="store_true", help="only the families that are tuned on")
    parser.add_argument("--held-out", action="store_true", help="only those that are not")
    parser.add_argument("--quick", type=int, nargs="?", const=10, default=1, help="every tenth case, or so-manieth")
    parser.add_argument("--budget", type=float, default=_BUDGET, help="seconds of diagnose")
    parser.add_argument("--jobs", type=int, default=1, help="worker processes; 0: in this one")
    parser.add_argument("--repair", action="store_true", help="repair as well, against random search; writes the page")
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--dry", action="store_true", help="print only; leave docs/bench-doctor.md as it is")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--worker", nargs="+", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def _chosen(chosen: argparse.Namespace) -> list[int]:
    numbers = [number for number, case in enumerate(ALL) if _wanted(case, chosen)]
    if chosen.quick == 1:
        return numbers
    order = sorted(numbers, key=lambda number: (not ALL[number][1], ALL[number][1], ALL[number][0]))
    return order[:: chosen.quick]


def _wanted(case: Case, chosen: argparse.Namespace) -> bool:
    family, fault, _, _, style = case
    held = family in HELD_OUT
    return (
        (not chosen.families or family in chosen.families)
        and (not chosen.faults or fault in chosen.faults)
        and not (chosen.only == "healthy" and fault)
        and not (chosen.only == "faulty" and not fault)
        and not (chosen.tuned and held)
        and not (chosen.held_out and not held)
        and not (chosen.verify and (style or not fault))
    )


def _rows(numbers: list[int], chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """All rows in the order of the table, told as they come."""
    if not chosen.jobs:
        found = {number: _told(number, _measured(number, chosen)) for number in numbers}
        return [found[number] for number in numbers]
    parts = [numbers[at : at + _HANDFUL] for at in range(0, len(numbers), _HANDFUL)]
    found = {}
    with ThreadPoolExecutor(chosen.jobs) as workers:
        for part in workers.map(lambda part: _worker(part, chosen), parts):
            found |= part
    return [found[number] for number in numbers]


def _worker(part: list[int], chosen: argparse.Namespace) -> dict[int, dict[str, Any]]:
    words = [sys.executable, str(HERE / "run.py"), "--budget", str(chosen.budget)]
    words += [*(["--verify"] if chosen.verify else []), *(["--repair"] if chosen.repair else [])]
    words += ["--worker", *map(str, part)]
    found: dict[int, dict[str, Any]] = {}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith("["):  # a program's own word
                continue
            number, row = json.loads(line)
            found[number] = _told(number, row)
    for number in part:
        if number not in found:  # the process died of it
            family, fault, dials, _, style = ALL[number]
            found[number] = {"family": family, "fault": fault, "dials": dials, "style": style, "worse": False,
                             "problem": f"the worker ended with {process.returncode}"}  # fmt: skip
    return found


def _measured(number: int, chosen: argparse.Namespace) -> dict[str, Any]:
    from one_case import measured, verified

    family, fault, dials, twin, style = ALL[number]
    if chosen.verify:
        worse, one, other = verified(family, dials, twin)
        return {"family": family, "fault": fault, "dials": dials, "worse": worse, "faulty": one, "twin": other}
    return measured(family, fault, dials, twin, style, chosen.budget, chosen.repair)


def _told(number: int, row: dict[str, Any]) -> dict[str, Any]:
    from page import told

    family, fault, dials, _, _ = ALL[number]
    name = f"{number:3} {family} {fault or 'healthy'} ({told(dials)})"
    if row.get("problem"):
        print(f"??? {name}: {row['problem']}", flush=True)
    elif "worse" in row:
        print(f"{'ok ' if row['worse'] else 'NOT'} {row['faulty']:6.3f} {row['twin']:6.3f} {name}", flush=True)
    else:
        good = row["first"] if fault else not row["detected"]
        mended = "".join(mark if row.get(key) else "-" for key, mark in
                         (("repaired", "R"), ("in_three", "3"), ("random", "r"), ("random_three", "t")))  # fmt: skip
        static = {None: " ", True: "s", False: "!"}[row["static"]]
        said = ", ".join(f"{fault}:{level[0]}" for fault, level, *_ in row["said"][:4])
        print(f"{'ok ' if good else 'BAD'} {row['seconds']:5.1f}s {static} {mended} {name} -> {said}", flush=True)
    return row


def _rivals(chosen: argparse.Namespace, numbers: list[int]) -> list[str]:
    """Other packages on the same cases, where they are installed."""
    if not chosen.repair:
        return []
    import rivals

    found = rivals.rows([ALL[number][:4] for number in numbers])
    return ["## Others", found] if found else []


if __name__ == "__main__":
    sys.exit(main())
