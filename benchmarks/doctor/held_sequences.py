"""Held out, nobody tunes on these: sequences of letters, words, waves and numbers, with recurrent and convolutional
networks written by hand. `bug` names what is wrong; "" is the repaired twin.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from material import Built, loader, sentences, series, split, text, waves
from torch import Tensor, nn


class Speller(nn.Module):
    """A GRU over letters; the table of letters serves as the last layer too where `tied`."""

    def __init__(self, letters: int, bug: str, tied: bool, width: int = 48) -> None:
        super().__init__()
        self.bug = bug
        self.table = nn.Embedding(letters, width)
        self.cell = nn.GRU(width, width, batch_first=bug != "time-first")
        self.head = nn.Linear(width, letters - (9 if bug == "head" else 0), bias=False)
        if tied:
            nn.init.normal_(self.table.weight, std=0.05)
            self.head.weight = self.table.weight
        if bug == "wild":
            for name, weight in self.cell.named_parameters():
                if name.startswith("weight"):
                    nn.init.normal_(weight, std=3.0)

    def forward(self, letters: Tensor) -> Tensor:
        x = self.table(letters)
        if self.bug == "cut":
            x = x.detach()
        x, _ = self.cell(x)
        return self.head(x.detach() if self.bug == "cut" else x)


def speller(seed: int, bug: str = "", lr: float = 5e-3, decay: float = 0.0, tied: bool = False) -> Built:
    """Next letters of dictionary glosses, with RMSprop and clipping by value."""
    torch.manual_seed(seed)
    x, y, letters = text(20, 20_000)
    known, held = split(x, y)
    if bug == "foreign-targets":
        known = known[0], known[1][torch.randperm(len(known[1]))][:, torch.randperm(20)]
    net = Speller(letters, bug, tied)
    opt = torch.optim.RMSprop(net.parameters(), lr, weight_decay=decay)
    train = loader(*known, 32)

    def loss(scores: Tensor, wanted: Tensor) -> Tensor:
        if bug == "axes":
            return F.cross_entropy(scores, wanted)
        if bug == "softmax-inside":
            return F.cross_entropy(scores.softmax(-1).transpose(1, 2), wanted)
        return F.cross_entropy(scores.transpose(1, 2), wanted)

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        if bug != "never-cleared":
            net.zero_grad()
        value = loss(net(batch[0]), batch[1])
        value.backward()
        nn.utils.clip_grad_value_(net.parameters(), 1e-9 if bug == "clipped-away" else 1.0)
        opt.step()
        return value

    return Built(net, opt, loss, train, held, step, 8, "tokens")


class Ear(nn.Module):
    """Three convolutions over time."""

    def __init__(self, bug: str, wide: int = 16) -> None:
        super().__init__()
        self.bug = bug
        self.parts = nn.ModuleList([nn.Conv1d(1 if n == 0 else wide, wide, 5, padding=2) for n in range(3)])
        self.norms = nn.ModuleList([nn.GroupNorm(4, wide) if bug != "sigmoid" else nn.Identity() for _ in range(3)])
        self.head = nn.Linear(wide, 4)
        if bug == "dead":
            for part in self.parts:
                nn.init.constant_(part.bias, -9.0)
            self.norms = nn.ModuleList([nn.Identity() for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        for part, norm in zip(self.parts, self.norms, strict=True):
            x = norm(part(x))
            if self.bug == "sigmoid":
                x = torch.sigmoid(x)
            elif self.bug != "linear":
                x = F.relu(x)
        if self.bug == "linear":
            return self.head(x.mean(-1))
        return self.head(x.amax(-1))


def ear(seed: int, bug: str = "", lr: float = 3e-3, batch: int = 32, epochs: int = 6) -> Built:
    """Kinds of waves, with Adam and no step of its own."""
    torch.manual_seed(seed)
    x, y = waves()
    known, held = split(x, y)
    if bug == "empty":
        known, held = (known[0] * 0 + 0.5, known[1]), (held[0] * 0 + 0.5, held[1])
    if bug == "sorted":
        order = known[1].argsort()
        known = known[0][order], known[1][order]
    if bug == "holes":
        known[0][::50] = float("nan")
    net = Ear(bug)
    opt = torch.optim.Adam(net.parameters(), lr)
    if bug == "adadelta":
        opt = torch.optim.Adadelta(net.parameters(), lr=3e-4)
    loss = (lambda out, wanted: -F.cross_entropy(out, wanted)) if bug == "negative" else F.cross_entropy
    return Built(net, opt, loss, loader(*known, batch, bug != "sorted"), held, None, epochs, "class")


class Forecaster(nn.Module):
    """An LSTM's last state and a linear layer."""

    def __init__(self, bug: str, wide: int) -> None:
        super().__init__()
        self.bug = bug
        self.memory, self.head = nn.LSTM(1, wide, batch_first=True), nn.Linear(wide, 1)

    def forward(self, x: Tensor) -> Tensor:
        _, (state, _) = self.memory(x)
        out = self.head(state[-1])
        if self.bug == "sigmoid-end":
            return torch.sigmoid(out)
        if self.bug == "relu-end":
            return F.relu(out)
        return out


