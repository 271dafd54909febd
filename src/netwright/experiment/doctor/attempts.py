"""One attempt at a repair: the run's config with a patch, trained in a folder of its own, and judged by validation.

The network goes on from the last healthy checkpoint where the patch leaves it as it is and it had learnt something;
otherwise it begins afresh. An attempt costs at most as many steps as the run that it is to repair.
"""

import copy
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from netwright.core.errors import ConfigError, DivergedError, NetwrightError
from netwright.core.messages import say
from netwright.core.records import is_number, read_json, read_jsonl
from netwright.experiment.assemble import Given, assemble
from netwright.experiment.config import load_config
from netwright.experiment.doctor.patches import Patch
from netwright.experiment.doctor.remedies import Remedy, patched
from netwright.experiment.folders import Run
from netwright.experiment.run import carry_out
from netwright.training import checkpoints

__all__ = ["Attempt", "Patient", "attempt", "figures_of", "is_better", "original_given"]

log = logging.getLogger("netwright")
_LEARNT = 0.7  # of the validation loss at the start: a checkpoint below it is worth going on from
_RUINED = {"bad-init-scale", "dead-relu", "saturation", "symmetric-init", "vanishing-gradient"}  # faults of the weights
_DEVIATIONS, _LEAST, _RELATIVE = 1.5, 0.005, 0.03  # by which a figure must be better: of a share, and of anything else


@dataclass
class Attempt:
    """One attempt as `repairs.json` has it; `before` and `after` are figures on the validation part."""

    number: int
    fault: str
    change: str
    diff: str
    from_step: int
    before: dict[str, float]
    after: dict[str, float] = field(default_factory=dict)
    held: bool = False
    seconds: float = 0.0
    folder: str = ""
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; figures that are no numbers are left out."""
        told = asdict(self)
        for part in ("before", "after"):
            told[part] = {name: value for name, value in told[part].items() if math.isfinite(value)}
        return told


@dataclass
class Patient:
    """The run to be repaired. `given` makes the user's objects as they were before training, where there were any;
    `changes` to its config were asked for beside the repair, and go into every attempt.
    """

    folder: Path
    given: Callable[[], Given] | None = None
    quiet: bool = False
    command: str = ""
    changes: Patch = field(default_factory=dict)

    def base(self, number: int) -> Path:
        """The folder that attempt `number` left; the run's own for 0."""
        return self.folder / "repairs" / str(number) if number else self.folder

    def text(self, number: int) -> str:
        """Its config; the run's own is set aside once an attempt was adopted."""
        kept = self.folder / "config.original.yaml"
        path = kept if not number and kept.is_file() else self.base(number) / "config.yaml"
        return path.read_text("utf-8")

    def objects(self) -> Given | None:
        """Fresh copies of what the user gave."""
        return self.given() if self.given is not None else None


def attempt(patient: Patient, number: int, base: int, remedy: Remedy) -> Attempt:
    """Make attempt `number` upon what attempt `base` left (0: the run). One that was killed goes on where it was.

    Raises:
        Preempted, Interrupted: it was stopped, and can go on.
    """
    begun, folder = time.monotonic(), patient.base(number)
    remedy = replace(remedy, patch={**patient.changes, **remedy.patch}) if not base else remedy
    text, diff = patched(patient.text(base), remedy.patch)
    text, _ = patched(text, {"doctor": "advise"})
    before = figures_of(patient.base(base))
    start = _healthy(patient, base) if remedy.keeps_network and remedy.fault not in _RUINED else None
    told = Attempt(
        number, remedy.fault, remedy.change, diff, start[1] if start else 0, before, folder=_name(patient, number)
    )
    log.info(say(
        "repair {number}: {fault}, from step {step}: {change}", number=number, fault=remedy.fault, step=told.from_step,
        change=_changed(diff),
    ))  # fmt: skip
    try:
        _train(patient, folder, text, start[0] if start else None)
    except (ConfigError, DivergedError) as error:
        told.note = str(error)
    told.after = figures_of(folder)
    told.held = is_better(folder, before, told.after) and not told.note
    told.seconds = round(time.monotonic() - begun, 3)
    return told


