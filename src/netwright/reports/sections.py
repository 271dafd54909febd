"""The middle of the page: figures and curves, each as plain data for the template."""

from __future__ import annotations

from typing import Any

from netwright.core.messages import say
from netwright.reports.charts import Chart, line_chart
from netwright.reports.curves import Series, Topic, signals, topics
from netwright.reports.folder import RunRecord, mapping
from netwright.reports.measured import expected, monitored, results
from netwright.reports.numbers import as_float, big, count, duration, finite, metric
from netwright.reports.verdict import Verdict
from netwright.reports.words import metric_name, value_name

__all__ = ["best_point", "curves", "figures", "metrics_table", "signal_charts"]

STYLES = ("c1", "c2", "c3", "c4")


def figures(run: RunRecord, verdict: Verdict) -> list[dict[str, str]]:
    """The strip of numbers under the verdict; what is not known is left out."""
    summary, shown = run.summary, []

    def add(value: str, label: str, detail: str = "") -> None:
        if value != "–":
            shown.append({"value": value, "label": label, "detail": detail})

    parameters = summary.get("parameters", run.architecture.get("parameters"))
    add(big(parameters), say("parameters"), count(parameters) if (as_float(parameters) or 0) >= 1e4 else "")
    steps = count(summary.get("steps"))
    add(
        duration(summary.get("seconds")),
        say("training time"),
        "" if steps == "–" else say("{steps} steps", steps=steps),
    )
    add(big(summary.get("examples_per_second")), say("examples per second"), str(run.environment.get("device") or ""))
    best, total = best_point(run), as_float(_epochs(run))
    if best and best[1] is not None:
        add(
            f"{best[1]:g}" + (f" / {total:g}" if total else ""),
            say("best epoch"),
            say("step {step}", step=count(best[0])),
        )
    else:
        add(count(total), say("epochs"))
    add(big(run.architecture.get("flops")), say("FLOPs per example"), say("a multiply-add counts as 2"))
    return shown


def _epochs(run: RunRecord) -> Any:
    """Of the plan where the run is unfinished: "3 / 20" says more than "3 / 3"."""
    planned = mapping(run.config.get("train")).get("epochs")
    return (
        run.summary.get("epochs") if run.summary.get("status") == "finished" else planned or run.summary.get("epochs")
    )


def metrics_table(run: RunRecord, headline: str) -> dict[str, Any]:
    """Metric by split, the one of the verdict first and the loss last."""
    measured = results(run)
    wishes = expected(run)
    splits = [split for split in ("train", "validation", "test") if split in measured]
    keys = list(dict.fromkeys(key for split in reversed(splits) for key in measured[split]))
    keys.sort(key=lambda key: (key != headline, key == "loss"))
    rows = []
    for key in keys:
        want = wishes.get(key, {})
        wanted = "" if not want else metric(key, want.get("wanted"), want.get("got"))
        cells = [metric(key, measured[split].get(key)) for split in splits]
        rows.append(
            {"name": metric_name(key), "cells": cells, "wanted": wanted, "ok": want.get("ok") if want else None}
        )
    return {
        "splits": [value_name(split) for split in splits],
        "rows": rows,
        "expects": any(row["wanted"] for row in rows),
    }


def curves(run: RunRecord) -> list[Chart]:
    monitor, _ = monitored(run)
    return [_chart(run, topic, monitor) for topic in topics(run, monitor)]


def _chart(run: RunRecord, topic: Topic, monitor: str) -> Chart:
    split_names = {each.name for each in topic.series} <= {"train", "validation"}
    if split_names:
        lines = [(each, value_name(each.name), "v" if each.name == "validation" else "t") for each in topic.series]
    else:
        lines = [(each, metric_name(each.name), style) for each, style in zip(topic.series, STYLES, strict=False)]
    title = say("losses by part") if topic.key == "losses" else metric_name(topic.key)
    if split_names and len(topic.series) == 1:
        title = say("{metric} ({split})", metric=title, split=value_name(topic.series[0].name))
        lines = [(each, name, "v") for each, name, _ in lines]  # grey is for what stands behind another line
    best, guide = None, None
    validated = any(each.name == "validation" for each in topic.series)
    if validated and topic.key in (monitor, "loss"):
        best = _best(run, topic)
    wanted = as_float(expected(run).get(topic.key, {}).get("wanted"))
    if wanted is not None:
        guide = (wanted, say("wanted {value}", value=metric(topic.key, wanted)))
    return line_chart(topic.key, title, lines, x_label=say("step"), best=best, guide=guide, x_range=_steps(run))


def _steps(run: RunRecord) -> tuple[float, float] | None:
    """All charts share one time axis, so that a bump in one can be found in the next."""
    steps = finite(row.get("step") for lines in (run.train, run.validation) for row in (*lines[:1], *lines[-1:]))
    return (min(steps), max(steps)) if steps else None


def _best(run: RunRecord, topic: Topic) -> tuple[float, str] | None:
    best = best_point(run)
    validation = next((each for each in topic.series if each.name == "validation"), None)
    if best is None or validation is None or not validation.known:
        return None
    step, epoch = best
    value = metric(topic.key, min(validation.known, key=lambda point: abs(point[0] - step))[1])
    if epoch is None:
        return step, say("best: {value}", value=value)
    return step, say("best, epoch {epoch}: {value}", epoch=f"{epoch:g}", value=value)


def best_point(run: RunRecord) -> tuple[float, float | None] | None:
    """Step and epoch of the best weights; a run that was not validated has none (its summary says step 0)."""
    step, epoch = as_float(run.summary.get("best_step")), as_float(run.summary.get("best_epoch"))
    if not step:
        marked = [row for row in run.validation if row.get("best") is True]
        step, epoch = (as_float(marked[-1].get("step")), as_float(marked[-1].get("epoch"))) if marked else (None, None)
    return None if step is None or not run.validation else (step, epoch)


def signal_charts(run: RunRecord) -> list[Chart]:
    charts = []
    for topic in signals(run):
        named = [(each, metric_name(each.name or topic.key)) for each in topic.series]
        lines: list[tuple[Series, str, str]] = [
            (each, name, style) for (each, name), style in zip(named, STYLES, strict=False)
        ]
        guide = (1e-3, say("0.001 is usual")) if topic.key == "update_ratio" else None
        charts.append(
            line_chart(topic.key, metric_name(topic.key), lines, x_label=say("step"), guide=guide, x_range=_steps(run))
        )
    return charts
