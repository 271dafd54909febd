"""A page, a plot and the index, from what was written and what was measured; nothing is run here."""

import functools
import importlib
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from netwright.doctor.about import ABOUT
from netwright.doctor.check.rules import RULES
from netwright.doctor.findings import FAULTS
from netwright.doctor.words import CODES
from netwright.reports.charts import line_chart
from netwright.reports.curves import Series
from netwright.reports.numbers import metric
from netwright.reports.plots import draw_chart
from twins.base import MEASURES

__all__ = ["codes", "index", "page", "plot", "texts"]

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "doctor"
STAGES = {
    "static": "before the first step",
    "live": "from the run",
    "static/live": "before the first step, or from the run",
}
BY = {
    "check": "the static rules (`nw.check`) say",
    "diagnose": "`nw.diagnose` with a budget of {budget:g} seconds says",
}
WRITTEN = "<!-- Written by `make doctor-pages` from docs/doctor/texts/ and docs/doctor/runs.json; change those. -->"
Run = dict[str, Any]


@functools.cache
def texts() -> dict[str, dict[str, Any]]:
    """What people wrote of each fault."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((FOLDER / "texts").glob("*.yaml")):
        found |= YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    return found


@functools.cache
def codes() -> dict[str, list[str]]:
    """The codes of each fault, as rules and tables have them."""
    known: dict[str, list[str]] = {fault: [] for fault in FAULTS}
    for code, name in RULES.items():
        rule = importlib.import_module(f"netwright.doctor.check.rules.{name}")
        known[rule.FAULT].append(code)
    for fault, (code, *_) in CODES.items():
        known[fault].append(code)
    return known


def page(fault: str, run: Run) -> str:
    """The page in Markdown."""
    title, what, remedy = ABOUT[fault]
    told = texts()[fault]
    return "\n".join([
        WRITTEN, "",
        f"# {title}", "",
        f"`{fault}` · {', '.join(codes()[fault])} · seen {STAGES[FAULTS[fault]]} · [all faults](README.md)", "",
        what, "",
        "## What it looks like", "", _one_line(told["looks"]), "",
        "## Why it harms", "", _one_line(told["harm"]), "",
        "## How Netwright proves it", "", _one_line(told["proof"]), "",
        "## What to do", "", remedy, "",
        *_snippets(told),
        "## A run that has it", "", *_run(fault, run),
        "## References", "", *(f"- {source}" for source in told["references"]), "",
    ])  # fmt: skip


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _snippets(told: dict[str, Any]) -> list[str]:
    lines = _pair("python", told["before"], told["after"])
    if "config_before" in told:
        lines += ["In a config:", "", *_pair("yaml", told["config_before"], told["config_after"])]
    return lines + ([_one_line(told["more"]), ""] if "more" in told else [])


def _pair(language: str, before: str, after: str) -> list[str]:
    return ["Before:", "", *_fenced(language, before), "After:", "", *_fenced(language, after)]


def _fenced(language: str, text: str) -> list[str]:
    return [f"```{language}", *text.rstrip("\n").split("\n"), "```", ""]


def _run(fault: str, run: Run) -> list[str]:
    key, heading, _ = MEASURES[run["shows"]]
    lines = [_one_line(run["program"]), ""]
    if run["broken"]:
        lines += [f"The faulty twin does not run at all: `{run['broken']}`", ""]
    alt = f"{heading}: {_end(key, run)}"
    lines += [f"![{alt}](plots/{fault}.svg)", "", f"{heading}: {_end(key, run)}.", ""]
    for row in run["findings"]:
        lines += [f"Of the faulty twin {BY[row['by']].format(**run)}:", "", *_fenced("text", row["text"])]
    errors = [f"`{other}`" for other in run["others"] if other.split()[1] == "error"]
    if run["findings"] and errors:
        lines += [f"Beside it Netwright takes for a cause: {', '.join(errors)}.", ""]
    if not run["findings"]:
        said = "; ".join(f"`{other}`" for other in run["others"]) or "nothing"
        lines += [f"**Not yet found in this run.** Of the faulty twin Netwright said: {said}.", ""]
    return lines


def _end(key: str, run: Run) -> str:
    """The last values of both curves in words."""
    last = {name: [y for y in run[name]["ys"] if y is not None] for name in ("faulty", "repaired")}
    words = [f"{metric(key, values[-1])} {which} at the end" for which, values in
             (("with the fault", last["faulty"]), ("repaired", last["repaired"])) if values]  # fmt: skip
    lost = [x for x, y in zip(run["faulty"]["xs"], run["faulty"]["ys"], strict=True) if y is None]
    if lost:
        words[0] = f"not a number with the fault, from step {lost[0]:g}"
    return ", ".join(words).replace(" at the end, ", ", ")


def plot(fault: str, run: Run) -> str:
    """The two curves as an SVG file."""
    key, heading, _ = MEASURES[run["shows"]]
    lines = [(_series(run[name]), label, style) for name, label, style in
             (("faulty", "with the fault", "c2"), ("repaired", "repaired", "v"))]  # fmt: skip
    drawn = [line for line in lines if line[0].xs]
    return draw_chart(line_chart(key, heading, drawn, x_label=run["over"]))


def _series(curve: dict[str, list[float | None]]) -> Series:
    xs, ys = [x for x in curve["xs"] if x is not None], curve["ys"]
    lost = next((x for x, y in zip(xs, ys, strict=True) if y is None), None)
    return Series("", xs, ys, lost_from=lost)


def index(runs: dict[str, Run]) -> str:
    """The table of all faults."""
    rows = []
    for fault, stage in FAULTS.items():
        title, what, _ = ABOUT[fault]
        mark = "" if runs.get(fault, {}).get("findings") else " *"
        rows.append(f"| [{fault}]({fault}.md) | {', '.join(codes()[fault])}{mark} | {stage} | **{title}.** {what} |")
    missed = [fault for fault in FAULTS if not runs.get(fault, {}).get("findings")]
    return "\n".join([
        WRITTEN, "", "# Faults that the doctor names", "",
        "`netwright check` tells what can be seen before the first step, `netwright doctor` and `nw.diagnose` what",
        "needs a run. Each page shows a real run with the fault beside its repaired twin, and the finding as it is",
        "printed (`make doctor-pages`: one thread of a CPU, 20 seconds a diagnosis). An error is proved by a",
        "measurement, or by a probe: a copy of the run with one thing changed.", "",
        "| fault | code | stage | what it is |", "|---|---|---|---|", *rows, "",
        "[callbacks.md](callbacks.md): the doctor inside other training loops.", "",
        *([f"\\* not yet found in the run on its page: {', '.join(missed)}.", ""] if missed else []),
    ])  # fmt: skip
