"""Optimizers, schedules, parameter groups, clipping and averaging: everything from a gradient to the next weights."""

from netwright.optim.averaging import Average
from netwright.optim.clipping import add_l1, clip_norm, clip_value, gradient_norm
from netwright.optim.plan import OptimizerPlan, build_optimizer, split_spec
from netwright.optim.schedules import Schedule, build_schedule

__all__ = [
    "Average",
    "OptimizerPlan",
    "Schedule",
    "add_l1",
    "build_optimizer",
    "build_schedule",
    "clip_norm",
    "clip_value",
    "gradient_norm",
    "split_spec",
]