def forecaster(seed: int, bug: str = "", lr: float = 1e-2, wide: int = 24) -> Built:
    """A value three steps on, with NAdam and a learning rate cut when the loss no longer falls."""
    torch.manual_seed(seed)
    x, y = series()
    if bug == "own-units":
        y = 4000 + 900 * y
    if bug == "raw-inputs":
        x = 4000 + 900 * x
    known, held = split(x, y)
    if bug == "flat":
        known = known[0], known[1][:, 0]
    if bug == "foreign-targets":
        known = known[0], known[1][torch.randperm(len(known[1]))]
    net = Forecaster(bug, wide)
    opt = torch.optim.NAdam(net.parameters(), lr)
    train = loader(*known, 32)
    loss = nn.MSELoss()
    plan = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, patience=60, factor=0.5)

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        opt.zero_grad()
        value = loss(net(batch[0]), batch[1])
        value.backward()
        opt.step()
        plan.step(value.detach())
        return value

    return Built(net, opt, loss, train, held, step, 10, "number")


class Reader(nn.Module):
    """Word embeddings, an LSTM in both directions, the largest answer over time."""

    def __init__(self, bug: str, words: int = 40, wide: int = 16) -> None:
        super().__init__()
        self.bug = bug
        self.words = nn.Embedding(words, wide)
        self.memory = nn.LSTM(wide, wide, bidirectional=True, batch_first=True)
        self.hidden, self.head = nn.Linear(2 * wide, 32), nn.Linear(32, 4)
        if bug == "stuck":
            nn.init.normal_(self.hidden.weight, std=12.0)
        if bug == "constant":
            for weight in self.memory.parameters():
                nn.init.constant_(weight, 0.05)

    def forward(self, words: Tensor) -> Tensor:
        found, _ = self.memory(self.words(words))
        rate = 0.97 if self.bug == "drowned" else 0.1
        active = self.training or self.bug == "always-dropping"
        rate = 0.8 if self.bug == "always-dropping" else rate
        x = torch.tanh(self.hidden(F.dropout(found.amax(1), rate, active)))
        return self.head(x).log_softmax(-1)


def reader(seed: int, bug: str = "", lr: float = 1e-2, decay: float = 0.0) -> Built:
    """The group of the last word that counts, with log-softmax and NLL, gradients over two half batches."""
    torch.manual_seed(seed)
    x, y = sentences()
    known, held = split(x, y)
    if bug == "shuffled-labels":
        known = known[0], known[1][torch.randperm(len(known[1]))]
    net = Reader(bug)
    kept = net.head.parameters() if bug == "head-only" else net.parameters()
    opt = torch.optim.AdamW(kept, lr, weight_decay=decay)
    loss = F.cross_entropy if bug == "twice-log" else nn.NLLLoss()

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        words, labels = batch
        opt.zero_grad()
        total = torch.zeros(())
        for part, answers in zip(words.chunk(2), labels.chunk(2), strict=True):
            value = loss(net(part), answers) * len(answers) / len(labels)
            value.backward()
            total = total + value.detach()
        opt.step()
        return total

    return Built(net, opt, loss, loader(*known, 32), held, step, 8, "class")


PROGRAMS: dict[str, Callable[..., Built]] = {
    "speller": speller, "ear": ear, "forecaster": forecaster, "reader": reader,
}  # fmt: skip
