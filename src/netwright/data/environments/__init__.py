"""Reinforcement learning as batch sources: `ReplaySource` steps environments to train, `EpisodeSource` to measure."""

from netwright.data.environments.acting import Act, greedy
from netwright.data.environments.episodes import EpisodeSource
from netwright.data.environments.replay import ReplayOptions, ReplaySource
from netwright.data.environments.spaces import environment_schema
from netwright.data.environments.stepper import EnvironmentStepper

__all__ = [
    "Act",
    "EnvironmentStepper",
    "EpisodeSource",
    "ReplayOptions",
    "ReplaySource",
    "environment_schema",
    "greedy",
]
