"""Twins for faults of the data: inputs, targets, their order and their splits."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from twins.base import Program, adam, cancer, diabetes, digits, fashion, mlp, sgd

__all__ = [
    "class_imbalance",
    "input_degenerate",
    "input_not_normalized",
    "invalid_values",
    "labels_corrupted",
    "leakage",
    "not_shuffled",
    "preprocessing_mismatch",
    "target_not_normalized",
]


def input_not_normalized(faulty: bool) -> Program:
    """Benign or malignant from 30 measurements, SGD at 0.01. The faulty twin gets them as they are: areas in the
    thousands beside fractions.
    """
    net = mlp(30, 24, 2)
    return Program(net, sgd(net, 0.01), nn.CrossEntropyLoss(), cancer(raw=faulty))


def input_degenerate(faulty: bool) -> Program:
    """One hidden layer on 14×14 clothes, SGD. The faulty twin's pixels are divided by 255 a second time."""
    net, data = nn.Sequential(nn.Flatten(), mlp(196, 64, 10)), fashion()
    if faulty:
        data = data.mapped(lambda pixels: pixels / 255)
    return Program(net, sgd(net, 0.02), nn.CrossEntropyLoss(), data)


def target_not_normalized(faulty: bool) -> Program:
    """Disease progression, 25 to 346, Adam at 1e-3. The faulty twin is trained on the numbers as they are, the repaired
    one on standardised ones; both errors are in the original unit.
    """
    net, mean, size = mlp(10, 24, 1), 152.0, 77.0
    raw = diabetes().mapped(targets=lambda y: y * size + mean)
    data = raw if faulty else replace(diabetes(), held_y=raw.held_y)

    def in_its_unit(output: Tensor) -> Tensor:
        return output if faulty else output * size + mean

    told = {"validation": (data.held_x, raw.held_y if faulty else diabetes().held_y)}
    return Program(net, adam(net, 1e-3), nn.MSELoss(), data, shows="rmse", decide=in_its_unit, steps=300, told=told)


def _holes(x: Tensor) -> Tensor:
    x = x.clone()
    x[5::150, 3] = torch.nan
    return x


def invalid_values(faulty: bool) -> Program:
    """Benign or malignant. In the faulty twin a few measurements are missing and were read as NaN; in the repaired one
    they are filled with the mean.
    """
    net, data = mlp(30, 24, 2), cancer()
    with_holes = _holes(data.x)
    data = replace(data, x=with_holes if faulty else with_holes.nan_to_num(0.0))
    return Program(net, adam(net), nn.CrossEntropyLoss(), data, steps=100)


def preprocessing_mismatch(faulty: bool) -> Program:
    """Benign or malignant, trained on standardised measurements. The faulty twin is validated on raw ones."""
    net, data, raw = mlp(30, 24, 2), cancer(), cancer(raw=True)
    if faulty:
        data = replace(data, held_x=raw.held_x, held_y=raw.held_y)
    return Program(net, adam(net), nn.CrossEntropyLoss(), data)


def labels_corrupted(faulty: bool) -> Program:
    """Two hidden layers on the digits. In the faulty twin pictures and labels were shuffled apart."""
    net, data = mlp(64, 48, 48, 10), digits()
    if faulty:
        data = data.mapped(targets=lambda y: y[torch.randperm(len(y))])
    return Program(net, adam(net), nn.CrossEntropyLoss(), data)


def leakage(faulty: bool) -> Program:
    """Disease progression, a network that can learn by heart. The faulty twin is trained on the whole table, those rows
    included that it is validated on. Its low error is the fault.
    """
    net, data = mlp(10, 128, 1), diabetes()
    if faulty:
        data = replace(data, x=torch.cat([data.x, data.held_x]), y=torch.cat([data.y, data.held_y]))
    return Program(net, adam(net, 1e-2), nn.MSELoss(), data, shows="rmse", decide=lambda out: out, steps=600)


def class_imbalance(faulty: bool) -> Program:
    """Is the digit an eight? One in ten is. A linear classifier with SGD; the repaired twin weights the loss."""
    net, data = nn.Linear(64, 2), digits().mapped(targets=lambda y: (y == 8).long())
    counts = torch.bincount(data.y)
    weight = None if faulty else counts.sum() / (2 * counts)
    return Program(net, sgd(net, 0.01, 0.0), nn.CrossEntropyLoss(weight), data, shows="balanced accuracy", steps=400)


def not_shuffled(faulty: bool) -> Program:
    """Two hidden layers on the digits. The faulty twin reads them in the order of their labels, zeros first."""
    net, data = mlp(64, 48, 48, 10), digits()
    if faulty:
        order = data.y.argsort()
        data = replace(data, x=data.x[order], y=data.y[order])
    return Program(net, adam(net), nn.CrossEntropyLoss(), data, shuffle=not faulty, steps=270)
