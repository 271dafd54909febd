"""Reinforcement learning as batch sources: `ReplaySource` and `RolloutSource` step environments to train, the one from
a memory, the other anew for every update; `EpisodeSource` to measure.
"""

from netwright.data.environments.acting import Act, consult, greedy
from netwright.data.environments.advantages import advantages
from netwright.data.environments.episodes import EpisodeSource
from netwright.data.environments.replay import ReplayOptions, ReplaySource
from netwright.data.environments.rollout import RolloutOptions, RolloutSettings, RolloutSource
from netwright.data.environments.spaces import environment_schema
from netwright.data.environments.stepper import EnvironmentStepper

__all__ = [
    "Act",
    "EnvironmentStepper",
    "EpisodeSource",
    "ReplayOptions",
    "ReplaySource",
    "RolloutOptions",
    "RolloutSettings",
    "RolloutSource",
    "advantages",
    "consult",
    "environment_schema",
    "greedy",
]
