"""Small programs of eight families on real data, each with dials by which one thing can be made wrong.

`build(family, **dials)` gives what `nw.diagnose` takes. Every dial at its default is the healthy twin. Sizes are tiny
on purpose: a run is a few hundred steps of about a millisecond.
"""

import functools
import gzip
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


@dataclass
class Dials:
    """What can be turned. `loop`: "", "no-zero-grad", "eval" or "no-step"; `labels`: "", "shuffled" or "noisy"."""

    lr: float | None = None
    optimizer: str = ""
    momentum: float = 0.9
    decay: float = 0.0
    l1: float = 0.0
    dropout: float = 0.0
    act: str = "relu"
    depth: int = 0
    width: int = 0
    init: float = 0.0
    bias: float | None = None
    norm: bool = False
    batch: int = 32
    shuffle: bool = True
    scale: float = 1.0
    uneven: bool = False
    target_scale: float = 1.0
    target_shift: float = 0.0
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


@dataclass
class Built:
    """Arguments of `nw.diagnose`, and how good the predictions are (`score`: accuracy or R2)."""

    net: nn.Module
    opt: torch.optim.Optimizer
    loss: Callable[[Any, Tensor], Tensor]
    train: Any
    validation: tuple[Tensor, Tensor]
    step: Callable[..., Tensor] | None
    epochs: int
    kind: str
    extra: dict[str, Any] = field(default_factory=dict)


def build(family: str, seed: int = 0, **dials: Any) -> Built:
    """One program."""
    s = Dials(**dials)
    torch.manual_seed(seed)
    make, x, y, kind, defaults = _family(family)
    lr, epochs = s.lr or defaults["lr"], s.epochs or defaults["epochs"]
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(99))
    x, y = x[order], y[order]
    if s.uneven:
        x = x * torch.logspace(-2, 3, x.shape[-1])
    x, same = x * s.scale if x.is_floating_point() else x, kind == "same"
    if kind == "number":
        y = y * s.target_scale + s.target_shift
    cut = len(x) * 4 // 5
    held = x[cut:], y[cut:]
    x, y = x[: s.few or cut], y[: s.few or cut]
    if s.labels == "shuffled":
        y = y[torch.randperm(len(y))]
    if s.labels == "noisy":
        wrong = torch.rand(len(y)) < 0.15
        y = torch.where(wrong, torch.randint(0, 10, y.shape), y)
    if not s.shuffle and not same:
        order = y.reshape(len(y), -1)[:, 0].argsort()
        x, y = x[order], y[order]
    net = make(s)
    _initialise(net, s)
    if s.softmax:
        net = nn.Sequential(net, nn.Softmax(-1))
    for parameter in list(net.parameters())[: s.frozen]:
        parameter.requires_grad_(False)
    opt = _optimizer(net, s, lr)
    loss = _loss(s, "number" if same else kind)
    loader = DataLoader(TensorDataset(x, x if same else y), s.batch, shuffle=s.shuffle)
    step = _step(s, loss, _schedule(s, opt, epochs * len(loader)))
    if same:
        held = held[0], held[0]
    return Built(net, opt, loss, loader, held, step, epochs, "number" if same else kind)


def _optimizer(net: nn.Module, s: Dials, lr: float) -> torch.optim.Optimizer:
    parameters = [p for p in net.parameters() if p.requires_grad]
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "": torch.optim.Adam, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "adadelta": torch.optim.Adadelta,
        "adagrad": torch.optim.Adagrad, "rmsprop": torch.optim.RMSprop, "rprop": torch.optim.Rprop,
    }  # fmt: skip
    if s.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr, s.momentum, weight_decay=s.decay)
    more = {"weight_decay": s.decay} if s.decay else {}
    return kinds[s.optimizer](parameters, lr=lr, **more)


def _loss(s: Dials, kind: str) -> Callable[[Any, Tensor], Tensor]:  # noqa: PLR0911
    if s.loss == "mse-on-labels":
        return lambda out, y: F.mse_loss(out, F.one_hot(y, out.shape[-1]).float())
    if s.loss == "mae-on-labels":
        return lambda out, y: F.l1_loss(out.softmax(-1), F.one_hot(y, out.shape[-1]).float())
    if s.loss == "negative":
        return lambda out, y: -F.cross_entropy(out, y)
    if s.loss == "log-of-probability":
        return lambda out, y: F.nll_loss((out.softmax(-1) - 0.02).log(), y)
    if s.loss == "sum":
        return nn.CrossEntropyLoss(reduction="sum")
    if s.loss == "huber":
        return nn.SmoothL1Loss()
    if kind == "tokens":
        return lambda out, y: F.cross_entropy(out.flatten(0, 1), y.flatten())
    return nn.CrossEntropyLoss(label_smoothing=s.smoothing) if kind == "class" else nn.MSELoss()


