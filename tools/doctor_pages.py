"""Write docs/doctor/: a page a fault, with a plot of a real run that has it beside its repaired twin.

    python tools/doctor_pages.py                      # run every program again (about twenty minutes on one core)
    python tools/doctor_pages.py lr-too-high dead-relu    # only these
    python tools/doctor_pages.py --no-runs            # only the pages, from what was measured last

What people wrote stands in docs/doctor/texts/, what was measured in docs/doctor/runs.json; pages, plots and index are
made from the two. The programs are in tools/twins/.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "doctor"
RUNS = PAGES / "runs.json"


def main() -> int:
    """Run, write down, draw."""
    import torch
    from twins import TWINS
    from twins.pages import index, page, plot
    from twins.running import record

    from netwright.core.messages import set_language
    from netwright.doctor.findings import FAULTS

    asked = _arguments(sorted(FAULTS))
    set_language("en")
    torch.set_num_threads(1)
    runs: dict[str, dict[str, Any]] = json.loads(RUNS.read_text("utf-8")) if RUNS.is_file() else {}
    for fault in [] if asked.no_runs else asked.faults or list(FAULTS):
        runs[fault] = record(fault, TWINS[fault], asked.budget)
        found = ", ".join(row["code"] for row in runs[fault]["findings"]) or "NOT FOUND"
        print(f"{fault}: {found} ({runs[fault]['seconds']:.0f} s)", flush=True)
        RUNS.write_text(_compact({name: runs[name] for name in FAULTS if name in runs}), "utf-8")
    (PAGES / "plots").mkdir(parents=True, exist_ok=True)
    for fault in (name for name in FAULTS if name in runs):
        (PAGES / "plots" / f"{fault}.svg").write_text(plot(fault, runs[fault]), "utf-8")
        (PAGES / f"{fault}.md").write_text(page(fault, runs[fault]), "utf-8")
    (PAGES / "README.md").write_text(index(runs), "utf-8")
    missed = [fault for fault, run in runs.items() if not run["findings"]]
    print(f"{len(runs)} of {len(FAULTS)} pages; not found in their runs: {', '.join(missed) or 'none'}")
    return 0


def _arguments(names: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", choices=[[], *names], metavar="FAULT", help="names from FAULTS")
    parser.add_argument("--no-runs", action="store_true", help="write pages from docs/doctor/runs.json alone")
    parser.add_argument("--budget", type=float, default=20.0, help="seconds for each diagnosis")
    return parser.parse_args()


def _compact(runs: dict[str, dict[str, Any]]) -> str:
    """JSON with a line a field: diffs stay readable, and curves do not fill the page."""
    blocks = []
    for fault, run in runs.items():
        fields = ",\n".join(f'  "{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in run.items())
        blocks.append(f'"{fault}": {{\n{fields}\n }}')
    return "{\n " + ",\n ".join(blocks) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main())
