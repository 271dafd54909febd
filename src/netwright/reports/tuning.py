"""The page of a search: its verdict, how it went, which settings matter, and every trial. From `tuning.json` alone."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netwright.core.errors import CheckpointError, because
from netwright.core.messages import language, say
from netwright.reports.charts import Chart, Line, dots, line_chart, scatter
from netwright.reports.curves import Series
from netwright.reports.folder import mapping
from netwright.reports.numbers import as_float, count, duration, metric, number, percent, plain
from netwright.reports.scales import Tick
from netwright.reports.words import metric_name, value_name

__all__ = ["RECORD", "tuning_view"]

RECORD = "tuning.json"
_MOST_LINES, _MOST_SLICES = 60, 9


def tuning_view(folder: Path) -> dict[str, Any]:
    """What the template shows of the search in `folder`.

    Raises CheckpointError when its record is damaged.
    """
    path = folder / RECORD
    try:
        told = mapping(json.loads(path.read_text("utf-8")))
        trials = [mapping(row) for row in told["trials"]]
        name = str(told["metric"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        template = "{path} is damaged ({reason}); restore it or tune again"
        raise CheckpointError(template, path=path, reason=because(error)) from error
    best, baseline = mapping(told.get("best")), mapping(told.get("baseline"))
    value = as_float(best.get("value"))
    history = _history(trials, name, told.get("sense") == "max")
    view: dict[str, Any] = {
        "lang": "zh-CN" if language() == "zh" else "en",
        "title": folder.resolve().name,
        "pause": "" if language() == "zh" else " ",
        "level": "good" if told.get("kept") == "best" else "warn",
        "said": _said(told),
        "metric": metric_name(name),
        "headline": metric(name, value, as_float(baseline.get("value"))) if value is not None else "",
        "figures": _figures(told, trials, name),
        "changed": _changed(best, mapping(told.get("space"))),
        "history": [history] if history else [],
        "importance": _importance(mapping(told.get("importance"))),
        "parallel": _parallel(trials, best),
        "slices": _slices(trials, mapping(told.get("space")), name),
        "trials": [_row(row, name) for row in trials],
        "written": datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
    }
    headings = {"changed": say("What the best trial changes"), "history": say("History"), "trials": say("Trials")}
    if view["importance"] or view["parallel"] or view["slices"]:
        headings["matters"] = say("What matters")
    order = [anchor for anchor in ("changed", "history", "matters", "trials") if anchor in headings]
    view["contents"] = [(anchor, headings[anchor], 0) for anchor in order if anchor == "matters" or view[anchor]]
    return view


def _said(told: Mapping[str, Any]) -> list[str]:
    """The verdict and what is added to it, a sentence each."""
    parts = str(told.get("verdict") or say("The search is not finished.")).split("; ")
    dot = "。" if language() == "zh" else "."
    said = [part if part.endswith(dot) else part + dot for part in (*parts, *map(str, told.get("notes") or ()))]
    return [part[:1].upper() + part[1:] for part in said]


def _figures(told: Mapping[str, Any], trials: list[dict[str, Any]], name: str) -> list[dict[str, str]]:
    again = mapping(told.get("again"))
    shown = [(count(len(trials)), say("trials")), (duration(told.get("seconds")), say("time"))]
    for key, label in (("baseline", say("the config as it is")), ("best", say("best trial"))):
        shown.append((metric(name, mapping(told.get(key)).get("value")), label))
    if (gain := as_float(again.get("gain"))) is not None:
        shown.append((number(gain), say("gain with other seeds")))
    return [{"value": value, "label": label} for value, label in shown if value != "–"]


def _changed(best: Mapping[str, Any], space: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {"path": path, "value": _shown(value), "range": _range(space.get(path))}
        for path, value in mapping(best.get("settings")).items()
    ]


def _shown(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list) else plain(value)


def _range(told: Any) -> str:
    """A range or choices as a reader has them."""
    if isinstance(told, list) and len(told) in (2, 3) and as_float(told[0]) is not None and told[-1] != told[0]:
        low, high = number(told[0]), number(told[1])
        if told[2:] == ["usual"]:
            return say("{low} to {high} times the usual", low=low, high=high)
        if len(told) == 2 or told[2:] == ["log"]:
            return say("{low} to {high}", low=low, high=high)
    values = mapping(told).get("choices", told)
    return ", ".join(map(_shown, values)) if isinstance(values, list) else _shown(values)


def _history(trials: list[dict[str, Any]], name: str, rising: bool) -> Chart | None:
    """Each trial's figure, and the best one until then."""
    known = [
        (float(row["number"]), value, row.get("status") in ("finished", "cut")) for row in trials
        if (value := as_float(row.get("value"))) is not None and math.isfinite(value)
    ]  # fmt: skip
    if len(known) < 2:
        return None
    xs: list[float] = []
    best: list[float | None] = []
    for at, value, counts in known:
        if counts:
            xs.append(at)
            before = best[-1] if best else None
            best.append(value if before is None else max(before, value) if rising else min(before, value))
    every = Series(say("trial"), [at for at, _, _ in known], [value for _, value, _ in known])
    lines = [(every, say("trial"), "t"), (Series(say("best until then"), xs, best), say("best until then"), "v")]
    chart = line_chart(name, metric_name(name), lines, x_label=say("trial"))
    chart.lines[0].path = ""
    return chart