def _schedule(s: Dials, opt: torch.optim.Optimizer, steps: int) -> Any:
    if s.schedule == "collapse":
        return torch.optim.lr_scheduler.ExponentialLR(opt, 0.7)
    if s.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(opt, steps)
    if s.schedule == "warmup":
        return torch.optim.lr_scheduler.LambdaLR(opt, lambda n: min(1.0, (n + 1) / 20))
    if s.schedule == "restarts":
        return torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, max(10, steps // 4))
    return None


def _step(s: Dials, loss: Callable[[Any, Tensor], Tensor], schedule: Any) -> Callable[..., Tensor] | None:
    if not (s.loop or schedule or s.clip or s.l1 or s.accumulate > 1):
        return None
    count = 0

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: tuple[Tensor, Tensor]) -> Tensor:
        nonlocal count
        x, y = batch
        if s.loop == "eval":
            net.eval()
        if s.loop != "no-zero-grad" and count % s.accumulate == 0:
            opt.zero_grad()
        value = loss(net(x), y) / s.accumulate
        if s.l1:
            value = value + s.l1 * sum(p.abs().sum() for p in net.parameters())
        value.backward()
        if s.clip:
            torch.nn.utils.clip_grad_norm_(net.parameters(), s.clip)
        count += 1
        if s.loop != "no-step" and count % s.accumulate == 0:
            opt.step()
        if schedule is not None:
            schedule.step()
        return value * s.accumulate

    return step


def _initialise(net: nn.Module, s: Dials) -> None:
    weighted = [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    if s.init:
        for module in weighted:
            nn.init.normal_(module.weight, std=s.init)
    if s.bias is not None:
        for module in weighted[:-1]:
            if module.bias is not None:
                nn.init.constant_(module.bias, s.bias)


ACTS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "gelu": nn.GELU}


def _mlp(i: int, o: int, s: Dials, width: int = 48, depth: int = 2) -> nn.Sequential:
    layers: list[nn.Module] = []
    width, depth = s.width or width, s.depth or depth
    for at in range(depth):
        layers.append(nn.Linear(i if at == 0 else width, width))
        layers += [nn.BatchNorm1d(width)] if s.norm else []
        layers += [ACTS[s.act](), *([nn.Dropout(s.dropout)] if s.dropout else [])]
    return nn.Sequential(*layers, nn.Linear(width, o))


def _cnn(s: Dials) -> nn.Module:
    act, w = ACTS[s.act], s.width or 8
    drop = [nn.Dropout(s.dropout)] if s.dropout else []
    norm = [nn.BatchNorm2d(w)] if s.norm else []
    return nn.Sequential(
        nn.Conv2d(1, w, 3, padding=1), *norm, act(), nn.MaxPool2d(2), nn.Conv2d(w, 2 * w, 3, padding=1), act(),
        nn.MaxPool2d(2), nn.Flatten(), *drop, nn.Linear(2 * w * 4, 32), act(), nn.Linear(32, 10),
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
        self.lstm = nn.LSTM(8, s.width or 32, batch_first=True)
        self.drop, self.head = nn.Dropout(s.dropout), nn.Linear(s.width or 32, 10)

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


@functools.cache
def _table(name: str) -> tuple[Tensor, Tensor]:
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
def _digits() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return torch.tensor((x - 4.9) / 6, dtype=torch.float32), torch.tensor(y)


@functools.cache
def _fashion() -> tuple[Tensor, Tensor]:
    with numpy.load(BUNDLED / "fashion_mnist_small.npz") as held:
        images, labels = held["train_x"][:1200], held["train_y"][:1200]
    x = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 28, 28) / 127.5 - 1
    return F.avg_pool2d(x, 2), torch.tensor(labels).long()


@functools.cache
def _text() -> tuple[Tensor, Tensor, int]:
    with gzip.open(BUNDLED / "glosses.txt.gz", "rt") as held:
        text = held.read(24_000).lower()
    letters = sorted(set(text))
    tokens = torch.tensor([letters.index(letter) for letter in text])
    rows = tokens[: len(tokens) // 25 * 25].view(-1, 25)
    return rows[:, :-1], rows[:, 1:], len(letters)


def _family(name: str) -> tuple[Callable[[Dials], nn.Module], Tensor, Tensor, str, dict[str, Any]]:  # noqa: PLR0911
    usual: dict[str, Any] = {"lr": 3e-3, "epochs": 6}
    if name == "mlp":
        x, y = _digits()
        return lambda s: _mlp(64, 10, s), x, y, "class", usual
    if name == "cnn":
        x, y = _digits()
        return _cnn, x.view(-1, 1, 8, 8), y, "class", usual
    if name == "resnet":
        x, y = _fashion()
        return _resnet, x, y, "class", usual
    if name == "lstm":
        x, y = _digits()
        return Recurrent, x.view(-1, 8, 8), y, "class", usual | {"epochs": 8}
    if name == "transformer":
        x, y, count = _text()
        return lambda s: Characters(s, count), x, y, "tokens", usual | {"epochs": 8}
    if name == "autoencoder":
        x, y = _digits()
        return lambda s: nn.Sequential(_mlp(64, 12, s), ACTS[s.act](), _mlp(12, 64, s)), x, y, "same", usual
    if name == "regression":
        x, y = _table("friedman")
        return lambda s: _mlp(10, 1, s), x, y, "number", usual | {"epochs": 15}
    x, y = _table(name)
    if not y.is_floating_point():
        return lambda s: _mlp(x.shape[1], int(y.max()) + 1, s, 24, 1), x, y, "class", usual | {"epochs": 12}
    return lambda s: _mlp(x.shape[1], 1, s, 24, 1), x, y, "number", usual | {"epochs": 12}
