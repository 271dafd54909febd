"""What networks are trained to do; a task is the one place that knows what a batch means, and the one with a loss."""

from netwright.tasks.base import Phase, StepOutput, Task
from netwright.tasks.catalog import TASKS, task_class

__all__ = ["TASKS", "Phase", "StepOutput", "Task", "task_class"]