def _importance(shares: Mapping[str, Any]) -> list[dict[str, Any]]:
    known = [(path, share) for path, value in shares.items() if (share := as_float(value)) is not None]
    return [{"path": path, "share": percent(share, 0), "width": round(100 * share, 1)} for path, share in known]


def _slices(trials: list[dict[str, Any]], space: Mapping[str, Any], name: str) -> list[Chart]:
    """The figure against each setting that is a number."""
    charts = []
    for path, told in space.items():
        log = isinstance(told, list) and told[-1] in ("log", "usual")
        pairs = [
            (math.log10(x) if log else x, y) for row in trials
            if (x := as_float(mapping(row.get("settings")).get(path))) is not None and (x > 0 or not log)
            and (y := as_float(row.get("value"))) is not None
        ]  # fmt: skip
        if len(pairs) >= 3:
            label = say("{path}, powers of ten", path=path) if log else path
            xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
            charts.append(scatter(_short(path), xs, ys, label, metric_name(name), diagonal=False))
            charts[-1].square = False
    return charts[:_MOST_SLICES]


def _parallel(trials: list[dict[str, Any]], best: Mapping[str, Any]) -> Chart | None:
    """Each trial as a line through its settings, the best one on top; each axis goes from its lowest to its highest."""
    done = [row for row in trials if as_float(row.get("value")) is not None and mapping(row.get("settings"))]
    paths = list(dict.fromkeys(path for row in done for path in row["settings"]))
    if len(done) < 3 or len(paths) < 2:
        return None
    places = {path: _places([row["settings"].get(path) for row in done]) for path in paths}
    at = [100 * k / (len(paths) - 1) for k in range(len(paths))]
    drawn = sorted(range(len(done)), key=lambda k: done[k].get("number") == best.get("number"))[-_MOST_LINES:]
    lines = [Line(say("trial"), "t"), Line(say("best trial"), "v")]
    for k in drawn:
        points = [(x, y) for x, path in zip(at, paths, strict=True) if (y := places[path][k]) is not None]
        is_best = done[k].get("number") == best.get("number")
        if points:
            lines[is_best].path += "M" + "L".join(f"{10 * x:.0f} {1000 - 10 * y:.0f}" for x, y in points)
        lines[is_best].dots = dots(points) if is_best else ""
    ticks = [Tick(round(x, 2), _short(path)) for x, path in zip(at, paths, strict=True)]
    summary = say("{count} trials through their settings", count=len(drawn))
    return Chart(say("Settings of the trials; the best one stands out"), "", summary, lines, ticks)


def _short(path: str) -> str:
    return path.removesuffix(".name").rpartition(".")[2].replace("_", " ")


def _places(values: list[Any]) -> list[float | None]:
    """Where values stand between 4 and 96 % of an axis: by rank, words in their alphabet's order."""
    known = [value for value in values if value is not None]
    order = sorted({_key(value) for value in known})
    step = 92 / max(len(order) - 1, 1)
    return [None if value is None else 4 + step * order.index(_key(value)) for value in values]


def _key(value: Any) -> tuple[int, float, str]:
    got = as_float(value)
    return (0, got, "") if got is not None else (1, 0.0, json.dumps(value))


def _row(row: Mapping[str, Any], name: str) -> dict[str, str]:
    settings = mapping(row.get("settings"))
    told = ", ".join(f"{_short(path)} {_shown(value)}" for path, value in settings.items())
    told = told or say("the config as it is")
    status = value_name(str(row.get("status") or ""))
    return {
        "number": str(row.get("number")), "status": status, "value": metric(name, row.get("value")),
        "seconds": duration(row.get("seconds")), "told": ": ".join(filter(None, (told, row.get("reason")))),
    }  # fmt: skip
