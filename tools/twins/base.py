"""What the twins are made of: real data, small networks, a program to train, and the table of what is measured."""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy
import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["MEASURES", "Data", "Program", "adam", "cancer", "cnn", "diabetes", "digits", "fashion", "mlp", "sgd"]

BUNDLED = Path(__file__).resolve().parents[2] / "src" / "netwright" / "data" / "bundled"
Loss = Callable[[Any, Tensor], Tensor]


@dataclass(frozen=True)
class Data:
    """Training examples and those held out."""

    x: Tensor
    y: Tensor
    held_x: Tensor
    held_y: Tensor

    def mapped(self, inputs: Callable[[Tensor], Tensor] | None = None, targets: Any = None) -> "Data":
        """The same examples with other inputs or targets."""
        x, held_x = (inputs(self.x), inputs(self.held_x)) if inputs else (self.x, self.held_x)
        y, held_y = (targets(self.y), targets(self.held_y)) if targets else (self.y, self.held_y)
        return Data(x, y, held_x, held_y)

    def some(self, count: int) -> "Data":
        """The first training examples only."""
        return replace(self, x=self.x[:count], y=self.y[:count])


@dataclass
class Program:
    """A training as a user would write it. `shows` is a key of `MEASURES`; `decide` turns outputs into answers.

    `step(net, opt, batch)` is the loop's own step where it is not the usual one. `alone` predicts held-out examples
    one by one. `told` goes to `nw.check` (config, metrics, …); `over` is the unit of the curve's axis.
    """

    net: nn.Module
    opt: torch.optim.Optimizer
    loss: Loss
    data: Data
    steps: int = 200
    batch: int = 32
    shuffle: bool = True
    step: Callable[..., Tensor] | None = None
    shows: str = "accuracy"
    decide: Callable[[Tensor], Tensor] = lambda output: output.argmax(1)
    alone: bool = False
    over: str = "step"
    told: dict[str, Any] = field(default_factory=dict)


def _right(program: Program, output: Tensor, y: Tensor) -> float:
    same = program.decide(output).reshape(len(y), -1) == y.reshape(len(y), -1)
    return float(same.all(1).float().mean())


def _balanced(program: Program, output: Tensor, y: Tensor) -> float:
    right = program.decide(output) == y
    return float(torch.stack([right[y == label].float().mean() for label in y.unique()]).mean())


def _root(program: Program, output: Tensor, y: Tensor) -> float:
    return float((program.decide(output).reshape(-1) - y.reshape(-1)).square().mean().sqrt())


def _loss(program: Program, output: Tensor, y: Tensor) -> float:
    return float(program.loss(output, y))


# what is shown -> (metric's name for the axis, heading, how it is measured on held-out examples; None: the step's loss)
MEASURES: dict[str, tuple[str, str, Callable[[Program, Tensor, Tensor], float] | None]] = {
    "accuracy": ("accuracy", "Accuracy on held-out examples", _right),
    "balanced accuracy": ("balanced_accuracy", "Balanced accuracy on held-out examples", _balanced),
    "rmse": ("rmse", "Error (RMSE) on held-out examples", _root),
    "held-out loss": ("loss", "Loss on held-out examples", _loss),
    "loss": ("loss", "Training loss", None),
}


def adam(net: nn.Module, lr: float = 3e-3, **more: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(net.parameters(), lr, **more)


def sgd(net: nn.Module, lr: float = 0.05, momentum: float = 0.9, **more: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(net.parameters(), lr, momentum, **more)


def mlp(*sizes: int, act: type[nn.Module] = nn.ReLU, norm: bool = False) -> nn.Sequential:
    """Linear layers of these sizes with activations between them."""
    layers: list[nn.Module] = []
    for i, o in itertools.pairwise(sizes[:-1]):
        layers += [nn.Linear(i, o), *([nn.BatchNorm1d(o)] if norm else []), act()]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


def cnn(norm: bool = False) -> nn.Sequential:
    """Two convolutions for pictures of 8×8."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), *([nn.BatchNorm2d(8)] if norm else []), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 32), nn.ReLU(),
        nn.Linear(32, 10),
    )  # fmt: skip


@functools.cache
def digits(pictures: bool = False) -> Data:
    """1,797 handwritten digits of 8×8 (scikit-learn), pixels about 0 ± 1."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    data = _split((x - 4.9) / 6, y)
    return data.mapped(lambda rows: rows.view(-1, 1, 8, 8)) if pictures else data


@functools.cache
def cancer(raw: bool = False) -> Data:
    """569 tumours, 30 measurements each (scikit-learn); standardised unless raw."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return _split(x if raw else (x - x.mean(0)) / x.std(0), y)


@functools.cache
def diabetes() -> Data:
    """442 patients, ten measurements, disease progression after a year (scikit-learn); all standardised."""
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    return _split((x - x.mean(0)) / x.std(0), ((y - y.mean()) / y.std())[:, None])


@functools.cache
def fashion() -> Data:
    """1,500 pictures of Fashion-MNIST (bundled), averaged to 14×14, pixels 0 to 1."""
    with numpy.load(BUNDLED / "fashion_mnist_small.npz") as held:
        x = torch.tensor(held["train_x"][:1500], dtype=torch.float32).reshape(-1, 1, 28, 28) / 255
        y = numpy.asarray(held["train_y"][:1500], dtype=numpy.int64)
    return _split(F.avg_pool2d(x, 2).numpy(), y)


def _split(x: numpy.ndarray, y: numpy.ndarray) -> Data:
    order = numpy.random.default_rng(99).permutation(len(x))
    inputs = torch.tensor(x[order], dtype=torch.float32)
    targets = torch.tensor(y[order], dtype=torch.float32 if y.dtype.kind == "f" else torch.int64)
    cut = len(x) * 4 // 5
    return Data(inputs[:cut], targets[:cut], inputs[cut:], targets[cut:])
