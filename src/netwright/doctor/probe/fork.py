"""A fork: deep copies of network, optimizer and step, on which exactly one thing is changed and a few steps are run."""

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from netwright.doctor.probe.private import paired, private
from netwright.metrics.architecture import private_copy

__all__ = ["Batch", "Fork", "Program", "Step", "call", "plain_step"]

Batch = tuple[Any, Any]
Step = Callable[[nn.Module, Optimizer, Batch], Any]
_CLIPPERS = ("clip_grad_norm_", "clip_grad_value_", "clip_grad_norm")


@dataclass(frozen=True)
class Program:
    """What the user gave: only ever read and copied."""

    net: nn.Module
    optimizer: Optimizer
    loss: Callable[..., Any] | None
    step: Step | None = None

    def fork(
        self,
        loss: Callable[..., Any] | None = None,
        optimizer: Callable[[nn.Module], Optimizer] | None = None,
        unclipped: bool = False,
    ) -> "Fork":
        """A twin of all of it; `loss` and `optimizer` stand for the user's wherever the step names them."""
        net = private_copy(self.net)
        memo = paired(self.net, net)
        made = optimizer(net) if optimizer is not None else _twin(self.optimizer, memo)
        memo[id(self.optimizer)] = made
        memo |= {id(function): _unclipped for function in _clippers().values() if unclipped}
        used = loss if loss is not None else private(self.loss, memo)
        memo[id(self.loss)] = used
        step = private(self.step, memo) if self.step is not None else plain_step(used)
        return Fork(net, made, used, step, custom=self.step is not None, unclipped=unclipped)


@dataclass
class Fork:
    """A running twin. `before`: called ahead of every step; `prepare`: turns a batch into the one that is used."""

    net: nn.Module
    optimizer: Optimizer
    loss: Callable[..., Any] | None
    step: Step
    custom: bool = False
    unclipped: bool = False
    before: list[Callable[["Fork"], None]] = field(default_factory=list)
    prepare: list[Callable[[Batch], Batch]] = field(default_factory=list)
    aside: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext  # around what we measure

    def take(self, batch: Batch) -> Batch:
        """The batch as this fork sees it."""
        for change in self.prepare:
            batch = change(batch)
        return batch

    def advance(self, batch: Batch) -> Any:
        """One step; the loss that it returned."""
        for work in self.before:
            work(self)
        with torch.enable_grad(), _without_clipping(self.unclipped):
            return self.step(self.net, self.optimizer, self.take(batch))

    def outputs(self, inputs: Any) -> Any:
        """The network's answer in evaluation mode, with its modes put back."""
        modes = [(module, module.training) for module in self.net.modules()]
        try:
            for module, _ in modes:
                module.training = False
            with self.aside(), torch.no_grad(), torch.random.fork_rng(devices=[]):
                return call(self.net, inputs)
        finally:
            for module, training in modes:
                module.training = training


def call(net: nn.Module, inputs: Any) -> Any:
    """What the network makes of inputs; a tuple are several, a named tuple is one."""
    return net(*inputs) if type(inputs) is tuple else net(inputs)


def plain_step(loss: Callable[..., Any] | None) -> Step:
    """zero_grad, forward, loss, backward, step."""

    def step(net: nn.Module, optimizer: Optimizer, batch: Batch) -> Tensor:
        inputs, targets = batch
        optimizer.zero_grad()
        output = call(net, inputs)
        assert loss is not None
        value: Tensor = loss(output, targets)
        value.mean().backward()
        optimizer.step()
        return value.detach().mean()

    return step


def _twin(optimizer: Optimizer, memo: dict[int, Any]) -> Optimizer:
    """A copy with what an optimizer's own pickling leaves out: L-BFGS' list of parameters, the one that SAM wraps."""
    made = copy.deepcopy(optimizer, memo)
    for name, value in vars(optimizer).items():
        if name not in vars(made) and not callable(value):
            setattr(made, name, private(value, memo))
    return made


def _clippers() -> dict[str, Callable[..., Any]]:
    return {name: getattr(torch.nn.utils, name) for name in _CLIPPERS if hasattr(torch.nn.utils, name)}


def _unclipped(*_: Any, **__: Any) -> Tensor:
    return torch.zeros(())


@contextlib.contextmanager
def _without_clipping(wanted: bool) -> Iterator[None]:
    """Where wanted, `torch.nn.utils.clip_grad_*` do nothing within; put back in any case."""
    old = _clippers() if wanted else {}
    try:
        for name in old:
            setattr(torch.nn.utils, name, _unclipped)
        yield
    finally:
        for name, function in old.items():
            setattr(torch.nn.utils, name, function)
