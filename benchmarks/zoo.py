"""Our networks against torchvision's and timm's own modules; prints the table and writes docs/bench-zoo.md.

Rounds go over all networks in turn, in fresh processes, and figures are ratios of what was measured side by side, for
a machine has moods (`zoo_contenders.py` says what is run). Two questions: is our module slower than theirs with all
else equal, and what does our engine gain on it? Run it on a machine that does nothing else.
"""

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "bench-zoo.md"
sys.path.insert(0, str(HERE))

import fresh  # noqa: E402
import zoo_contenders  # noqa: E402

TURNS, BURST = 11, 0.2  # turns of our engine and of theirs, about so many seconds each
MOST, LEAST = 1.02, 2.0  # our time / theirs with all else equal; their time / our engine's on convolutions with bf16
Found = dict[str, dict[str, list[dict[str, Any]]]]


def main() -> int:
    """Measure, print, write; 1 when a mark was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=zoo_contenders.ROWS, default=list(zoo_contenders.ROWS))
    parser.add_argument("--dry", action="store_true", help="print only; leave docs/bench-zoo.md as it is")
    chosen = parser.parse_args()
    found: Found = {name: {"equal": [], "engine": []} for name in chosen.only}
    for turn in range(chosen.rounds):
        for name in fresh.turns(chosen.only, turn):
            found[name]["equal"].append(fresh.measured("zoo_contenders.py", "equal", name))
            found[name]["engine"].append(_against_usual(name))
            print(f"round {turn + 1} of {chosen.rounds}: {name}", file=sys.stderr)
    rows = [_row(name, found[name]) for name in chosen.only]
    page = _page(rows, found, chosen.rounds)
    print(page)
    if not chosen.dry:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page, "utf-8")
    return int(any(row["missed"] for row in rows))


def _against_usual(name: str) -> dict[str, Any]:
    """Our engine's steps and their usual ones, some of each in turns; processes apart, for ours keeps its memory."""
    with (
        fresh.Contender("zoo_contenders.py", "usual", name) as theirs,
        fresh.Contender("zoo_contenders.py", "engine", name) as ours,
    ):
        found: dict[str, Any] = {"precision": ours.about["precision"]}
        for what in ("train", "infer"):
            times = fresh.in_turns({"theirs": theirs, "ours": ours}, TURNS, BURST)
            found[what] = {
                "theirs": statistics.median(times["theirs"]),
                "gain": statistics.median(a / b for a, b in zip(times["theirs"], times["ours"], strict=True)),
            }
            for who in (theirs, ours):
                who.go_on()
        return found


def _row(name: str, found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Their time, our module's part of it, and how often our engine's goes into it; for a step and for a pass."""
    row: dict[str, Any] = {"name": name, "missed": []}
    bf16 = found["engine"][0]["precision"] == "bf16"
    for what in ("train", "infer"):
        theirs = statistics.median(one[what]["theirs"] for one in found["engine"])
        ratio = statistics.median(one[what]["ratio"] for one in found["equal"])
        gain = statistics.median(one[what]["gain"] for one in found["engine"])
        row[what] = (theirs, ratio, gain)
        if ratio > MOST:
            row["missed"].append(f"{name}, {what}: {ratio:.3f} of their time with all else equal (at most {MOST})")
        least = LEAST if bf16 and zoo_contenders.ROWS[name].doubled else 1 / MOST
        if gain < least:
            row["missed"].append(f"{name}, {what}: {gain:.2f} times as fast by the engine (at least {least:.3g})")
    return row


def _page(rows: list[dict[str, Any]], found: Found, rounds: int) -> str:
    about = (
        f"Written by `make bench`: {fresh.counted(rounds, 'round')} in fresh processes, medians over steps of a fixed "
        "batch of noise ([benchmarks/zoo_contenders.py](../benchmarks/zoo_contenders.py)). *Equal*: our module and "
        "theirs take turns step by step in one process, from the same weights, under the usual loop (float32, "
        "contiguous, `Adam()`); our time as a part of theirs, of lower quartiles, for what disturbs a step lengthens "
        f"it; at most {MOST}. *Engine*: ours as `netwright train` runs it (bf16 and channels-last where the CPU has "
        "bf16, fused Adam, kept memory), and for inference as its validation does, in turns of "
        f"{BURST} s with theirs under the usual loop in a process of its own; how many times as fast, at least "
        f"{LEAST:g} on the convolution networks of torchvision and timm."
    )
    lines = [
        "| network | against | batch, pixels | step: theirs | equal | engine | inference: theirs | equal | engine |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
        *(_line(row, found[row["name"]]["engine"][0]["precision"]) for row in rows),
    ]
    missed = [f"- missed: {text}" for row in rows for text in row["missed"]] or ["All marks reached."]
    parts = [
        "# Our networks against others",
        "",
        about,
        "",
        f"Measured on: {fresh.machine()}.",
        "",
        *lines,
        "",
        *missed,
    ]
    return "\n".join([*parts, ""])


def _line(row: dict[str, Any], precision: str) -> str:
    sizes = zoo_contenders.ROWS[row["name"]]
    cells = [f"`{row['name']}`", sizes.reference, f"{sizes.batch}, {sizes.side}"]
    for what in ("train", "infer"):
        theirs, ratio, gain = row[what]
        cells += [f"{theirs * 1e3:.1f} ms", f"{ratio:.3f}", f"{gain:.2f}× ({precision})"]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
