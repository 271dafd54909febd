"""How much a search may do: trials, minutes, and what of these is kept for training the best one again."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from netwright.core.errors import ConfigError
from netwright.tuning.results import Trial
from netwright.tuning.search import PRUNERS

__all__ = ["Limits", "check_limits"]

_SHARE = 1 / 3  # of the time, at most, that is kept for training the best one again


@dataclass(frozen=True)
class Limits:
    """How much may be done. `end` is by `time.monotonic`; `again` says with how many more seeds both are trained."""

    trials: float
    end: float
    minutes: float | None
    again: int

    def reserve(self, trials: Sequence[Trial]) -> float:
        """Seconds that are kept for training the best one and the config as it is again."""
        if self.minutes is None or not trials:
            return 0.0
        typical = max((trial.seconds for trial in trials if trial.counts), default=0.0)
        return min(60 * self.minutes * _SHARE, 2 * self.again * typical)


def check_limits(trials: int | None, minutes: float | None, again: int, pruner: str) -> None:
    """Refuse what leaves nothing to do.

    Raises:
        ConfigError: says which of them, and what fits.
    """
    if trials is not None and trials < 2:
        template = "--trials {trials} leaves nothing to compare: the first one is the config as it is; give 2 or more"
        raise ConfigError(template, trials=trials)
    if minutes is not None and not 0 < minutes < math.inf:
        raise ConfigError("--minutes {minutes} does not fit; expected a number above 0", minutes=minutes)
    if again < 0:
        raise ConfigError("--again {again} does not fit; expected 0 or more", again=again)
    if pruner not in PRUNERS:
        raise ConfigError("--pruner {pruner!r} is not known; use median, asha or none", pruner=pruner)
