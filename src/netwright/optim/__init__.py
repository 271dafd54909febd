"""Optimizers, schedules, parameter groups, clipping and averaging: from a gradient to the next weights."""

from typing import TYPE_CHECKING, Any

__all__ = [
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

if TYPE_CHECKING:
    from netwright.optim.clipping import add_l1, clip_norm, clip_value, gradient_norm
    from netwright.optim.plan import OptimizerPlan, build_optimizer, split_spec
    from netwright.optim.schedules import Schedule, build_schedule

_HOMES = {
    "OptimizerPlan": "plan",
    "Schedule": "schedules",
    "add_l1": "clipping",
    "build_optimizer": "plan",
    "build_schedule": "schedules",
    "clip_norm": "clipping",
    "clip_value": "clipping",
    "gradient_norm": "clipping",
    "split_spec": "plan",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: the catalog alone must not cost `import torch`."""
    from netwright.core.catalogs import load_target

    if name in _HOMES:
        return load_target(f"netwright.optim.{_HOMES[name]}:{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
