"""Networks on texts against others: training, writing, padding; prints the page and writes docs/bench-language.md.

Each measurement is a fresh process, rounds are interleaved (another contender first each round), and figures are ratios
of medians within one run (`language_contenders.py` says what is run). Run it on a machine that does nothing else.
"""

import argparse
import importlib.util
import statistics
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "bench-language.md"
sys.path.insert(0, str(HERE))

import fresh  # noqa: E402
import language_contenders as those  # noqa: E402

WASTE = 0.05  # the most padding in bucketed batches
CALLED = {"ours": "ours", "trainer": "Hugging Face Trainer", "lightning": "Lightning", "transformers": "transformers"}
Block = tuple[list[str], list[str]]  # lines of the page, and the marks that were missed


def main() -> int:
    """Measure, print, write; 1 when a mark was missed or could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = [*those.WORKLOADS, "padding"]
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--steps", type=int, help="of training, instead of each workload's own; for trials")
    parser.add_argument("--dry", action="store_true", help="print only; leave docs/bench-language.md as it is")
    chosen = parser.parse_args()
    if chosen.steps is not None and chosen.steps < 2 * those.WARM:
        parser.error(f"--steps: {those.WARM} steps are warm ones; use {2 * those.WARM} or more")
    found = _rounds([name for name in chosen.only if name != "padding"], chosen.rounds, chosen.steps)
    blocks = [_block(name, measured) for name, measured in found.items()]
    if "padding" in chosen.only:
        blocks.append(_padding(fresh.measured("language_contenders.py", "padding")["rows"]))
    page = _page(blocks, chosen.rounds, chosen.steps)
    print(page)
    if not chosen.dry:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page, "utf-8")
    return int(any(missed for _, missed in blocks))


def _rounds(names: list[str], rounds: int, steps: int | None) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """What every contender of every workload measured, one of each a round."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in names:
        here = [who for who in those.WORKLOADS[name].contenders if all(map(importlib.util.find_spec, those.NEEDS[who]))]
        found[name] = {who: [] for who in here}
    for turn in range(rounds):
        for name in fresh.turns(names, turn) if names else ():
            count = str(steps or those.WORKLOADS[name].steps)
            for who in fresh.turns(list(found[name]), turn):
                found[name][who].append(fresh.measured("language_contenders.py", who, name, count))
            print(f"round {turn + 1} of {rounds}: {name}", file=sys.stderr)
    return found


def _block(name: str, measured: dict[str, list[dict[str, Any]]]) -> Block:
    """A workload's table, and whether we are ahead of each peer."""
    workload = those.WORKLOADS[name]
    speeds = {who: [one["speed"] for one in runs] for who, runs in measured.items()}
    medians = {who: statistics.median(each) for who, each in speeds.items()}
    lines = [
        f"## {workload.title}",
        "",
        "| who | precision | tokens a second: median (least to most) | ours / its |",
        "|---|---|---:|---:|",
    ]
    for who, median in sorted(medians.items(), key=lambda item: -item[1]):
        spread = f"{median:,.0f} ({min(speeds[who]):,.0f} to {max(speeds[who]):,.0f})"
        precision = measured[who][0]["precision"]
        lines.append(f"| {CALLED[who]} | {precision} | {spread} | {medians['ours'] / median:.2f} |")
    lines.append("")
    missed = []
    for who in workload.contenders[1:]:
        if who not in medians:
            text, reached = f"{CALLED[who]} was not measured: it needs {' and '.join(those.NEEDS[who])}", False
        else:
            ahead = medians["ours"] / medians[who]
            text, reached = f"{ahead:.2f} times as fast as {CALLED[who]} (more than 1)", ahead > 1
        lines.append(f"- {text}: {'reached' if reached else 'missed'}")
        missed += [] if reached else [f"{name}: {text}"]
    if "transformers" in measured:
        lines.append(f"- Tokens that both wrote alike: {_alike(measured):.1%}.")
    return [*lines, ""], missed


def _alike(measured: dict[str, list[dict[str, Any]]]) -> float:
    """The share of places at which ours and theirs wrote the same token; below 1 only by ties and rounding."""
    ours, theirs = (measured[who][0]["written"] for who in ("ours", "transformers"))
    same = [a == b for rows in zip(ours, theirs, strict=True) for a, b in zip(*rows, strict=True)]
    return sum(same) / len(same)


def _padding(rows: list[dict[str, Any]]) -> Block:
    """The share of padding in batches."""
    lines = [
        "## Padding",
        "",
        f"Of all places of an epoch's batches: ours of {those.BATCH} examples, ours filled up to {those.BUDGET:,} "
        f"places (`train.batch_tokens`), and batches of {those.BATCH} that chance makes, each as long as its longest.",
        "",
        "| documents | how many | ours | ours by places | by chance |",
        "|---|---:|---:|---:|---:|",
    ]
    missed = []
    for row in rows:
        cells = (row["name"], f"{row['documents']:,}", *(f"{row[way]:.1%}" for way in ("ours", "budget", "usual")))
        lines.append(f"| {' | '.join(cells)} |")
        for way, what in (("ours", "by examples"), ("budget", "by places")):
            if row[way] >= WASTE:
                missed.append(f"padding, {row['name']}, {what}: {row[way]:.1%} (below {WASTE:.0%})")
    lines += ["", f"- below {WASTE:.0%} in all of ours: {'missed' if missed else 'reached'}"]
    return [*lines, ""], missed


def _page(blocks: list[Block], rounds: int, steps: int | None) -> str:
    missed = [f"- missed: {text}" for _, each in blocks for text in each] or ["All marks reached."]
    about = (
        f"Written by `make bench`: interleaved rounds ({rounds}), a fresh process for each measurement, tokens a "
        "second with padding left out, comparisons as ratios of medians "
        "([benchmarks/language_contenders.py](../benchmarks/language_contenders.py))."
    )
    count = those.BATCH * (steps or those.WORKLOADS["lstm"].steps)
    training = (
        f"Training: networks of the same sizes and dropout, the same tokens, batches of {those.BATCH}, AdamW (rate "
        f"{those.RATE:g}, decay {those.DECAY:g}) for everybody. Gradients are clipped to norm {those.CLIP:g} by the "
        "Trainer, whose default it is, and by us, not by Lightning. The rest is at everybody's defaults, precision "
        f"included; no validation, checkpoints, logs or bars. The GPT reads the bundled glosses, {those.CONTEXT} "
        "characters of a row; ours is `nw.train`, theirs GPT2LMHeadModel. The classifier reads "
        f"{those.corpus()[0]}: {count:,} documents of at most {those.TOKENS['max_length']} words, each once; ours is "
        "`lstm` in one direction with the mean over time, in batches of like length; theirs is the same function with "
        "torch.nn.LSTM and a DataLoader that pads the batches of a random order."
    )
    writing = (
        f"Writing: a GPT2LMHeadModel of random weights and {those.ROOM} places, saved, and loaded by both "
        f"(`load_pretrained`, `from_pretrained`); a prompt of {those.PROMPT} characters a row, the median of "
        f"{those.CALLS} calls."
    )
    trial = [] if steps is None else ["", f"A trial of {steps} steps, not a measurement."]
    where = f"Measured on: {fresh.machine()}."
    body = [line for lines, _ in blocks for line in lines]
    head = ["# Texts: ours against others", "", about, "", training, "", writing, *trial, "", where, ""]
    return "\n".join([*head, *body, *missed, ""])


if __name__ == "__main__":
    sys.exit(main())
