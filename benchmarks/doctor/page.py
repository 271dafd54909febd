"""The measured rows as tables: for the screen and for docs/bench-doctor.md."""

import math
import statistics
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["page"]

Rows = list[dict[str, Any]]
_COLUMNS: tuple[tuple[str, Callable[[Rows], str]], ...] = (
    ("n", lambda rows: str(len(rows))),
    ("detected", lambda rows: _share(r["detected"] for r in rows)),
    ("first cause", lambda rows: _share(r["first"] for r in rows)),
    ("top three", lambda rows: _share(r["three"] for r in rows)),
    ("proved", lambda rows: _share(r["proved"] for r in rows)),
    ("static", lambda rows: _share(r["static"] for r in rows if r["static"] is not None)),
    ("repaired", lambda rows: _share(r["repaired"] for r in rows if "repaired" in r)),
    ("random", lambda rows: _share(r["random"] for r in rows if "random" in r)),
    ("repaired, 3 runs", lambda rows: _share(r["in_three"] for r in rows if "in_three" in r)),
    ("random, 3 runs", lambda rows: _share(r["random_three"] for r in rows if "random_three" in r)),
    ("s a case", lambda rows: f"{statistics.mean(r['seconds'] for r in rows):.1f}"),
)


def page(rows: Rows, held_out: set[str], machine: str, budget: float, took: float, rivals: list[str]) -> str:
    """The whole page, in Markdown."""
    whole = [row for row in rows if not row["problem"]]
    faulty, healthy = [r for r in whole if r["fault"]], [r for r in whole if not r["fault"]]
    parts = {"all": faulty, "tuned on": [r for r in faulty if r["family"] not in held_out],
             "held out": [r for r in faulty if r["family"] in held_out]}  # fmt: skip
    families = {
        f"{name}{' (held out)' if name in held_out else ''}": [r for r in faulty if r["family"] == name]
        for name in dict.fromkeys(r["family"] for r in faulty)
    }
    faults = {name: [r for r in faulty if r["fault"] == name] for name in sorted({r["fault"] for r in faulty})}
    blocks = [
        _head(budget, machine, took, len(rows)), "## Faulty programs", _table("", parts), _costs(faulty),
        "## Healthy programs", _healthy(healthy, held_out), *rivals,
        "## By family", _table("family", families), "## By fault", _table("fault", faults),
        "## Held out and tuned, by fault", _halves(faulty, held_out), _alarms(healthy), _problems(rows),
    ]  # fmt: skip
    return "\n\n".join(block for block in blocks if block) + "\n"


def _share(values: Iterable[Any]) -> str:
    held = [float(value) for value in values]
    return f"{statistics.mean(held):.2f}" if held else ""


def _head(budget: float, machine: str, took: float, count: int) -> str:
    return f"""# How well the doctor does

Written by `make doctor-bench` ([benchmarks/doctor](../benchmarks/doctor)): {count} programs, at most {budget:g} s of `diagnose` each, {took / 60:.0f} minutes in all. Every faulty program is worse than its repaired twin on each of three seeds (`run.py --verify`), but for those whose fault is waste or risk and not harm. Whole families are held out from tuning; of their programs only `windows` and a one-unit `curve` were looked at when they failed.

Measured on: {machine}.

*detected*: an error or a warning (for waste, a note); *first cause*, *top three*: the fault's name; *proved*: the right name, as a proved error; *static*: found by `nw.check` before any step, of the faults that can be seen there. *repaired*: with one of the first three changes that follow from the diagnosis (what proved a finding; for a fault that a rule read off, what a probe of it changes; then the best probes), the whole planned run comes at least 80 % of the way from the faulty program's figure on examples held out to its twin's; *random*: random search over learning rate, optimizer, decay, initial weights, input scaling and batch size does so in the time of the diagnosis and those runs. *repaired, 3 runs*: a diagnosis in the time of two runs, and its first change for one; *random, 3 runs*: random search in three runs, its diagnosis being nothing. Of the faults for which the doctor knows a change of a running program; for the others (a wrong shape, corrupted labels) somebody must edit code or data."""  # noqa: E501


def _table(title: str, groups: dict[str, Rows], columns: Any = _COLUMNS) -> str:
    lines = ["| " + " | ".join([title, *(name for name, _ in columns)]) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, part in groups.items():
        if part:
            lines.append("| " + " | ".join([name, *(tell(part) for _, tell in columns)]) + " |")
    return "\n".join(lines)


def _halves(faulty: Rows, held_out: set[str]) -> str:
    lines = ["| fault | n tuned | detected | first cause | n held out | detected | first cause |", "|---" * 7 + "|"]
    for fault in sorted({row["fault"] for row in faulty}):
        cells = [fault]
        for held in (False, True):
            part = [r for r in faulty if r["fault"] == fault and (r["family"] in held_out) == held]
            cells += [str(len(part)), _share(r["detected"] for r in part), _share(r["first"] for r in part)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _costs(faulty: Rows) -> str:
    asked = [row for row in faulty if "repaired" in row]
    if not asked:
        return ""
    cost, short = (statistics.median(row[key] for row in asked) for key in ("cost", "short_cost"))
    tries = statistics.median(row["tries"] for row in asked)
    return (
        f"{len(asked)} programs can be repaired. The whole diagnosis and its repair cost {cost:.1f} runs of the "
        f"program (median; the programs are tiny), random search in the same time made {tries:.0f} runs; with three "
        f"runs' time, diagnosis and repair took {short:.1f}."
    )


def _healthy(healthy: Rows, held_out: set[str]) -> str:
    lines = ["| | n | an error | a warning | repair proposed | made worse by it | s a case |", "|---" * 7 + "|"]
    for name, part in (("all", healthy), ("tuned on", [r for r in healthy if r["family"] not in held_out]),
                       ("held out", [r for r in healthy if r["family"] in held_out])):  # fmt: skip
        if part:
            errors = sum(r["error"] for r in part)
            warned = sum(r["detected"] and not r["error"] for r in part)
            proposed, worse = sum(bool(r.get("cure")) for r in part), sum(bool(r.get("made_worse")) for r in part)
            seconds = statistics.mean(r["seconds"] for r in part)
            lines.append(f"| {name} | {len(part)} | {errors} | {warned} | {proposed} | {worse} | {seconds:.1f} |")
    return "\n".join(lines)


def _alarms(healthy: Rows) -> str:
    lines = [
        f"- {row['family']} {told(row['dials'])}: " + ", ".join(f"{name} ({level})" for name, level, *_ in row["said"])
        for row in healthy if row["detected"]
    ]  # fmt: skip
    return "\n".join(["## False alarms", "", *lines]) if lines else ""


def _problems(rows: Rows) -> str:
    lines = [
        f"- {row['family']} {row['fault']}: `{row['problem'].strip().splitlines()[-1]}`"
        for row in rows
        if row["problem"]
    ]
    return "\n".join(["## Programs that could not be measured", "", *lines]) if lines else ""


def told(dials: dict[str, Any]) -> str:
    """Dials in words."""
    return (
        ", ".join(f"{key}={value:g}" if _number(value) else f"{key}={value}" for key, value in dials.items())
        or "as it is"
    )


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
