"""What the programs are made of: small data, real where there is some, and the shape of a program."""

import functools
import gzip
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

BUNDLED = Path(__file__).resolve().parents[2] / "src" / "netwright" / "data" / "bundled"
Pair = tuple[Any, Any]


@dataclass
class Built:
    """Arguments of `nw.diagnose`. `kind` says how good predictions are measured: see `figures.figure`.

    `test` are honest examples where `validation` is part of the fault (leaked, or prepared in another way).
    """

    net: nn.Module
    opt: torch.optim.Optimizer
    loss: Callable[..., Any] | None
    train: Any
    validation: Pair | None
    step: Callable[..., Any] | None
    epochs: int
    kind: str
    extra: dict[str, Any] = field(default_factory=dict)
    test: Pair | None = None


def split(x: Any, y: Tensor, share: float = 0.8) -> tuple[Pair, Pair]:
    """Training and validation examples, the same on every call; `x` may be a tuple of inputs."""
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(99))
    cut = int(len(order) * share)
    parts = (order[:cut], order[cut:])
    known, held = ((tuple(v[at] for v in x) if isinstance(x, tuple) else x[at], y[at]) for at in parts)
    return known, held


def loader(x: Any, y: Tensor, batch: int, shuffle: bool = True, drop_last: bool = False) -> DataLoader:
    """Batches of (input, ..., targets)."""
    inputs = x if isinstance(x, tuple) else (x,)
    return DataLoader(TensorDataset(*inputs, y), batch, shuffle=shuffle, drop_last=drop_last)


@functools.cache
def table(name: str) -> tuple[Tensor, Tensor]:
    """A table of scikit-learn, standardised, with numbers standardised as well; classes as they are."""
    from sklearn import datasets

    if name == "friedman":
        x, y = datasets.make_friedman1(1000, 10, noise=0.5, random_state=0)
    else:
        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    x = (x - x.mean(0)) / numpy.where(x.std(0) > 0, x.std(0), 1)
    if name in ("friedman", "diabetes"):
        y = ((y - y.mean()) / y.std())[:, None]
        return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


@functools.cache
def raw_table(name: str) -> tuple[Tensor, Tensor]:
    """The same in its own units (diabetes comes standardised; the others do not)."""
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


@functools.cache
def digits() -> tuple[Tensor, Tensor]:
    """1797 pictures of 8 by 8, flat."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return torch.tensor((x - 4.9) / 6, dtype=torch.float32), torch.tensor(y)


@functools.cache
def fashion(count: int = 1200) -> tuple[Tensor, Tensor]:
    """Bundled pictures of clothes, made 14 by 14, from -1 to 1."""
    with numpy.load(BUNDLED / "fashion_mnist_small.npz") as held:
        images, labels = held["train_x"][:count], held["train_y"][:count]
    x = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 28, 28) / 127.5 - 1
    return F.avg_pool2d(x, 2), torch.tensor(labels).long()


@functools.cache
def text(length: int = 24, letters_read: int = 24_000) -> tuple[Tensor, Tensor, int]:
    """Rows of letters of the bundled dictionary, the same a letter later, and the size of the alphabet."""
    with gzip.open(BUNDLED / "glosses.txt.gz", "rt") as held:
        read = held.read(letters_read).lower()
    letters = sorted(set(read))
    tokens = torch.tensor([letters.index(letter) for letter in read])
    rows = tokens[: len(tokens) // (length + 1) * (length + 1)].view(-1, length + 1)
    return rows[:, :-1], rows[:, 1:], len(letters)


@functools.cache
def waves(count: int = 1200, length: int = 48) -> tuple[Tensor, Tensor]:
    """Noisy sines, squares, saws and chirps of any phase and frequency, as (N, 1, length)."""
    chance = torch.Generator().manual_seed(5)
    labels = torch.randint(0, 4, (count,), generator=chance)
    turns = 2 + 3 * torch.rand(count, 1, generator=chance)
    phase = torch.rand(count, 1, generator=chance)
    at = torch.linspace(0, 1, length)
    way = turns * at + phase
    kinds = torch.stack([torch.sin(2 * math.pi * way), torch.sign(torch.sin(2 * math.pi * way)),
                         2 * (way % 1) - 1, torch.sin(2 * math.pi * way * (1 + at))], 1)  # fmt: skip
    made = kinds[torch.arange(count), labels] + 0.35 * torch.randn(count, length, generator=chance)
    return made[:, None], labels


@functools.cache
def series(count: int = 900, length: int = 24) -> tuple[Tensor, Tensor]:
    """Windows of a beating oscillation with noise, (N, length, 1), and the value three steps on, (N, 1)."""
    chance = torch.Generator().manual_seed(6)
    at = torch.arange(count + length + 3).float()
    made = torch.sin(at * 0.31) * torch.cos(at * 0.047) + 0.5 * torch.sin(at * 0.83)
    made = made + 0.1 * torch.randn(len(at), generator=chance)
    made = (made - made.mean()) / made.std()
    rows = made.unfold(0, length, 1)[:count]
    return rows[..., None], made[length + 2 : length + 2 + count, None]


@functools.cache
def sentences(count: int = 1200, length: int = 16, words: int = 40) -> tuple[Tensor, Tensor]:
    """Rows of words; the label (0 to 3) is the group of the last word that is not filler: order matters."""
    chance = torch.Generator().manual_seed(7)
    rows = torch.randint(0, words, (count, length), generator=chance)
    filler = rows >= words // 2
    place = torch.where(~filler, torch.arange(length), -1).amax(1).clamp(min=0)
    return rows, rows[torch.arange(count), place] % 4


@functools.cache
def bumps(count: int = 1000) -> tuple[Tensor, Tensor]:
    """Eight features and a target that no linear map reaches: products, a sine and an absolute value."""
    x = torch.randn(count, 8, generator=torch.Generator().manual_seed(8))
    y = x[:, 0] * x[:, 1] + torch.sin(2 * x[:, 2]) + x[:, 3].abs() + 0.5 * x[:, 4].square()
    y = y + 0.1 * torch.randn(count, generator=torch.Generator().manual_seed(9))
    return x, ((y - y.mean()) / y.std())[:, None]


def labelled_twice() -> tuple[Tensor, Tensor]:
    """Digits with five answers each: even, above four, with a loop, prime, drawn with a straight line."""
    x, y = digits()
    groups = ({0, 2, 4, 6, 8}, {5, 6, 7, 8, 9}, {0, 6, 8, 9}, {2, 3, 5, 7}, {1, 4, 5, 7})
    marks = [torch.tensor([int(label) in group for label in y]) for group in groups]
    return x, torch.stack(marks, 1).float()


def rare(x: Tensor, y: Tensor, keep: int, labels: int = 10, seed: int = 3) -> tuple[Tensor, Tensor]:
    """All examples of label 0, and `keep` of each other one."""
    chance = torch.Generator().manual_seed(seed)
    chosen = [(y == 0).nonzero().flatten()]
    for label in range(1, labels):
        every = (y == label).nonzero().flatten()
        chosen.append(every[torch.randperm(len(every), generator=chance)[:keep]])
    index = torch.cat(chosen)
    return x[index], y[index]
