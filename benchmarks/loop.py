"""Our loop against others on two small networks; prints the table and writes docs/bench.md (`make bench`).

Each contender is a process of its own (one's memory settings must not reach another), and all take turns of a fraction
of a second, starting with another one each time, so that each meets the machine in the same moods. Figures are medians
over turns of fresh processes, comparisons are ratios of medians. Run it on a machine that does nothing else.
"""

import argparse
import importlib.util
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "bench.md"
sys.path.insert(0, str(HERE))

import contenders  # noqa: E402
import fresh  # noqa: E402
import startup  # noqa: E402
import watch  # noqa: E402

TURNS, BURST = 20, 0.25  # in a round; seconds of steps in each
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
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workloads", nargs="+", choices=contenders.WORKLOADS, default=list(contenders.WORKLOADS))
    parser.add_argument("--dry", action="store_true", help="print only; leave docs/bench.md as it is")
    chosen = parser.parse_args()
    names = [name for name in contenders.NAMES if name not in ("lightning", "keras") or importlib.util.find_spec(name)]
    blocks = []
    for workload in chosen.workloads:
        blocks.append(_block(workload, *_rounds(workload, names, chosen.rounds)))
        print(blocks[-1], flush=True)
    for other in (watch, startup):
        blocks.append(other.table(chosen.rounds))
        print(blocks[-1], flush=True)
    if not chosen.dry:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(_page(blocks, chosen.rounds), "utf-8")
    return 0


def _rounds(workload: str, names: list[str], rounds: int) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Seconds of a step in every turn, and the precision, by contender."""
    times: dict[str, list[float]] = {name: [] for name in names}
    precisions: dict[str, str] = {}
    for turn in range(rounds):
        with ExitStack() as stack:
            running = {name: stack.enter_context(fresh.Contender("contenders.py", name, workload)) for name in names}
            precisions = {name: one.about["precision"] for name, one in running.items()}
            for name, found in fresh.in_turns(running, TURNS, BURST).items():
                times[name] += found
        print(f"{workload}: round {turn + 1} of {rounds}", file=sys.stderr)
    return times, precisions


def _block(workload: str, times: dict[str, list[float]], precisions: dict[str, str]) -> str:
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
        lines.append(f"| {name} | {precisions[name]} | {spread} | {speed} | {median / medians['ours']:.2f} |")
    lines.append("")
    for place, name, least in WANTED:
        if place == workload and name in medians:
            got = medians[name] / medians["ours"]
            what = f"overhead over {name} {100 * (1 / got - 1):.1f} % (at most {100 * (1 / least - 1):.0f} %)"
            what = what if least < 1 else f"{got:.2f} times as fast as {name} (at least {least})"
            ratios = [theirs / mine for theirs, mine in zip(times[name], times["ours"], strict=True)]
            verdict = "reached" if got >= least else "missed"
            lines.append(
                f"- {what}: {verdict}; their time was {min(ratios):.2f} to {max(ratios):.2f} of ours, turn by turn"
            )
    return "\n".join([*lines, ""])


def _page(blocks: list[str], rounds: int) -> str:
    about = (
        f"Written by `make bench`: {fresh.counted(rounds, 'round')} of fresh processes that take {TURNS} turns each of "
        f"about {BURST} s, batches of "
        f"{contenders.BATCH}, Adam, no validation and no checkpoints for anybody. *usual* is a DataLoader, `Adam()` "
        "and `.item()` on each step; *best by hand* has resident tensors, batches by index, fused Adam and kept "
        "memory, on the CNN also bf16 and channels-last ([benchmarks/contenders.py](../benchmarks/contenders.py))."
    )
    return "\n".join(["# Our loop against others", "", about, "", f"Measured on: {fresh.machine()}.", "", *blocks])


if __name__ == "__main__":
    sys.exit(main())
