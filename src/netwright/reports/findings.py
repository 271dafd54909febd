"""What the doctor found, as plain data for the template; where an experiment showed it, with its two curves."""

from __future__ import annotations

import math
from typing import Any

from netwright.core.messages import say
from netwright.doctor.about import about
from netwright.doctor.findings import Probe
from netwright.reports.charts import Chart, Mark, line_chart
from netwright.reports.curves import Series
from netwright.reports.folder import RunRecord, mapping
from netwright.reports.numbers import as_float, finite, percent, plain, whole
from netwright.reports.words import value_name

__all__ = ["findings", "probe_view"]

SEVERITIES = ("error", "warning", "note")
MOST_FINDINGS = 60
OTHER_LOSS = frozenset({"loss", "plain-loss", "targets"})  # changes after which a loss is another quantity


def findings(run: RunRecord) -> dict[str, Any]:
    """Errors first; a finding that was logged again and again is shown once, with how often."""
    once: dict[tuple[str, ...], dict[str, Any]] = {}
    for raw in run.findings:
        severity = str(raw.get("severity")) if raw.get("severity") in SEVERITIES else "note"
        key = (severity, *(plain(raw.get(name)) for name in ("code", "fault", "where", "why")))
        times = once[key]["times"] + 1 if key in once else 1
        once[key] = {**_finding(raw, severity), "times": times}  # the latest evidence counts
    items = sorted(once.values(), key=lambda item: SEVERITIES.index(item["severity"]))
    counts = [(name, value_name(name), sum(item["severity"] == name for item in items)) for name in SEVERITIES]
    left_out = max(0, len(items) - MOST_FINDINGS)
    return {
        "items": items[:MOST_FINDINGS],
        "counts": [each for each in counts if each[2]],
        "left_out": left_out,
        "recorded": (run.folder / "findings.jsonl").is_file(),
    }


def _finding(raw: dict[str, Any], severity: str) -> dict[str, Any]:
    fix, known, probe = raw.get("fix"), about(str(raw.get("fault"))), probe_view(raw.get("probe"))
    proven = "" if raw.get("proven") is not True else say("proven by a probe") if probe else say("proven")
    return {
        **{name: _text(raw.get(name)) for name in ("code", "fault", "where", "evidence", "why", "remedy")},
        "effect": _effect(raw.get("effect")),
        "severity": severity,
        "word": value_name(severity),
        "proven": proven,
        "title": known.title if known else "",
        "page": known.page if known else "",
        "probe": probe,
        "fix": [f"{key}: {plain(value)}" for key, value in fix.items()] if isinstance(fix, dict) else [],
    }


def _text(value: Any) -> str:
    return "" if value in (None, "", [], {}) else plain(value)


def _effect(value: Any) -> str:
    """A share of the error where it is one, else as it stands."""
    share = as_float(value)
    if share is None or not 0 < share <= 1:
        return _text(value)
    return say("{share} less error with the remedy", share=percent(share))


def probe_view(raw: Any) -> dict[str, Any] | None:
    """Both curves of an experiment on one scale, side by side; None where there is nothing to draw.

    Where the change makes the loss another quantity, both are drawn relative to their first value.
    """
    probe = mapping(raw)
    given = (probe.get("unchanged"), probe.get("changed"))
    curves = [finite(values) if isinstance(values, list) else [] for values in given]
    if not all(curves):
        return None
    relative = str(probe.get("change")) in OTHER_LOSS
    if relative:
        curves = [[value / (abs(curve[0]) or 1.0) for value in curve] for curve in curves]
    steps = max(whole(probe.get("steps")), *(len(curve) for curve in curves))
    stride = max(1, math.ceil(steps / Probe.points))
    before, after = (_series(curve, stride, steps) for curve in curves)
    return {
        "steps": f"{steps:,.0f}",
        "words": _text(probe.get("words")) or _text(probe.get("change")),
        "charts": _charts(before, after, steps, stride, relative),
    }


def _series(curve: list[float], stride: int, steps: int) -> Series:
    """Each point is the mean of `stride` steps and stands in their middle."""
    xs = [min(at * stride + (stride + 1) / 2, steps) for at in range(len(curve))]
    return Series("", xs, list(curve))


def _charts(before: Series, after: Series, steps: int, stride: int, relative: bool) -> list[Chart]:
    label = say("loss, relative to its first value") if relative else say("loss")
    every = [y for y in (*before.ys, *after.ys) if y is not None]
    unchanged, changed = say("unchanged"), say("changed")
    panels = [
        (unchanged, [(before, unchanged, "c2")]),
        (changed, [(before, unchanged, "t"), (after, changed, "v")]),
    ]
    charts = []
    for title, lines in panels:
        shown = {"x_label": say("step"), "y_label": label, "x_range": (1.0, steps), "also": every}
        chart = line_chart("loss", title, lines, **shown)  # type: ignore[arg-type]
        last = lines[-1][0].xs[-1]
        if last + 2 * stride < steps:  # nothing that could be drawn came after it
            ended = say("ends at step {step}", step=f"{last:,.0f}")
            chart.marks.append(Mark(round(100 * last / steps, 2), None, ended, "lost"))
        charts.append(chart)
    return charts
