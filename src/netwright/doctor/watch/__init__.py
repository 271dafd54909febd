"""Signals of a running loop, taken on a few steps only, and what they make one suspect."""

from netwright.doctor.watch.signals import Signals
from netwright.doctor.watch.suspicions import suspicions
from netwright.doctor.watch.watching import Watch, watch

__all__ = ["Signals", "Watch", "suspicions", "watch"]
