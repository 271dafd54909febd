"""Did it learn? The first thing on the page: a verdict, the figure it rests on, and that figure on a scale with its rivals.

The baseline is what a model gets that ignores its input (the commonest class, the mean, a uniform guess): a figure below
or near it is no learning, however good it looks.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

from netwright.core.messages import say
from netwright.reports.curves import is_figure, last_value
from netwright.reports.folder import RunRecord
from netwright.reports.numbers import as_float, finite, metric
from netwright.reports.scales import Scale, Tick, axis
from netwright.reports.words import LOWER_IS_BETTER, metric_name, value_name

__all__ = ["Headline", "Ruler", "Verdict", "class_counts", "judge", "monitored", "results"]

SPLITS = ("test", "validation", "train")
UNIT = frozenset({"accuracy", "auroc", "error_rate", "f1", "precision", "recall", "r2", "top5_accuracy"})
TELLING = ("accuracy", "f1", "r2", "rmse", "frechet", "return_mean", "perplexity")  # where the loss is what is monitored
SILENT_AFTER = 600  # seconds without a log line after which a "running" run is probably dead
UNFINISHED = ("running", "interrupted", "preempted")


@dataclass
class Headline:
    """The metric the verdict rests on; `wanted` and `baseline` are None when not known."""

    key: str
    split: str
    value: float
    wanted: float | None = None
    ok: bool | None = None
    baseline: float | None = None
    lower: bool = False

    @property
    def shown(self) -> str:
        return metric(self.key, self.value, self.wanted)

    @property
    def label(self) -> str:
        return say("{metric} ({split})", metric=metric_name(self.key), split=value_name(self.split))


@dataclass
class Ruler:
    scale: Scale
    got: float
    ticks: list[Tick]
    minor: list[float]
    marks: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Verdict:
    """`level`: good, warn, bad, or live (nothing to judge yet)."""

    level: str
    sentence: str
    reasons: list[str]
    headline: Headline | None
    ruler: Ruler | None


def judge(run: RunRecord) -> Verdict:
    headline = _headline(run)
    status = str(run.summary.get("status") or "")
    learned = _learned(run, headline)
    short = [key for key, expected in _expected(run).items() if expected.get("ok") is False]
    level, sentence = _sentence(status, learned, short, bool(_expected(run)))
    errors = sum(str(finding.get("severity")) == "error" for finding in run.findings)
    if errors and level == "good":
        level = "warn"
    reasons = [*_why(run, headline, learned), *_state(run, status)]
    if errors:
        reasons.append(say("The doctor found {count} errors; see the findings below.", count=errors) if errors > 1 else
                       say("The doctor found an error; see the findings below."))
    return Verdict(level, sentence, reasons, headline, _ruler(run, headline) if headline else None)


def _sentence(status: str, learned: bool | None, short: list[str], expects: bool) -> tuple[str, str]:
    fixed = {
        "diverged": ("bad", say("Diverged: the loss stopped being a number")),
        "failed": ("bad", say("The run failed")),
        "interrupted": ("live", say("Interrupted, and can be resumed")),
        "preempted": ("live", say("Preempted, and can be resumed")),
        "running": ("live", say("Not finished yet")),
    }
    if status in fixed:
        return fixed[status]
    if learned is False:
        return "bad", say("It did not learn")
    if short:
        return ("warn" if learned else "bad"), say("It fell short of what was expected")
    if expects:
        return "good", say("It learned, and reached what was expected")
    return ("good", say("It learned")) if learned else ("live", say("The run finished"))


def _why(run: RunRecord, headline: Headline | None, learned: bool | None) -> list[str]:
    said = []
    if headline is None:
        loss = [as_float(row.get("loss")) for row in run.train]
        known = finite(loss)
        if len(known) > 1:
            words = {"first": metric("loss", known[0]), "last": metric("loss", known[-1])}
            said.append(say("The training loss went from {first} to {last}.", **words))
        return said or [say("No figure has been measured yet.")]
    name = metric_name(headline.key)
    said += _progress(run, headline)
    if headline.wanted is not None:
        template = "At most {wanted} was wanted for {metric}." if headline.lower else "At least {wanted} was wanted for {metric}."
        said.append(say(template, wanted=metric(headline.key, headline.wanted, headline.value), metric=name))
    if headline.baseline is not None:
        figure = metric(headline.key, headline.baseline)
        said.append(say("A model that ignores its input would get {figure}.", figure=figure))
    return said


def _progress(run: RunRecord, headline: Headline) -> list[str]:
    """How the figure moved, where there is nothing else to hold it against."""
    known = finite(row.get(headline.key) for row in run.validation)
    if len(known) < 2 or headline.wanted is not None or headline.baseline is not None:
        return []
    words = {"first": metric(headline.key, known[0]), "best": metric(headline.key, (min if headline.lower else max)(known))}
    return [say("In validation {metric} went from {first} to {best} at its best.", metric=metric_name(headline.key), **words)]


def _state(run: RunRecord, status: str) -> list[str]:
    """What a run that did not come to its end owes the reader: how far it got, and whether it still lives."""
    if status not in (*UNFINISHED, "diverged", "failed"):
        return [str(run.summary["note"])] if run.summary.get("note") else []
    rows = [*run.train[-1:], *run.validation[-1:]]
    step = max(finite([run.summary.get("steps"), *(row.get("step") for row in rows)]), default=None)
    said = [] if step is None else [say("It got to step {step}.", step=f"{step:,.0f}")]
    said += [str(run.summary["note"])] if run.summary.get("note") else []
    log = run.folder / "metrics.jsonl"
    if status == "running" and log.is_file() and time.time() - log.stat().st_mtime > SILENT_AFTER:
        said.append(say("Nothing has been logged for a while: the process has probably ended; resume it as shown below."))
    return said


def results(run: RunRecord) -> dict[str, dict[str, float]]:
    """Metrics by split. What the summary does not hold (a run still under way) comes from the last lines of the log."""
    given = run.part("metrics")
    measured = any(given.get(split) for split in SPLITS)
    found: dict[str, dict[str, float]] = {}
    for split in SPLITS:
        values = given.get(split) if isinstance(given.get(split), dict) else {}
        numbers = {key: value for key, raw in (values or {}).items() if (value := as_float(raw)) is not None}
        if not measured and split != "test":
            lines = run.train if split == "train" else run.validation
            latest = {key: last_value(lines, key) for key in (lines[-1] if lines else {}) if is_figure(key)}
            numbers = {key: value for key, value in latest.items() if value is not None}
        if numbers:
            found[split] = numbers
    return found


def monitored(run: RunRecord) -> tuple[str, str]:
    """The metric that chose the best weights, and whether `max` or `min` of it."""
    monitor = run.summary.get("monitor")
    if isinstance(monitor, list) and len(monitor) == 2:
        return str(monitor[0]), str(monitor[1])
    return ("", "") if not run.validation else ("loss", "min")


def _expected(run: RunRecord) -> dict[str, dict[str, Any]]:
    return {key: value for key, value in run.part("expect").items() if isinstance(value, dict)}


def _headline(run: RunRecord) -> Headline | None:
    measured, expected = results(run), _expected(run)
    monitor, mode = monitored(run)
    logged = {key for split in measured.values() for key in split}
    telling = [key for key in TELLING if key in logged]
    wanted = sorted(expected, key=lambda name: expected[name].get("ok") is not False)  # a missed figure first
    first = [*wanted, *([] if monitor == "loss" else [monitor]), *telling, *sorted(logged - {"loss"}), "loss"]
    for key in dict.fromkeys(first):
        split = next((name for name in SPLITS if key in measured.get(name, {})), None)
        if split is None:
            continue
        want = expected.get(key, {})
        lower = mode == "min" if key == monitor else key in LOWER_IS_BETTER
        value = measured[split][key]
        return Headline(key, split, value, as_float(want.get("wanted")), want.get("ok"), _baseline(run, key), lower)
    return None


def class_counts(run: RunRecord) -> dict[str, float]:
    counts = run.split.get("classes")
    if isinstance(counts, dict) and counts and all(isinstance(value, dict) for value in counts.values()):
        counts = counts.get("train") or next(iter(counts.values()))
    if not isinstance(counts, dict):
        return {}
    return {str(label): value for label, raw in counts.items() if (value := as_float(raw)) is not None and value >= 0}


def _baseline(run: RunRecord, key: str) -> float | None:
    counts = list(class_counts(run).values())
    if key == "accuracy" and sum(counts) > 0:
        return max(counts) / sum(counts)
    if key == "r2":
        return 0.0
    vocabulary = as_float(run.schema.get("vocab_size")) or 0.0
    if vocabulary < 2:
        return None
    return {"perplexity": vocabulary, "loss": math.log(vocabulary), "bits_per_char": math.log2(vocabulary)}.get(key)


def _learned(run: RunRecord, headline: Headline | None) -> bool | None:
    """Against the baseline where there is one, else by progress; None when neither can tell."""
    if headline and not math.isfinite(headline.value):
        return False
    if headline and headline.baseline is not None:
        got, base = headline.value, headline.baseline
        return got < 0.9 * base if headline.lower else got > base + 0.05 * (1 - base)
    key, mode = monitored(run)
    values = finite([row.get(key) for row in run.validation])
    if len(values) < 3:
        key, mode, values = "loss", "min", finite([row.get("loss") for row in run.train])
    game = sum(name.endswith("_loss") for name in (run.train[0] if run.train else ())) > 1
    if len(values) < 3 or (game and key == "loss"):  # in a game of two networks a falling loss says nothing
        return None
    part = max(1, len(values) // 20)
    first, last = sum(values[:part]) / part, sum(values[-part:]) / part
    best = last if key == "loss" and not run.validation else (min if mode == "min" else max)(values)
    return (first - best if mode == "min" else best - first) > 0.02 * abs(first)


def _ruler(run: RunRecord, headline: Headline) -> Ruler | None:
    if not math.isfinite(headline.value):
        return None
    rivals = _rivals(run, headline)
    values = [headline.value, *(value for value, _, _ in rivals)]
    if not any(style in ("baseline", "wanted") for _, _, style in rivals):
        return None
    unit = headline.key in UNIT and 0 <= min(values) and max(values) <= 1
    # Zero belongs on the scale, and the best figure should not stand at its very end.
    scale = Scale(0.0, 1.0) if unit else axis([*values, 0.0, max(values) * 1.08], tight=True, may_log=False)
    major = scale.ticks(10 if unit else 8)
    gap = (major[1].place - major[0].place) / 5 if len(major) > 1 else 100.0
    minor = [round(place, 2) for n in range(int(100 / gap) + 2) if (place := (major[0].place % gap) + n * gap) <= 100]
    ticks = [Tick(tick.place, metric(headline.key, float(tick.label.replace(",", ""))) if unit else tick.label) for tick in major]
    ruler = Ruler(scale, round(scale(headline.value), 2), ticks, minor)
    for value, label, style in rivals:
        ruler.marks.append({"place": round(scale(value), 2), "label": label, "style": style, "value": metric(headline.key, value)})
    return ruler


def _rivals(run: RunRecord, headline: Headline) -> list[tuple[float, str, str]]:
    found = [
        (headline.baseline, say("ignoring the input"), "baseline"),
        (headline.wanted, say("wanted"), "wanted"),
    ]
    for split in SPLITS:
        if split != headline.split:
            found.append((results(run).get(split, {}).get(headline.key), value_name(split), split))
    return [(value, label, style) for value, label, style in found if value is not None and math.isfinite(value)]
