"""The networks of the families with dials, and the dials."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from material import digits, fashion, labelled_twice, table, text
from torch import Tensor, nn

__all__ = ["ENDS", "Dials", "family_of"]


@dataclass
class Dials:
    """What can be turned. `loop`: "", "no-zero-grad", "eval" or "no-step"; `labels`: "", "shuffled" or "noisy"; `end`:
    a module after the last layer; `leak`: "", "shared" or "column"; `rare`: examples of each class but the first.
    """

    lr: float | None = None
    optimizer: str = ""
    momentum: float = 0.9
    maximize: bool = False
    decay: float = 0.0
    l1: float = 0.0
    dropout: float = 0.0
    early_dropout: float = 0.0
    act: str = "relu"
    depth: int = 0
    width: int = 0
    dense: int = 0
    gap: int = 0
    head: int = 0
    end: str = ""
    init: float = 0.0
    fill: float | None = None
    bias: float | None = None
    norm: bool = False
    time_first: bool = False
    batch: int = 32
    shuffle: bool = True
    scale: float = 1.0
    held_scale: float = 1.0
    uneven: bool = False
    holes: bool = False
    double: bool = False
    leak: str = ""
    rare: int = 0
    target_scale: float = 1.0
    target_shift: float = 0.0
    flat: bool = False
    schedule: str = ""
    loop: str = ""
    clip: float = 0.0
    labels: str = ""
    loss: str = ""
    softmax: bool = False
    epochs: int = 0
    few: int = 0
    smoothing: float = 0.0
    accumulate: int = 1
    frozen: int = 0
    last_only: bool = False


class Twice(nn.Module):
    """ReLU, and again."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(torch.sigmoid(x))


ACTS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "gelu": nn.GELU, "none": nn.Identity, "twice": Twice,
}  # fmt: skip
ENDS: dict[str, Callable[[], nn.Module]] = {
    "softmax": lambda: nn.Softmax(-1), "over-batch": lambda: nn.LogSoftmax(0), "sigmoid": nn.Sigmoid, "tanh": nn.Tanh,
    "relu": nn.ReLU, "log-softmax": lambda: nn.LogSoftmax(-1), "dropout": lambda: nn.Dropout(0.7),
}  # fmt: skip


def _mlp(i: int, o: int, s: Dials, width: int = 48, depth: int = 2) -> nn.Sequential:
    layers: list[nn.Module] = []
    width, depth = s.width or width, s.depth or depth
    for at in range(depth):
        layers.append(nn.Linear(i + s.gap if at == 0 else width, width))
        layers += [nn.Dropout(s.early_dropout)] if s.early_dropout else []
        layers += [nn.BatchNorm1d(width)] if s.norm else []
        layers += [ACTS[s.act](), *([nn.Dropout(s.dropout)] if s.dropout else [])]
    return nn.Sequential(*layers, nn.Linear(width, s.head or o))


def _cnn(s: Dials) -> nn.Module:
    act, w = ACTS[s.act], s.width or 8
    drop = [nn.Dropout(s.dropout)] if s.dropout else []
    norm = [nn.BatchNorm2d(w)] if s.norm else []
    if s.dense:
        first = nn.Conv2d(1, w, 3, padding=1)
        return nn.Sequential(
            first, act(), nn.Flatten(), nn.Linear(64 * w, s.dense), act(), nn.Linear(s.dense, s.head or 10)
        )
    return nn.Sequential(
        nn.Conv2d(1, w, 3, padding=1), *norm, act(), nn.MaxPool2d(2), nn.Conv2d(w, 2 * w, 3, padding=1), act(),
        nn.MaxPool2d(2), nn.Flatten(), *drop, nn.Linear(2 * w * 4 + s.gap, 32), act(), nn.Linear(32, s.head or 10),
    )  # fmt: skip


class Block(nn.Module):
    def __init__(self, i: int, o: int, stride: int, act: type[nn.Module]) -> None:
        super().__init__()
        self.a, self.na = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        self.b, self.nb = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        self.skip, self.act = nn.Conv2d(i, o, 1, stride), act()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.nb(self.b(self.act(self.na(self.a(x))))) + self.skip(x))


def _resnet(s: Dials) -> nn.Module:
    act, w = ACTS[s.act], s.width or 8
    drop = [nn.Dropout(s.dropout)] if s.dropout else []
    return nn.Sequential(
        nn.Conv2d(1, w, 3, 2, 1, bias=False), nn.BatchNorm2d(w), act(), Block(w, w, 1, act), Block(w, 2 * w, 2, act),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), *drop, nn.Linear(2 * w, 10),
    )  # fmt: skip


class Recurrent(nn.Module):
    def __init__(self, s: Dials) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8 + s.gap, s.width or 32, batch_first=not s.time_first)
        self.drop, self.head = nn.Dropout(s.dropout), nn.Linear(s.width or 32, s.head or 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.drop(self.lstm(x)[0][:, -1]))


class Characters(nn.Module):
    def __init__(self, s: Dials, vocabulary: int) -> None:
        super().__init__()
        w = s.width or 32
        self.table, self.place = nn.Embedding(vocabulary, w), nn.Embedding(24, w)
        layer = nn.TransformerEncoderLayer(w, 4, 2 * w, s.dropout, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, s.depth or 1, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(w), nn.Linear(w, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.table(tokens) + self.place(torch.arange(tokens.shape[1]))
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        return self.head(self.norm(self.body(x, mask, is_causal=True)))


def family_of(name: str) -> tuple[Callable[[Dials], nn.Module], Tensor, Tensor, str, dict[str, Any]]:
    usual: dict[str, Any] = {"lr": 3e-3, "epochs": 6}
    flat, labels = digits()
    pictures = flat.view(-1, 1, 8, 8)
    simple: dict[str, Any] = {
        "mlp": (lambda s: _mlp(64, 10, s), flat, labels, "class", usual),
        "cnn": (_cnn, pictures, labels, "class", usual),
        "lstm": (Recurrent, flat.view(-1, 8, 8), labels, "class", usual | {"epochs": 8}),
        "autoencoder": (
            lambda s: nn.Sequential(_mlp(64, 12, s), ACTS[s.act](), _mlp(12, 64, s)), flat, labels, "same", usual,
        ),
        "yesno": (lambda s: _mlp(64, 1, s), flat, (labels % 2 == 0).float()[:, None], "marks", usual),
        "marks": (lambda s: _mlp(64, 5, s), *labelled_twice(), "answers", usual),
    }  # fmt: skip
    if name in simple:
        return simple[name]
    if name == "resnet":
        return _resnet, *fashion(), "class", usual
    if name == "transformer":
        x, y, count = text()
        return lambda s: Characters(s, count), x, y, "tokens", usual | {"epochs": 8}
    if name == "regression":
        return lambda s: _mlp(10, 1, s), *table("friedman"), "number", usual | {"epochs": 15}
    x, y = table(name)
    if not y.is_floating_point():
        return lambda s: _mlp(x.shape[1], int(y.max()) + 1, s, 24, 1), x, y, "class", usual | {"epochs": 12}
    return lambda s: _mlp(x.shape[1], 1, s, 24, 1), x, y, "number", usual | {"epochs": 12}
