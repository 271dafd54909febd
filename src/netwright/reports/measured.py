"""The figures of a run, and the one that its verdict rests on.

The baseline is what a model gets that ignores its input (the commonest class, the mean, a uniform guess): a figure
below or near it is no learning, however good it looks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from netwright.core.messages import say
from netwright.reports.curves import is_figure, last_value
from netwright.reports.folder import RunRecord, mapping
from netwright.reports.numbers import as_float, metric
from netwright.reports.words import LOWER_IS_BETTER, RECALL, metric_name, value_name

__all__ = ["SPLITS", "Headline", "class_counts", "expected", "headline_of", "monitored", "results"]

SPLITS = ("test", "validation", "train")
# What is told of a run that monitors its loss.
TELLING = ("accuracy", "recall_at_1", "f1", "r2", "rmse", "frechet", "return_mean", "perplexity")


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


def headline_of(run: RunRecord) -> Headline | None:
    """What was expected comes first, then what was monitored; of the splits test, else validation, else train."""
    measured, wishes = results(run), expected(run)
    if run.summary.get("status") == "diverged" and not any(run.part("metrics").values()):
        return None  # the last loss before it broke is no figure of merit
    monitor, mode = monitored(run)
    logged = {key for split in measured.values() for key in split}
    telling = [key for key in TELLING if key in logged]
    wanted = sorted(wishes, key=lambda name: wishes[name].get("ok") is not False)  # a missed figure first
    first = [*wanted, *([] if monitor == "loss" else [monitor]), *telling, *sorted(logged - {"loss"}), "loss"]
    for key in dict.fromkeys(first):
        split = next((name for name in SPLITS if key in measured.get(name, {})), None)
        if split is None:
            continue
        want = wishes.get(key, {})
        lower = mode == "min" if key == monitor else key in LOWER_IS_BETTER
        value = measured[split][key]
        return Headline(key, split, value, as_float(want.get("wanted")), want.get("ok"), _baseline(run, key), lower)
    return None


def _baseline(run: RunRecord, key: str) -> float | None:
    """The figure of an answer that does not look at the input, where there is a best one."""
    counts = class_counts(run)
    if (total := sum(counts.values())) > 0:
        shares = [count / total for count in counts.values()]
        if key == "accuracy":
            return max(shares)
        if depth := RECALL.fullmatch(key):  # neighbours by chance
            return sum(share * (1 - (1 - share) ** int(depth[1])) for share in shares)
        if key in ("dice", "iou") and mapping(run.schema.get("target")).get("kind") == "mask":
            return _of_one_class(key, shares, mapping(run.config.get("task")).get("background") is not False)
    if key == "r2":
        return 0.0
    vocabulary = as_float(run.schema.get("vocab_size")) or 0.0
    if vocabulary < 2:
        return None
    return {"perplexity": vocabulary, "loss": math.log(vocabulary), "bits_per_char": math.log2(vocabulary)}.get(key)


def _of_one_class(key: str, shares: list[float], background: bool) -> float | None:
    """The mean overlap of a mask that is all of one class, the one for which it is best."""
    counted = [share for code, share in enumerate(shares) if share > 0 and (background or code)]
    if not counted:
        return None
    largest = max(counted)
    return (largest if key == "iou" else 2 * largest / (1 + largest)) / len(counted)


def results(run: RunRecord) -> dict[str, dict[str, float]]:
    """Metrics by split. What the summary does not hold (a run still under way) comes from the last lines of the log."""
    given = run.part("metrics")
    measured = any(given.get(split) for split in SPLITS)
    found: dict[str, dict[str, float]] = {}
    for split in SPLITS:
        numbers = {key: value for key, raw in mapping(given.get(split)).items() if (value := as_float(raw)) is not None}
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


def expected(run: RunRecord) -> dict[str, dict[str, Any]]:
    """What the config's `expect:` wanted, by metric: {wanted, got, ok}."""
    return {key: value for key, value in run.part("expect").items() if isinstance(value, dict)}


def class_counts(run: RunRecord) -> dict[str, float]:
    """Examples by class, of the training part where the record tells the parts apart."""
    counts = run.split.get("classes")
    if isinstance(counts, dict) and counts and all(isinstance(value, dict) for value in counts.values()):
        counts = counts.get("train") or next(iter(counts.values()))
    if not isinstance(counts, dict):
        return {}
    return {str(label): value for label, raw in counts.items() if (value := as_float(raw)) is not None and value >= 0}
