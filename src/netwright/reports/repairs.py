"""What `doctor --repair` tried: each attempt with its change of the config, and the figures before and after it."""

from __future__ import annotations

from typing import Any

from netwright.core.messages import say
from netwright.doctor.about import about
from netwright.doctor.words import CHANGED
from netwright.reports.folder import RunRecord, mapping
from netwright.reports.numbers import as_float, count, duration, metric, plain, whole
from netwright.reports.words import LOWER_IS_BETTER, metric_name, value_name

__all__ = ["repairs"]

MOST_LINES = 400  # of a diff
_STYLES = (("+++", "file"), ("---", "file"), ("@@", "hunk"), ("+", "add"), ("-", "del"))


def repairs(run: RunRecord) -> dict[str, Any]:
    """Attempts in their order and a sentence on what was kept; empty where no repair was asked for."""
    rows = run.repairs.get("attempts")
    attempts = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    kept = run.repairs.get("kept")
    views = [_attempt(row, number, kept) for number, row in enumerate(attempts, 1)]
    verdict = str(run.repairs.get("verdict") or "")
    if not views and not verdict:
        return {}
    under_way = isinstance(run.repairs.get("plan"), dict)
    said = say("The repair is not finished.") if under_way else _said(views, kept) if views else verdict
    return {"attempts": views, "said": said}


def _said(views: list[dict[str, Any]], kept: Any) -> str:
    for view in views:
        if view["kept"]:
            return say("Attempt {number} was kept: {folder}.", number=view["number"], folder=view["folder"] or "–")
    if kept == "original":
        return say("No attempt was better than the run as it was, so that one was kept.")
    return say("Nothing is recorded about which run was kept.")


def _attempt(row: dict[str, Any], at: int, kept: Any) -> dict[str, Any]:
    number = whole(row.get("number")) or at
    known, start = about(str(row.get("fault"))), as_float(row.get("from_step")) or 0.0
    return {
        "number": number,
        "fault": plain(row.get("fault")),
        "title": known.title if known else "",
        "change": _change(row.get("change")),
        "start": say("from step {step}", step=count(start)) if start else say("from the start"),
        "held": row.get("held") is True,
        "kept": not isinstance(kept, bool) and as_float(kept) == number,
        "seconds": duration(row.get("seconds")),
        "folder": plain(row["folder"]) if row.get("folder") else "",
        "note": plain(row["note"]) if row.get("note") else "",
        "figures": _figures(_flat(row.get("before")), _flat(row.get("after"))),
        "diff": _diff(row.get("diff")),
    }


def _change(told: Any) -> str:
    """In words where it is one of the probes' changes."""
    known = CHANGED.get(told) if isinstance(told, str) else None
    return say(known) if known else "" if told is None else plain(told)


def _flat(figures: Any) -> dict[tuple[str, str], float]:
    """(metric, split) -> value; the split is empty where metrics are not told by split."""
    flat: dict[tuple[str, str], Any] = {}
    for name, value in mapping(figures).items():
        inner = mapping(value)
        flat |= {(str(key), str(name)): one for key, one in inner.items()} if inner else {(str(name), ""): value}
    return {key: got for key, value in flat.items() if (got := as_float(value)) is not None}


def _figures(before: dict[tuple[str, str], float], after: dict[tuple[str, str], float]) -> list[dict[str, Any]]:
    rows = []
    for key in dict.fromkeys([*before, *after]):
        name, split = key
        label = metric_name(name)
        old, new = before.get(key), after.get(key)
        better = None if old is None or new is None or old == new else (new < old) == _lower(name)
        rows.append({
            "name": say("{metric} ({split})", metric=label, split=value_name(split)) if split else label,
            "before": metric(name, old, new), "after": metric(name, new, old), "better": better,
        })  # fmt: skip
    return rows


def _lower(name: str) -> bool:
    return name in LOWER_IS_BETTER or name.endswith("loss")


def _diff(text: Any) -> list[tuple[str, str]]:
    """(style, line) of a unified diff."""
    lines = text.splitlines() if isinstance(text, str) else []
    styled = [(next((style for mark, style in _STYLES if line.startswith(mark)), ""), line) for line in lines]
    return styled[:MOST_LINES]
