"""Counterfactual forks: the same program, with exactly one thing changed, beside its unchanged twin."""

from netwright.doctor.probe.batches import Batches, collect
from netwright.doctor.probe.changes import CHANGES
from netwright.doctor.probe.compare import Effect, compare, in_words
from netwright.doctor.probe.fork import Fork, Program
from netwright.doctor.probe.passage import Passage, passage
from netwright.doctor.probe.penalties import penalty
from netwright.doctor.probe.running import Examples, Outcome, run
from netwright.doctor.probe.scene import Scene, set_scene

__all__ = [
    "CHANGES",
    "Batches",
    "Effect",
    "Examples",
    "Fork",
    "Outcome",
    "Passage",
    "Program",
    "Scene",
    "collect",
    "compare",
    "in_words",
    "passage",
    "penalty",
    "run",
    "set_scene",
]
