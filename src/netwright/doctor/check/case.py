"""Everything the rules look at, gathered once: the network, a batch, what one pass over a private copy showed."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from netwright.doctor.check.graph import Graph, Output
from netwright.doctor.check.losses import LossView
from netwright.doctor.check.targets import TargetView
from netwright.doctor.check.trouble import Trouble

__all__ = ["Case"]

_QUICK = 2_000_000  # numbers


@dataclass
class Case:
    """The rules' view. `net` is the user's own and must only be read; everything that ran, ran on copies.

    `inputs` and `targets` are all that was given; `few_inputs` and `few_targets` the part that was run. `training`
    and `quiet` are the graphs in training and in evaluation mode, None where the pass failed (then `trouble` says
    how). `output` and `quiet_output` are the main outputs; `gradients` those of the loss by parameter name, None for
    parameters that got none. `penalty`: those that reach the user's own parameters past the output, as a closure over
    them does; `score_loss`: the loss as a function of the main output alone. `rerun(inputs, seed=0)` gives another
    evaluation-mode output, `resteps(n)` the weights after n small steps on a copy. `pairwise`: the output is (B, B),
    examples against examples. `varied`: the validation set gave other numbers when it was read again.
    """

    net: nn.Module
    inputs: tuple[Any, ...]
    targets: Any
    few_inputs: tuple[Any, ...]
    few_targets: Any
    loss: LossView | None = None
    optimizer: torch.optim.Optimizer | None = None
    config: Mapping[str, Any] | None = None
    schema: Any = None
    validation: tuple[Any, Any] | None = None
    examples: int | None = None
    batch_size: int | None = None
    epochs: int | None = None
    varied: bool = False
    metrics: tuple[str, ...] = ()
    batched: bool = True
    pairwise: bool = False
    training: Graph | None = None
    quiet: Graph | None = None
    output: Tensor | None = None
    quiet_output: Tensor | None = None
    loss_value: float | None = None
    loss_has_gradient: bool | None = None
    penalty: dict[str, Tensor | None] | None = None
    score_loss: Callable[..., Any] | None = None
    gradients: dict[str, Tensor | None] | None = None
    trouble: Trouble | None = None
    target: TargetView | None = None
    rerun: Callable[..., Tensor | None] | None = None
    resteps: Callable[[int], dict[str, Tensor] | None] | None = None

    @property
    def graph(self) -> Graph | None:
        """The graph in training mode, or else the one in evaluation mode."""
        return self.training or self.quiet

    @property
    def ending(self) -> Output:
        """What the network does to its scores last."""
        graph = self.graph
        return graph.ending() if graph is not None else Output("raw", None, None)

    @property
    def main_input(self) -> Tensor | None:
        """The first input tensor, whole."""
        return next((value for value in self.inputs if isinstance(value, Tensor)), None)

    @property
    def reconstructs(self) -> bool:
        """Whether the targets are the inputs, as for an autoencoder."""
        given = self.main_input
        return given is not None and isinstance(self.targets, Tensor) and torch.equal(given, self.targets)

    @property
    def sample(self) -> Tensor | None:
        """Rows of the first input, evenly spread: all of them, or as many as can be looked at quickly."""
        given = self.main_input
        if given is None or given.dim() < 1 or given.numel() <= _QUICK:
            return given
        rows = max(64, _QUICK * given.shape[0] // given.numel())
        return given[torch.linspace(0, given.shape[0] - 1, min(rows, given.shape[0])).long()]

    @property
    def class_axis(self) -> int:
        """Where classes lie in the output: axis 1 as torch's losses want it, the last for tokens (B, T, V)."""
        output, targets = self.output, self.few_targets
        if output is None or output.dim() < 3 or not isinstance(targets, Tensor):
            return 1
        return output.dim() - 1 if targets.shape == output.shape[:-1] and targets.dim() == output.dim() - 1 else 1

    @property
    def fresh(self) -> bool:
        """Whether the optimizer has not stepped yet, so that "at initialisation" may be meant."""
        return self.optimizer is None or not self.optimizer.state

    @property
    def finite(self) -> bool:
        """Whether the first input holds numbers only; where it does not, its measures say nothing."""
        given = self.main_input
        return given is None or not given.is_floating_point() or bool(torch.isfinite(given.sum()))

    @property
    def alone(self) -> bool:
        """Whether the network gives one tensor, which is all that the loss gets to see of it."""
        return self.loss is not None and self.score_loss is self.loss.function and not self.penalty

    def option(self, *paths: str) -> tuple[str, Any] | None:
        """The first of the dotted `paths` that the config holds, with its value."""
        for path in paths:
            value: Any = self.config
            for part in path.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
            if value is not None:
                return path, value
        return None

    def patch(self, path: str, value: Any) -> dict[str, Any] | None:
        """A fix for the config at hand; None where there is no config to fix."""
        return {path: value} if self.config is not None else None

    def changed(self, path: str, value: Any, *others: str) -> dict[str, Any] | None:
        """The same, only where the config has this setting, or one of `others` that may stand for it."""
        return self.patch(path, value) if self.option(path, *others) is not None else None

    def without(self, path: str) -> dict[str, Any] | None:
        """A fix that deletes the layer at module `path` of a hand-made network; None for other networks."""
        key = self.layer_key(path)
        return {key: None} if key else None

    def layer_key(self, path: str) -> str | None:
        """The config's name for the layer at module `path` of a hand-made network: `model.layers[4]`."""
        found = self.option("model.layers")
        if found is None or not isinstance(found[1], list | tuple):
            return None
        entry = re.search(r"(?:^|\.)layers\.(\d+)$", path)  # deeper paths are parts of an entry
        return f"model.layers[{entry[1]}]" if entry and int(entry[1]) < len(found[1]) else None

    def modules(self, *kinds: type[nn.Module]) -> Iterator[tuple[str, nn.Module]]:
        """The user's modules of these kinds with their paths."""
        for path, module in self.net.named_modules():
            if isinstance(module, kinds):
                yield path, module

    def gradient(self, parameter: Tensor) -> Tensor | None:
        """The loss's gradient on one of the user's parameters; None where it got none."""
        return (self.gradients or {}).get(self.names.get(id(parameter), ""))

    @cached_property
    def names(self) -> dict[int, str]:
        """The name of each of the user's parameters, by its id: so does an optimizer hold them."""
        return {id(parameter): name for name, parameter in self.net.named_parameters()}

    def optimized(self) -> set[int]:
        """Ids of the parameters that the optimizer holds."""
        groups = self.optimizer.param_groups if self.optimizer is not None else []
        return {id(parameter) for group in groups for parameter in group["params"]}
