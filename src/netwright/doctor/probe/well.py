"""The user's network trained well: with the loss that fits its targets, Adam, standardised inputs and no dropout,
without the user's step and whatever is wrong with that.
"""

import functools

import torch
from torch import nn

from netwright.doctor.probe.fitting import fitting
from netwright.doctor.probe.fork import Fork, Program
from netwright.doctor.probe.scene import Scene
from netwright.doctor.probe.surgery import reinitialise, standardise_inputs, without_dropout

__all__ = ["adam", "set_well"]


def set_well(scene: Scene, rate: float, fresh: bool = True) -> Fork:
    """A fork to be trained so at this learning rate, from its own weights or from `fresh` ones."""
    program = Program(scene.program.net, scene.program.optimizer, fitting(scene.kind))
    fork = program.fork(optimizer=functools.partial(adam, rate=rate))
    without_dropout(fork)
    if fresh:
        reinitialise(fork)
    if scene.inputs is not None:
        standardise_inputs(fork, scene.inputs)
    return fork


def adam(net: nn.Module, rate: float) -> torch.optim.Optimizer:
    """Adam at its defaults but for the rate; of frozen parameters it gets no gradient and leaves them alone."""
    return torch.optim.Adam(net.parameters(), rate)
