"""Programs of families that are tuned on, and five older ones that are held out, each with dials by which one thing can
be made wrong; and `build`, which knows the hand-written programs of the other files as well.

`build(family, seed, **dials)` gives what `nw.diagnose` takes. Every dial at its default is the healthy twin. Sizes are
tiny on purpose: a run is a few hundred steps of about a millisecond.
"""

from collections.abc import Callable
from typing import Any

import held_meant
import held_odd
import held_sequences
import held_tables
import held_vision
import torch
import torch.nn.functional as F
from material import Built, rare
from networks import ENDS, Dials, family_of
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

__all__ = ["BY_HAND", "Built", "build"]

BY_HAND: dict[str, Callable[..., Built]] = {
    **held_vision.PROGRAMS, **held_sequences.PROGRAMS, **held_tables.PROGRAMS, **held_odd.PROGRAMS,
    **held_meant.PROGRAMS,
}  # fmt: skip


def build(family: str, seed: int = 0, **dials: Any) -> Built:
    """One program."""
    if family in BY_HAND:
        return BY_HAND[family](seed, **dials)
    s = Dials(**dials)
    torch.manual_seed(seed)
    make, x, y, kind, defaults = family_of(family)
    lr, epochs = defaults["lr"] if s.lr is None else s.lr, s.epochs or defaults["epochs"]
    (x, y), held, test = _data(s, x, y, kind)
    net = make(s)
    _initialise(net, s)
    end = "softmax" if s.softmax else s.end
    if end:
        net = nn.Sequential(net, ENDS[end]())
    for parameter in list(net.parameters())[: s.frozen]:
        parameter.requires_grad_(False)
    opt = _optimizer(net, s, lr)
    same = kind == "same"
    loss = _loss(s, "number" if same else kind, y)
    loader = DataLoader(TensorDataset(x, x if same else y), s.batch, shuffle=s.shuffle)
    step = _step(s, loss, _schedule(s, opt, epochs * len(loader)))
    if same:
        held = held[0], held[0]
    kind = "number" if same else "balanced" if s.rare else kind
    return Built(net, opt, loss, loader, held, step, epochs, kind, test=test)


def _data(s: Dials, x: Tensor, y: Tensor, kind: str) -> tuple[Any, Any, Any]:
    """Training, validation and, where validation is part of the fault, honest examples."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(99))
    x, y = x[order], y[order]
    if s.uneven:
        x = x * torch.logspace(-2, 3, x.shape[-1])
    x = x * s.scale if x.is_floating_point() else x
    if kind == "number":
        y = y * s.target_scale + s.target_shift
    if s.double:
        x = x.double()
    cut = len(x) * 4 // 5
    (x, held_x), (y, held_y) = (x[: s.few or cut], x[cut:]), (y[: s.few or cut], y[cut:])
    test = None
    if s.leak == "shared":
        test, held_x, held_y = (held_x, held_y), x[:200], y[:200]
    if s.leak == "column":
        nothing = torch.zeros(len(held_x), 1)
        test = torch.cat([held_x[:, :-1], nothing], 1), held_y
        x, held_x = (torch.cat([a[:, :-1], b.reshape(-1, 1).float()], 1) for a, b in ((x, y), (held_x, held_y)))
    if s.rare:
        x, y = rare(x, y, s.rare)
    if s.holes:
        x = torch.where(torch.rand_like(x) < 0.002, torch.nan, x)
    if s.labels == "shuffled":
        y = y[torch.randperm(len(y))]
    if s.labels == "noisy":
        wrong = torch.rand(len(y)) < 0.15
        y = torch.where(wrong, torch.randint(0, 10, y.shape), y)
    if not s.shuffle and kind != "same":
        order = y.reshape(len(y), -1)[:, 0].argsort()
        x, y = x[order], y[order]
    if s.flat:
        y = y.squeeze(1)
    return (x, y), (_raw(held_x, s.held_scale), held_y), test


def _raw(x: Tensor, scale: float) -> Tensor:
    """In other units, and with a mean far from 0."""
    return (x + 2.5) * scale if scale != 1 else x


def _optimizer(net: nn.Module, s: Dials, lr: float) -> torch.optim.Optimizer:
    parameters = [p for p in net.parameters() if p.requires_grad]
    parameters = parameters[-2:] if s.last_only else parameters
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "": torch.optim.Adam, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "adadelta": torch.optim.Adadelta,
        "adagrad": torch.optim.Adagrad, "rmsprop": torch.optim.RMSprop, "rprop": torch.optim.Rprop,
    }  # fmt: skip
    if s.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr, s.momentum, weight_decay=s.decay, maximize=s.maximize)
    more = {"weight_decay": s.decay} if s.decay else {}
    return kinds[s.optimizer](parameters, lr=lr, **more)


def _loss(s: Dials, kind: str, y: Tensor) -> Callable[[Any, Tensor], Tensor]:  # noqa: PLR0911
    simple: dict[str, Callable[[], nn.Module]] = {
        "nll": nn.NLLLoss, "bce": nn.BCELoss, "bce-logits": nn.BCEWithLogitsLoss, "compete": nn.CrossEntropyLoss,
        "huber": nn.SmoothL1Loss, "sum": lambda: nn.CrossEntropyLoss(reduction="sum"), "squares": nn.MSELoss,
    }  # fmt: skip
    if s.loss in simple:
        return simple[s.loss]()
    if s.loss == "weighted":
        counts = torch.bincount(y).float()
        return nn.CrossEntropyLoss(weight=counts.sum() / counts / len(counts))
    if s.loss == "mse-on-labels":
        return lambda out, y: F.mse_loss(out, F.one_hot(y, out.shape[-1]).float())
    if s.loss == "mae-on-labels":
        return lambda out, y: F.l1_loss(out.softmax(-1), F.one_hot(y, out.shape[-1]).float())
    if s.loss == "negative":
        return lambda out, y: -F.cross_entropy(out, y)
    if s.loss == "log-of-probability":
        return lambda out, y: F.nll_loss((out.softmax(-1) - 0.02).log(), y)
    if kind == "tokens":
        return lambda out, y: F.cross_entropy(out.flatten(0, 1), y.flatten())
    if kind in ("marks", "answers"):
        return nn.BCEWithLogitsLoss()
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
    for module in weighted:
        if s.init:
            nn.init.normal_(module.weight, std=s.init)
        if s.fill is not None:
            nn.init.constant_(module.weight, s.fill)
            nn.init.zeros_(module.bias)
    if s.bias is not None:
        for module in weighted[:-1]:
            if module.bias is not None:
                nn.init.constant_(module.bias, s.bias)