def figures_of(folder: Path) -> dict[str, float]:
    """A run's figures on the validation part, of its best weights; of one that did not finish, from its log."""
    path = folder / "summary.json"
    summary = read_json(path) if path.is_file() else {}
    figures = (summary.get("metrics") or {}).get("validation") or {}
    if not figures:
        lines = [line for line in read_jsonl(folder / "metrics.jsonl") if line.get("kind") == "validation"]
        best: dict[str, Any] = next((line for line in reversed(lines) if line.get("best")), {})
        figures = {name: best[name] for name in best if name not in ("step", "epoch", "seconds", "best", "kind")}
    return {name: float(value) for name, value in figures.items() if is_number(value)}


def is_better(folder: Path, before: Mapping[str, float], after: Mapping[str, float]) -> bool:
    """Whether the figure that chooses weights is better by more than chance; anything is better than nothing.

    Shares (accuracy and its like) must gain one and a half standard errors of a share on so many validation examples,
    other figures 3 %.
    """
    path = folder / "summary.json"
    name, sense = read_json(path)["monitor"] if path.is_file() else ("loss", "min")
    if name not in after:
        return False
    if name not in before:
        return True
    old, new = before[name], after[name]
    gain = new - old if sense == "max" else old - new
    if sense == "max" and 0 <= old <= 1 and 0 <= new <= 1:
        middle, examples = (old + new) / 2, _held_out(folder)
        return gain > max(_LEAST, _DEVIATIONS * math.sqrt(middle * (1 - middle) / examples))
    return gain > _RELATIVE * max(abs(old), 1e-12)


def _train(patient: Patient, folder: Path, text: str, start: Path | None) -> Run:
    """Train in `folder`, or go on there."""
    resumed = (folder / "config.yaml").is_file()
    config = load_config(folder / "config.yaml" if resumed else YAML(typ="safe", pure=True).load(text))
    how: dict[str, Any] = {"quiet": patient.quiet, "resumed": resumed, "command": patient.command}
    return carry_out(config, folder, patient.objects(), **how, start=start)


def _healthy(patient: Patient, base: int) -> tuple[Path, int] | None:
    """The best checkpoint of a base and its step, where its weights are finite and clearly better than the first ones.

    What cannot be read is no place to go on from.
    """
    folder = patient.base(base)
    best = folder / "checkpoints" / "best"
    try:
        state = checkpoints.read(best)
        step = int(state["progress"]["step"])
        lines = read_jsonl(folder / "metrics.jsonl")
        loss = next(line["loss"] for line in lines if line.get("kind") == "validation" and line.get("step") == step)
        made = assemble(load_config(folder / "config.yaml"), folder, patient.objects(), quiet=True)
        source = made.session.validation_source
        first = made.session.measure(source)["loss"] if source is not None else math.nan
    except (NetwrightError, OSError, KeyError, StopIteration, TypeError, ValueError):
        return None
    finite = all(bool(tensor.isfinite().all()) for tensor in state["model"].values() if tensor.is_floating_point())
    return (best.resolve(), step) if finite and is_number(loss) and loss < _LEARNT * first else None


def _held_out(folder: Path) -> int:
    split = read_json(folder / "split.json") if (folder / "split.json").is_file() else {}
    return max(1, int((split.get("sizes") or {}).get("validation") or 100))


def _name(patient: Patient, number: int) -> str:
    return str(patient.base(number).relative_to(patient.folder))


def _changed(diff: str) -> str:
    """The lines that a diff changes, in one line."""
    lines = [line for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    return "  ".join(" ".join(line.split()) for line in lines)[:300]


def original_given(given: Given | None) -> Callable[[], Given] | None:
    """Makes the user's objects anew, as they are now; called before training changes them."""
    if given is None:
        return None
    model = copy.deepcopy(given.model)
    return lambda: Given(copy.deepcopy(model), given.loss, given.optimizer, given.bundle)
