"""Did it learn? The first thing on the page: a verdict, why, and the figure it rests on."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from netwright.core.messages import language, say
from netwright.reports.folder import RunRecord
from netwright.reports.measured import Headline, expected, headline_of, monitored
from netwright.reports.numbers import finite, in_percent, metric
from netwright.reports.ruler import UNIT, Ruler, ruler_of
from netwright.reports.words import metric_name

__all__ = ["UNFINISHED", "Verdict", "judge"]

SILENT_AFTER = 600  # seconds without a log line after which a "running" run is probably dead
PERFECT = 0.99  # of figures from 0 to 1
UNFINISHED = ("running", "interrupted", "preempted")


@dataclass
class Verdict:
    """`level`: good, warn, bad, or live (nothing to judge yet)."""

    level: str
    sentence: str
    reasons: list[str]
    headline: Headline | None
    ruler: Ruler | None


def judge(run: RunRecord) -> Verdict:
    """The verdict on a run, from its figures, its status and the doctor's errors."""
    headline = headline_of(run)
    status = str(run.summary.get("status") or "running")  # no summary yet: it ended or was looked at early
    learned = _learned(run, headline)
    short = [key for key, wish in expected(run).items() if wish.get("ok") is False]
    level, sentence = _sentence(status, learned, short, bool(expected(run)))
    errors = sum(str(finding.get("severity")) == "error" for finding in run.findings)
    if errors and level == "good":
        level = "warn"
    reasons = [*_why(run, headline), *_state(run, status)]
    if errors:
        reasons.append(say("Errors that the doctor found: {count}; see the findings below.", count=errors))
    return Verdict(level, sentence, reasons, headline, ruler_of(run, headline) if headline else None)


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


def _why(run: RunRecord, headline: Headline | None) -> list[str]:
    said = []
    if headline is None:
        known = finite(row.get("loss") for row in run.train)
        if len(known) > 1:
            words = {"first": metric("loss", known[0]), "last": metric("loss", known[-1])}
            said.append(say("The training loss went from {first} to {last}.", **words))
        return said or [say("No figure has been measured yet.")]
    name = metric_name(headline.key)
    said += _progress(run, headline)
    if headline.wanted is not None:
        template = (
            "At most {wanted} was wanted for {metric}."
            if headline.lower
            else "At least {wanted} was wanted for {metric}."
        )
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
    words = {
        "first": metric(headline.key, known[0]),
        "best": metric(headline.key, (min if headline.lower else max)(known)),
    }
    return [
        say(
            "In validation {metric} went from {first} to {best} at its best.", metric=metric_name(headline.key), **words
        )
    ]


def _state(run: RunRecord, status: str) -> list[str]:
    """What a run that did not come to its end owes the reader: how far it got, and whether it still lives."""
    if status not in (*UNFINISHED, "diverged", "failed"):
        return _note(run)
    rows = [*run.train[-1:], *run.validation[-1:]]
    step = max(finite([run.summary.get("steps"), *(row.get("step") for row in rows)]), default=None)
    said = [] if step is None else [say("It got to step {step}.", step=f"{step:,.0f}")]
    said += _note(run)
    log = run.folder / "metrics.jsonl"
    if status == "running" and log.is_file() and time.time() - log.stat().st_mtime > SILENT_AFTER:
        said.append(
            say("Nothing has been logged for a while: the process has probably ended; resume it as shown below.")
        )
    return said


def _note(run: RunRecord) -> list[str]:
    """What the run says of its own end, as a sentence."""
    note = str(run.summary.get("note") or "").strip()
    stop = "。" if language() == "zh" else "."
    return [note[0].upper() + note[1:] + ("" if note[-1] in ".!?。！？" else stop)] if note else []


def _learned(run: RunRecord, headline: Headline | None) -> bool | None:
    """Against the baseline where there is one, else by progress; None when neither can tell."""
    if headline and not math.isfinite(headline.value):
        return False
    if headline and headline.baseline is not None:
        got, base = headline.value, headline.baseline
        return got < 0.9 * base if headline.lower else got > base + 0.05 * (1 - base)
    key, mode = monitored(run)
    values = finite([row.get(key) for row in run.validation])
    if mode == "max" and (key in UNIT or in_percent(key)) and max(values, default=0.0) >= PERFECT:
        return True  # from the first look on, perhaps: there is no room for progress
    if len(values) < 3:
        key, mode, values = "loss", "min", finite([row.get("loss") for row in run.train])
    game = sum(name.endswith("_loss") for name in (run.train[0] if run.train else ())) > 1
    if len(values) < 3 or (game and key == "loss"):  # in a game of two networks a falling loss says nothing
        return None
    part = max(1, len(values) // 20)
    first, last = sum(values[:part]) / part, sum(values[-part:]) / part
    best = last if key == "loss" and not run.validation else (min if mode == "min" else max)(values)
    return (first - best if mode == "min" else best - first) > 0.02 * abs(first)
