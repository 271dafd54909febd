"""Held out, nobody tunes on these: tables. Two inputs with an embedding, one yes or no, several answers at once,
numbers that no line reaches, and autoencoders. `bug` names what is wrong; "" is the repaired twin.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from material import Built, bumps, fashion, labelled_twice, loader, raw_table, split, table
from torch import Tensor, nn


class Patient(nn.Module):
    """Numbers and a category, joined."""

    def __init__(self, bug: str) -> None:
        super().__init__()
        self.bug, wide = bug, 1 if bug == "narrow" else 32
        self.sex, self.numbers = nn.Embedding(2, 4), nn.Linear(9, wide)
        self.hidden, self.out = nn.Linear(wide + 4, wide), nn.Linear(wide, 1)
        self.unused = nn.Linear(9, 9) if bug == "idle" else None

    def forward(self, numbers: Tensor, sex: Tensor) -> Tensor:
        h = torch.cat([F.elu(self.numbers(numbers)), self.sex(sex)], 1)
        out = self.out(F.elu(self.hidden(h)))
        return out.squeeze(1) if self.bug == "flat" else out


def patient(seed: int, bug: str = "", lr: float = 3e-3, decay: float = 1e-4, batch: int = 16) -> Built:
    """Diabetes: nine numbers and the sex; Adam, a smooth L1 loss, 20 epochs."""
    torch.manual_seed(seed)
    x, y = table("diabetes")
    sex, numbers = (x[:, 1] > 0).long(), x[:, [0, *range(2, 10)]]
    if bug == "own-units":
        y = 15_200 + 7_700 * y
    if bug == "uneven":
        numbers = numbers * torch.logspace(-3, 4, 9)
    (known, answers), held = split((numbers, sex), y)
    if bug == "shuffled-labels":
        answers = answers[torch.randperm(len(answers))]
    net = Patient(bug)
    opt = torch.optim.Adam(net.parameters(), lr, weight_decay=decay)
    loss = nn.MSELoss() if bug == "flat" else nn.SmoothL1Loss()

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        (numbers, sex), answers = batch
        if bug != "never-cleared":
            opt.zero_grad()
        value = loss(net(numbers, sex), answers)
        value.backward()
        if bug == "frozen-step":
            return value
        opt.step()
        return value

    return Built(net, opt, loss, loader(known, answers, batch), held, step, 20, "number")


class Judge(nn.Module):
    """One score for yes or no."""

    def __init__(self, bug: str, features: int) -> None:
        super().__init__()
        self.bug = bug
        self.a, self.b = nn.Linear(features, 24), nn.Linear(24, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(F.gelu(self.a(x)))
        if self.bug in ("sigmoid-twice", "distance", "absolute"):
            return torch.sigmoid(x)
        return torch.softmax(x, 1) if self.bug == "one-unit" else x


def judge(seed: int, bug: str = "", lr: float = 0.05, momentum: float = 0.9, epochs: int = 8) -> Built:
    """Breast cancer: one score, BCE with logits, SGD, no step of its own."""
    torch.manual_seed(seed)
    x, y = (raw_table if bug == "raw" else table)("breast_cancer")
    known, held = split(x, y)
    test = None
    if bug == "told":
        known = torch.cat([known[0], 4.0 * known[1][:, None].float()], 1), known[1]
        test = torch.cat([held[0], torch.zeros(len(held[1]), 1)], 1), held[1][:, None].float()
        held = torch.cat([held[0], 4.0 * held[1][:, None].float()], 1), held[1]
    if bug == "shared":
        test = held[0], held[1][:, None].float()
        held = known[0][:100], known[1][:100]
    if bug == "holes":
        known[0][3::40, 2] = float("nan")
    if bug == "one-and-two":
        known = known[0], known[1] + 1
    answers = known[1][:, None].float()
    net = Judge(bug, known[0].shape[1])
    opt = torch.optim.SGD(net.parameters(), lr, momentum if bug != "runaway" else 1.4)
    if bug == "climbing":
        opt = torch.optim.SGD(net.parameters(), lr, momentum, maximize=True)
    losses: dict[str, Callable[..., Tensor]] = {
        "bare": nn.BCELoss(), "one-unit": nn.BCELoss(), "absolute": nn.L1Loss(), "distance": nn.MSELoss(),
        "negative": lambda out, wanted: -F.binary_cross_entropy_with_logits(out, wanted),
    }  # fmt: skip
    loss = losses.get(bug, nn.BCEWithLogitsLoss())
    held = held[0], held[1][:, None].float()
    return Built(net, opt, loss, loader(known[0], answers, 16), held, None, epochs, "answers", test=test)


class Several(nn.Module):
    """Five answers about a digit."""

    def __init__(self, bug: str) -> None:
        super().__init__()
        self.bug = bug
        self.a, self.b, self.c = nn.Linear(64, 40), nn.Linear(40, 40), nn.Linear(40, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.c(F.relu(self.b(F.relu(self.a(x)))))
        if self.bug == "compete-softly":
            return x.softmax(1)
        if self.bug == "half":
            return torch.sigmoid(F.relu(x))
        return F.relu(x) if self.bug == "relu-end" else x


def several(seed: int, bug: str = "", lr: float = 2e-3) -> Built:
    """Several labels an example, binary cross-entropy each, AdamW with a cosine schedule."""
    torch.manual_seed(seed)
    known, held = split(*labelled_twice())
    net = Several(bug)
    opt = torch.optim.AdamW(net.parameters(), lr)
    train, epochs = loader(*known, 32), 5
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs * len(train))
    losses = {"compete": nn.CrossEntropyLoss(), "compete-softly": nn.BCELoss(), "half": nn.BCELoss()}
    loss = losses.get(bug, nn.BCEWithLogitsLoss())

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        opt.zero_grad()
        value = loss(net(batch[0]), batch[1])
        value.backward()
        opt.step()
        plan.step()
        return value

    return Built(net, opt, loss, train, held, step, epochs, "answers")


class Curve(nn.Module):
    """A dense block: each layer reads all before it."""

    def __init__(self, bug: str, wide: int) -> None:
        super().__init__()
        self.bug = bug
        self.layers = nn.ModuleList([nn.Linear(8 + n * wide, wide) for n in range(2)])
        self.out = nn.Linear(8 + 2 * wide, 1)
        if bug == "constant":
            for layer in self.layers:
                nn.init.constant_(layer.weight, 0.05)
                nn.init.zeros_(layer.bias)
        if bug == "faint":
            for parameter in self.parameters():
                nn.init.normal_(parameter, std=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            h = layer(x)
            x = torch.cat([x, h if self.bug == "linear" else F.silu(h)], 1)
        out = self.out(x)
        if self.bug == "sigmoid-end":
            return out.sigmoid()
        return F.dropout(out, 0.8, self.training) if self.bug == "dropped-answer" else out


def curve(seed: int, bug: str = "", lr: float = 3e-3, wide: int = 24, batch: int = 25, epochs: int = 12) -> Built:
    """Numbers that no line reaches; Adam, a penalty on the weights in the step."""
    torch.manual_seed(seed)
    x, y = bumps()
    if bug == "echo":
        x = torch.cat([x[:, :7], y + 0.0], 1)
    known, held = split(x, y)
    test = None
    if bug == "echo":
        test = torch.cat([held[0][:, :7], torch.zeros_like(held[1])], 1), held[1]
    if bug == "erased":
        known, held = (known[0] * 0 + 1, known[1]), (held[0] * 0 + 1, held[1])
    if bug == "integers":
        known = known[0].long(), known[1]
    if bug == "other-shift":
        held = held[0] * 30 + 50, held[1]
    if bug == "flat":
        known = known[0], known[1].squeeze(1)
    net = Curve(bug, wide)
    opt: torch.optim.Optimizer = torch.optim.Adam(net.parameters(), lr if bug != "still" else 0.0)
    if bug == "growing":
        opt = torch.optim.SGD(net.parameters(), 0.01, 0.9)
        opt.param_groups[0]["weight_decay"] = -2.0
    weight = 0.3 if bug == "penalised" else 1e-5
    loss = F.binary_cross_entropy_with_logits if bug == "bce" else nn.MSELoss()

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        x, wanted = batch
        opt.zero_grad()
        value = loss(net(x), wanted)
        total = value + weight * sum(p.abs().sum() for p in net.parameters())
        total.backward()
        opt.step()
        return total

    return Built(net, opt, loss, loader(*known, batch), held, step, epochs, "number", test=test)


class Coder(nn.Module):
    """Strided convolutions down to a code, transposed ones up again."""

    def __init__(self, bug: str, code: int) -> None:
        super().__init__()
        self.bug = bug
        self.e1, self.e2 = nn.Conv2d(1, 8, 4, 2, 1), nn.Conv2d(8, 12, 3, 2, 1)
        self.into, self.back = nn.Linear(12 * 16, code), nn.Linear(code, 12 * 16)
        self.d1, self.d2 = nn.ConvTranspose2d(12, 8, 3, 2, 1), nn.ConvTranspose2d(8, 1, 4, 2, 1)
        if bug == "dead":
            for part in (self.e1, self.e2, self.back, self.d1):
                nn.init.constant_(part.bias, -6.0)

    def forward(self, x: Tensor) -> Tensor:
        act = torch.sigmoid if self.bug == "sigmoids" else F.relu
        x = self.into(act(self.e2(act(self.e1(x)))).flatten(1))
        x = act(self.d1(act(self.back(x)).view(-1, 12, 4, 4)))
        return self.d2(x) if self.bug == "no-range" else self.d2(x).sigmoid()


def coder(seed: int, bug: str = "", lr: float = 3e-3, code: int = 16) -> Built:
    """Clothes from 0 to 1 from their noisy selves, binary cross-entropy or squares; Adam."""
    torch.manual_seed(seed)
    x, _ = fashion(900)
    x = (x + 1) / 2
    if bug == "standardised":
        x = (x - x.mean()) / x.std()
    if bug == "bytes":
        x = x * 255
    noisy = x + 0.1 * x.std() * torch.randn(x.shape, generator=torch.Generator().manual_seed(4))
    known, held = split(noisy, x)
    if bug == "foreign-targets":
        known = known[0], known[1][torch.randperm(len(known[1]))]
    net = Coder(bug, code)
    opt = torch.optim.Adam(net.parameters(), lr)
    loss = nn.MSELoss() if bug in ("standardised", "squares", "bytes") else nn.BCELoss()
    return Built(net, opt, loss, loader(*known, 24), held, None, 6, "number")


PROGRAMS: dict[str, Callable[..., Built]] = {
    "patient": patient, "judge": judge, "several": several, "curve": curve, "coder": coder,
}  # fmt: skip
