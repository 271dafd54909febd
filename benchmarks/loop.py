"""Our loop against others on two small networks; prints the table and writes docs/bench.md (`make bench`).

Each measurement is a fresh process (one contender's memory settings must not reach another), and rounds are
interleaved: all contenders take turns, starting with another one each round, so that a machine that slows down does so
for all. Figures are medians over rounds, comparisons are ratios of medians. Run it on a machine that does nothing else.
"""

import argparse
import importlib.util
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "bench.md"
sys.path.insert(0, str(HERE))

import contenders  # noqa: E402
import fresh  # noqa: E402
import startup  # noqa: E402
import watch  # noqa: E402

WANTED = (  # workload, contender, least ratio of its median to ours
    ("mlp", "best by hand", 1 / 1.05),
    ("mlp", "usual", 1.5),
    ("cnn", "best by hand", 1 / 1.05),
    ("cnn", "usual", 2.5),
    ("cnn", "lightning", 2.5),
)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--workloads", nargs="+", choices=contenders.WORKLOADS, default=list(contenders.WORKLOADS))
    parser.add_argument("--dry", action="store_true", help="print only; leave docs/bench.md as it is")
    chosen = parser.parse_args()
    names = [name for name in contenders.NAMES if name not in ("lightning", "keras") or importlib.util.find_spec(name)]
    blocks = []
    for workload in chosen.workloads:
        measured = _rounds(workload, names, chosen.rounds)
        blocks.append(_block(workload, measured))
        print(blocks[-1], flush=True)
    for other in (watch, startup):
        blocks.append(other.table(chosen.rounds))
        print(blocks[-1], flush=True)
    if not chosen.dry:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(_page(blocks, chosen.rounds), "utf-8")
    return 0


def _rounds(workload: str, names: list[str], rounds: int) -> dict[str, list[dict[str, object]]]:
    measured: dict[str, list[dict[str, object]]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in fresh.turns(names, turn):
            measured[name].append(fresh.measured("contenders.py", name, workload))
        print(f"{workload}: round {turn + 1} of {rounds}", file=sys.stderr)
    return measured


def _block(workload: str, measured: dict[str, list[dict[str, object]]]) -> str:
    times = {name: [float(str(one["seconds"])) for one in found] for name, found in measured.items()}
    medians = {name: statistics.median(found) for name, found in times.items()}
    lines = [
        f"## {contenders.WORKLOADS[workload]}",
        "",
        "| loop | precision | ms a step: median (least to most) | examples a second | its time / ours |",
        "|---|---|---|---|---|",
    ]
    for name, median in sorted(medians.items(), key=lambda item: item[1]):
        spread = f"{median * 1e3:.3f} ({min(times[name]) * 1e3:.3f} to {max(times[name]) * 1e3:.3f})"
        speed = f"{contenders.BATCH / median:,.0f}"
        lines.append(
            f"| {name} | {measured[name][0]['precision']} | {spread} | {speed} | {median / medians['ours']:.2f} |"
        )
    lines.append("")
    for place, name, least in WANTED:
        if place == workload and name in medians:
            got = medians[name] / medians["ours"]
            what = f"overhead over {name} {100 * (1 / got - 1):.1f} % (at most {100 * (1 / least - 1):.0f} %)"
            what = what if least < 1 else f"{got:.2f} times as fast as {name} (at least {least})"
            low, high = min(times[name]) / max(times["ours"]), max(times[name]) / min(times["ours"])
            verdict = "reached" if got >= least else "missed"
            lines.append(f"- {what}: {verdict}; their time was {low:.2f} to {high:.2f} of ours between the extremes")
    return "\n".join([*lines, ""])


def _page(blocks: list[str], rounds: int) -> str:
    about = (
        f"Written by `make bench`: {rounds} interleaved rounds, a fresh process for each measurement, batches of "
        f"{contenders.BATCH}, Adam, no validation and no checkpoints for anybody. *usual* is a DataLoader, `Adam()` "
        "and `.item()` on each step; *best by hand* has resident tensors, batches by index, fused Adam and kept "
        "memory, on the CNN also bf16 and channels-last ([benchmarks/contenders.py](../benchmarks/contenders.py))."
    )
    return "\n".join(["# Our loop against others", "", about, "", f"Measured on: {fresh.machine()}.", "", *blocks])


if __name__ == "__main__":
    sys.exit(main())
