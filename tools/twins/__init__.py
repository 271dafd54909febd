"""Small real programs, each with one fault and its repaired twin, by the fault's name."""

from collections.abc import Callable

from twins import data, network, outputs, steps
from twins.base import Program

__all__ = ["TWINS"]

# A function per fault: True builds the faulty program, False its twin. Its docstring stands on the fault's page.
TWINS: dict[str, Callable[[bool], Program]] = {
    name.replace("_", "-"): getattr(module, name)
    for module in (outputs, network, data, steps)
    for name in module.__all__
}
