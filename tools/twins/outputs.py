"""Twins for faults of the output and the loss."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twins.base import Program, adam, cancer, cnn, diabetes, digits, mlp, sgd

__all__ = [
    "broadcast_loss",
    "double_softmax",
    "head_size_mismatch",
    "invalid_setting",
    "missing_output_activation",
    "multilabel_as_multiclass",
    "output_range",
    "shape_mismatch",
    "single_unit_softmax",
    "wrong_loss",
]


def shape_mismatch(faulty: bool) -> Program:
    """One convolution on 8×8 digits. The faulty twin's last layer expects 64 numbers where 144 arrive."""
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 if faulty else 144, 10)
    )
    return Program(net, adam(net), nn.CrossEntropyLoss(), digits(pictures=True))


def head_size_mismatch(faulty: bool) -> Program:
    """A network with one hidden layer on ten digits. The faulty twin has a hundred outputs."""
    net = mlp(64, 48, 100 if faulty else 10)
    return Program(net, adam(net), nn.CrossEntropyLoss(), digits(), shows="loss", steps=150)


def double_softmax(faulty: bool) -> Program:
    """Two convolutions on 8×8 digits, SGD at 0.05. The faulty twin ends in a softmax, before the cross-entropy."""
    net = cnn()
    if faulty:
        net.append(nn.Softmax(1))
    return Program(net, sgd(net), nn.CrossEntropyLoss(), digits(pictures=True), steps=300)


def missing_output_activation(faulty: bool) -> Program:
    """One hidden layer on the digits. The faulty twin gives raw scores to the negative log-likelihood."""
    net = mlp(64, 48, 10)
    return Program(net, adam(net), nn.NLLLoss() if faulty else nn.CrossEntropyLoss(), digits())


def single_unit_softmax(faulty: bool) -> Program:
    """Benign or malignant, one output unit. The faulty twin puts a softmax on that one unit."""
    net = mlp(30, 24, 1)
    if faulty:
        net.append(nn.Softmax(1))
    data = cancer().mapped(targets=lambda y: y.float()[:, None])
    loss = nn.BCELoss() if faulty else nn.BCEWithLogitsLoss()
    return Program(net, adam(net), loss, data, decide=lambda out: (out > (0.5 if faulty else 0)).float())


def _distance(output: Tensor, y: Tensor) -> Tensor:
    return F.mse_loss(output.squeeze(1), y.float())


def wrong_loss(faulty: bool) -> Program:
    """One hidden layer on the digits. The faulty twin has one output and squared error on the class number; its answer
    is the nearest whole number.
    """
    if not faulty:
        net = mlp(64, 48, 10)
        return Program(net, adam(net), nn.CrossEntropyLoss(), digits())
    net = mlp(64, 48, 1)
    return Program(net, adam(net), _distance, digits(), decide=lambda out: out.squeeze(1).round().clamp(0, 9).long())


def output_range(faulty: bool) -> Program:
    """Disease progression, standardised: half of the targets are negative. The faulty twin ends in a sigmoid."""
    net = mlp(10, 24, 1)
    if faulty:
        net.append(nn.Sigmoid())
    return Program(net, adam(net), nn.MSELoss(), diabetes(), shows="rmse", decide=lambda out: out)


def _properties(y: Tensor) -> Tensor:
    """Even; five or more; has a loop; prime."""
    groups = ([0, 2, 4, 6, 8], [5, 6, 7, 8, 9], [0, 6, 8, 9], [2, 3, 5, 7])
    return torch.stack([torch.isin(y, torch.tensor(group)) for group in groups], 1).float()


def multilabel_as_multiclass(faulty: bool) -> Program:
    """Four yes-or-no labels for each digit (even, at least five, has a loop, prime), an answer counts as right if all
    four are. The faulty twin uses cross-entropy and takes what has more than a quarter of the probability.
    """
    net, data = mlp(64, 48, 4), digits().mapped(targets=_properties)
    if faulty:
        return Program(net, adam(net), nn.CrossEntropyLoss(), data, decide=lambda out: (out.softmax(1) > 0.25).float())
    return Program(net, adam(net), nn.BCEWithLogitsLoss(), data, decide=lambda out: (out > 0).float())


def broadcast_loss(faulty: bool) -> Program:
    """Disease progression. In the faulty twin the targets have the shape (N,), the outputs (N, 1)."""
    net, data = mlp(10, 24, 1), diabetes()
    if faulty:
        data = data.mapped(targets=lambda y: y.squeeze(1))
    return Program(net, adam(net), nn.MSELoss(), data, shows="rmse", decide=lambda out: out)


def invalid_setting(faulty: bool) -> Program:
    """One hidden layer on the digits, Adam. The faulty twin's learning rate is zero."""
    net = mlp(64, 48, 10)
    return Program(net, adam(net, 0.0 if faulty else 3e-3), nn.CrossEntropyLoss(), digits())
