"""Held out, nobody tunes on these: picture programs by hand, with functional activations, schedules and clipping in the
step, and datasets of their own. `bug` names what is wrong; "" is the repaired twin.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from material import Built, digits, fashion, loader, rare, split
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


class Clothes(Dataset):
    """Pictures one at a time, mirrored by chance, as from a folder."""

    def __init__(self, x: Tensor, y: Tensor, mirror: bool = True) -> None:
        self.x, self.y, self.mirror = x, y, mirror

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, at: int) -> tuple[Tensor, int]:
        x = self.x[at]
        return (x.flip(-1) if self.mirror and torch.rand(()) < 0.5 else x), int(self.y[at])


class LeNet(nn.Module):
    """Activations and pools are functions; only weights are modules."""

    def __init__(self, bug: str) -> None:
        super().__init__()
        self.bug = bug
        self.c1, self.c2 = nn.Conv2d(1, 8, 5, padding=2), nn.Conv2d(8, 16, 3)
        self.f1 = nn.Linear(100 if bug == "flat-size" else 64, 1 if bug == "narrow" else 48)
        self.f2 = nn.Linear(self.f1.out_features, 8 if bug == "head" else 10)
        if bug == "dead":
            nn.init.constant_(self.c2.bias, -20.0)
        if bug == "constant":
            for layer in (self.c1, self.c2, self.f1, self.f2):
                nn.init.constant_(layer.weight, 0.02)
        if bug == "loud":
            for layer in (self.c1, self.c2, self.f1, self.f2):
                nn.init.normal_(layer.weight, std=4.0)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2).flatten(1)
        if self.bug == "cut":
            x = x.detach()
        if self.bug == "always-dropping":
            x = F.dropout(x, 0.7)
        x = self.f2(F.relu(self.f1(x)))
        if self.bug == "softmax":
            return F.softmax(x, dim=1)
        if self.bug == "tanh-end":
            return torch.tanh(x)
        if self.bug == "dropped-answer":
            return F.dropout(x, 0.6, self.training)
        if self.bug == "over-batch":
            return F.log_softmax(x, 0)
        return x


def lenet(seed: int, bug: str = "", lr: float = 0.05, clip: float = 5.0) -> Built:
    """SGD with Nesterov, a one-cycle schedule and clipping inside the step; a hand-made dataset."""
    torch.manual_seed(seed)
    x, y = fashion()
    known, held = split(x, y)
    if bug == "other-scale":
        held = (held[0] + 1) * 127.5, held[1]
    if bug == "bytes":
        known, held = ((known[0] + 1) * 127.5, known[1]), ((held[0] + 1) * 127.5, held[1])
    if bug == "twice-divided":
        known, held = ((known[0] + 1) / 510 / 255, known[1]), ((held[0] + 1) / 510 / 255, held[1])
    if bug == "sorted":
        order = known[1].argsort()
        known = known[0][order], known[1][order]
    if bug == "shuffled-labels":
        known = known[0], known[1][torch.randperm(len(known[1]))]
    if bug.startswith("rare"):
        known = rare(*known, keep=8)
    net = LeNet(bug)
    opt = torch.optim.SGD(net.parameters(), lr, 0.9, nesterov=True, weight_decay=1e-4)
    train = DataLoader(Clothes(*known), 24, shuffle=bug != "sorted")
    epochs = 24 if bug.startswith("rare") else 8
    plan = torch.optim.lr_scheduler.OneCycleLR(opt, lr, total_steps=epochs * len(train))
    counts = torch.bincount(known[1], minlength=10).float()
    weight = counts.sum() / counts / 10 if bug == "rare-weighted" else None
    loss = nn.NLLLoss() if bug in ("nll", "over-batch") else nn.CrossEntropyLoss(weight)
    left = [epochs * len(train)]

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        images, labels = batch
        opt.zero_grad(set_to_none=True)
        value = loss(net(images), labels)
        value.backward()
        nn.utils.clip_grad_norm_(net.parameters(), clip)
        opt.step()
        left[0] -= 1
        if left[0] > 0:
            plan.step()
        return value

    return Built(net, opt, loss, train, held, step, epochs, "balanced" if bug.startswith("rare") else "class")


class Unit(nn.Module):
    """Norm and activation before each convolution (He et al., 2016b)."""

    def __init__(self, i: int, o: int, bug: str) -> None:
        super().__init__()
        self.n1, self.n2 = nn.BatchNorm2d(i), nn.BatchNorm2d(o)
        self.c1 = nn.Conv2d(i, o, 3, 2 if o > i else 1, 1, bias=bug == "biased")
        self.c2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.short = nn.Conv2d(i, o, 1, 2, bias=False) if o > i else None
        self.rate = 0.7 if bug == "drop-before-norm" else 0.0

    def forward(self, x: Tensor) -> Tensor:
        h = F.silu(self.n1(x))
        back = x if self.short is None else self.short(h)
        h = F.dropout(self.c1(h), self.rate, self.training)
        return back + self.c2(F.silu(self.n2(h)))


class Residual(nn.Module):
    """A stem, three units, the mean of the map."""

    def __init__(self, bug: str) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, 2, 1)
        self.units = nn.ModuleList([Unit(8, 8, bug), Unit(8, 16, bug), Unit(16, 16, bug)])
        self.last, self.head = nn.BatchNorm2d(16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for unit in self.units:
            x = unit(x)
        return self.head(F.silu(self.last(x)).mean((2, 3)))


def residual(seed: int, bug: str = "", lr: float = 0.1, decay: float = 5e-4, batch: int = 32) -> Built:
    """SGD at 0.1 with two groups (no decay on norms) and warm restarts an epoch."""
    torch.manual_seed(seed)
    known, held = split(*fashion())
    if bug == "shuffled-labels":
        known = known[0], known[1].roll(177)
    net = Residual(bug)
    matrices = [p for p in net.parameters() if p.dim() > 1]
    rest = [p for p in net.parameters() if p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": rest, "weight_decay": 0.0}]
    if bug == "head-only":
        groups = [{"params": net.head.parameters()}]
    opt = torch.optim.SGD(groups, lr, 0.9)
    train = loader(*known, batch, drop_last=len(known[1]) % batch == 1)
    plan: Any = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, 3 * len(train))
    if bug == "halved-each-step":
        plan = torch.optim.lr_scheduler.StepLR(opt, 2, 0.5)
    loss = nn.CrossEntropyLoss(label_smoothing=0.05)

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        if bug == "asleep":
            net.eval()
        if bug != "never-cleared":
            opt.zero_grad()
        value = loss(net(batch[0]), batch[1])
        value.backward()
        opt.step()
        plan.step()
        return value.detach()

    return Built(net, opt, loss, train, held, step, 6, "class")


class Patches(nn.Module):
    """A transformer on 16 patches of 2 by 2, with attention written out and a token for the answer."""

    def __init__(self, bug: str, depth: int, width: int = 32) -> None:
        super().__init__()
        self.bug, self.cut = bug, nn.Unfold(2, stride=2)
        self.into, self.place = nn.Linear(4, width), nn.Parameter(0.1 * torch.randn(1, 17, width))
        self.answer = nn.Parameter(0.1 * torch.randn(1, 1, width))
        blocks = [self._block(width) for _ in range(depth)]
        self.blocks: Any = blocks if bug == "plain-list" else nn.ModuleList(blocks)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    @staticmethod
    def _block(width: int) -> nn.ModuleDict:
        return nn.ModuleDict({
            "qkv": nn.Linear(width, 3 * width), "out": nn.Linear(width, width), "n1": nn.LayerNorm(width),
            "up": nn.Linear(width, 2 * width), "down": nn.Linear(2 * width, width), "n2": nn.LayerNorm(width),
        })  # fmt: skip

    def _mix(self, block: nn.ModuleDict, x: Tensor) -> Tensor:
        if self.bug == "across-examples":
            x = x.transpose(0, 1)
        q, k, v = block["qkv"](x).chunk(3, -1)
        found = block["out"](torch.softmax(q @ k.transpose(1, 2) / q.shape[-1] ** 0.5, -1) @ v)
        return found.transpose(0, 1) if self.bug == "across-examples" else found

    def forward(self, x: Tensor) -> Tensor:
        x = self.into(self.cut(x).transpose(1, 2))
        x = torch.cat([self.answer.expand(len(x), -1, -1), x], 1) + self.place
        bare = self.bug == "bare"
        rate = 0.95 if self.bug == "drowned" else 0.0
        for block in self.blocks:
            mixed = self._mix(block, x if bare else block["n1"](x))
            x = mixed if bare else x + F.dropout(mixed, rate, self.training)
            wide = block["down"](F.gelu(block["up"](x if bare else block["n2"](x))))
            x = wide if bare else x + F.dropout(wide, rate, self.training)
        x = self.head(x[:, 0] if bare else self.norm(x[:, 0]))
        if self.bug == "softmax":
            return x.softmax(-1)
        return x


def patches(seed: int, bug: str = "", lr: float = 2e-3, depth: int = 2) -> Built:
    """AdamW with a linear warm-up and decay, clipping at 1, on 8 by 8 digits."""
    torch.manual_seed(seed)
    x, y = digits()
    known, held = split(x.view(-1, 1, 8, 8), y)
    if bug == "shuffled-labels":
        known = known[0], known[1][torch.randperm(len(known[1]))]
    net = Patches(bug, depth)
    opt = torch.optim.AdamW(net.parameters(), lr, weight_decay=0.01)
    train, epochs = loader(*known, 32), 6
    total = epochs * len(train)
    plan = torch.optim.lr_scheduler.LambdaLR(opt, lambda n: min((n + 1) / 30, max(0.05, 1 - n / total)))
    if bug == "collapsed":
        plan = torch.optim.lr_scheduler.LambdaLR(opt, lambda n: 0.8**n)
    if bug == "distance":

        def loss(scores: Tensor, labels: Tensor) -> Tensor:
            return F.mse_loss(scores.sigmoid(), F.one_hot(labels, 10).float())
    else:
        loss = F.cross_entropy

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        images, labels = batch
        value = loss(net(images), labels)
        if bug != "never-cleared":
            opt.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        if bug != "no-step":
            opt.step()
        plan.step()
        return value

    return Built(net, opt, loss, train, held, step, epochs, "class")


PROGRAMS: dict[str, Callable[..., Built]] = {"lenet": lenet, "residual": residual, "patches": patches}
