"""What the record of a run shows by itself: that it diverged, learnt by heart, or stopped while it still learnt."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from torch import Tensor

from netwright.core.errors import CheckpointError
from netwright.core.messages import say
from netwright.core.records import is_number, read_json, read_jsonl
from netwright.data.batching import BatchSource
from netwright.doctor.findings import Finding
from netwright.doctor.words import finding_of

__all__ = ["is_run", "learnt_nothing", "non_finite", "recorded_findings"]

_TURNED, _FELL, _LATE = 1.3, 0.8, 0.7  # validation loss up to, training loss down to; share of the run by which
_STILL = 0.1  # of its height that the validation loss falls in the last quarter of the run
_CHANCE, _EXPLAINED = 1.5, 0.03  # standard errors above the commonest class's share; of the targets' variance
_DEAD_RATE, _SHARE = 1e-3, 0.4  # of the highest learning rate; of the lines


def is_run(folder: Path) -> bool:
    """Whether this is a run folder, whatever became of the run."""
    return (folder / "config.yaml").is_file()


def recorded_findings(folder: Path) -> list[Finding]:
    """Findings from `summary.json` and `metrics.jsonl`.

    Raises:
        CheckpointError: not a run folder.
    """
    if not is_run(folder):
        raise CheckpointError("{folder} is not a run folder; give one that `netwright train` printed", folder=folder)
    path = folder / "summary.json"
    summary = read_json(path) if path.is_file() else {}
    lines = read_jsonl(folder / "metrics.jsonl")
    train = [line for line in lines if line.get("kind") == "train" and is_number(line.get("loss"))]
    held = [line for line in lines if line.get("kind") == "validation" and is_number(line.get("loss"))]
    diverged = [non_finite(str(summary.get("note") or ""))] if summary.get("status") == "diverged" else []
    return [*diverged, *_learnt_by_heart(train, held), *_too_short(summary, held), *_scheduled(train)]


def non_finite(reason: str, proven: bool = True) -> Finding:
    """A run that diverged; `reason` is what it said of it."""
    why = say("The loss stopped being a finite number, so no update could follow from it.")
    remedy = say("Lower the learning rate, clip gradients (optimizer.clip: 1.0), or look for bad values in the data.")
    return Finding("NW301", "non-finite", "error", "loss", reason, why, remedy, proven=proven)


def learnt_nothing(figures: Mapping[str, float], held: BatchSource | None) -> list[Finding]:
    """What a run's figures on the validation part show beside an answer that is always the same."""
    if "accuracy" in figures and (counts := _classes(held)) is not None:
        examples, value = int(counts.sum()), figures["accuracy"]
        share = float(counts.max()) / examples
        bound = share + _CHANCE * math.sqrt(share * (1 - share) / examples)
        if value > bound or bound >= 1:
            return []
    elif "r2" in figures and figures["r2"] < _EXPLAINED:
        share, value = 0.0, figures["r2"]
    else:
        return []
    evidence = say(
        "The run reaches {value:.3g} on the validation part; an answer that is always the same reaches {share:.3g}.",
        value=value, share=share,
    )  # fmt: skip
    why = say("The network that was kept does not use its inputs, whatever the loss did.")
    remedy = say("Go back to usual settings, and look whether the targets follow from the inputs at all.")
    return [Finding("NW305", "slow-convergence", "warning", "run", evidence, why, remedy, proven=True)]


def _classes(held: BatchSource | None) -> Tensor | None:
    """How many validation examples each class has; None where targets are no classes."""
    found: list[Tensor] = []
    for batch in held.epoch(0) if held is not None else ():
        targets = batch.targets
        if not isinstance(targets, Tensor) or targets.dim() != 1 or targets.is_floating_point():
            return None
        found.append(targets.clamp(min=0))
    return torch.cat(found).bincount() if found else None


def _learnt_by_heart(train: Sequence[dict[str, Any]], held: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    """The validation loss turned long before the end, while the training loss went on falling."""
    if len(held) < 5 or len(train) < 5:
        return
    best, last = min(held, key=lambda line: line["loss"]), held[-1]
    tail = fmean(line["loss"] for line in held[-max(1, len(held) // 10) :])
    if tail < _TURNED * best["loss"] or best["step"] > _LATE * last["step"]:
        return
    near = sorted(train, key=lambda line: abs(line["step"] - best["step"]))[:5]
    before, after = fmean(line["loss"] for line in near), fmean(line["loss"] for line in train[-5:])
    if after > _FELL * before or before <= 0:
        return
    evidence = say(
        "The validation loss was {best:.3g} after {at} steps and is {last:.3g} after {steps}; the training loss went "
        "from {before:.3g} to {after:.3g}.",
        best=best["loss"], at=best["step"], last=tail, steps=last["step"], before=before, after=after,
    )  # fmt: skip
    effect = round(1 - best["loss"] / tail, 4)
    yield replace(finding_of("overfitting", "warning", "run", evidence, effect, True), code="NW302")


def _too_short(summary: dict[str, Any], held: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    """The last validation is the best, and the loss still falls fast."""
    if summary.get("status") != "finished" or len(held) < 4:
        return
    quarter = held[-max(2, len(held) // 4) :]
    first, last = quarter[0]["loss"], quarter[-1]["loss"]
    if last != min(line["loss"] for line in held) or last <= 0 or first - last < _STILL * first:
        return
    evidence = say(
        "In the last quarter of the run the validation loss fell from {first:.3g} to {last:.3g}, its lowest.",
        first=first, last=last,
    )  # fmt: skip
    yield replace(finding_of("undertrained", "note", "train.epochs", evidence), code="NW303")


def _scheduled(train: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    """For much of the run the learning rate was next to nothing."""
    rates = [line["lr"] for line in train if is_number(line.get("lr"))]
    if len(rates) < 10 or max(rates) <= 0:
        return
    share = sum(rate < _DEAD_RATE * max(rates) for rate in rates) / len(rates)
    if share > _SHARE and median(rates) < _DEAD_RATE * max(rates):
        evidence = say(
            "For {share:.0%} of the steps the learning rate was under a thousandth of its best.", share=share
        )
        found = finding_of("schedule-collapsed", "warning", "optimizer.schedule", evidence)
        yield replace(found, code="NW304")
