"""Held out, nobody tunes on these: more healthy programs in which everything unusual is meant."""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from held_odd import fitted, plain
from material import Built, bumps, digits, loader, rare, split, table, text
from torch import Tensor, nn


class Tied(nn.Module):
    """An autoencoder whose decoder is its encoder turned round."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.a, self.b = nn.Linear(64, 24, bias=False), nn.Parameter(torch.zeros(24)), None
        self.shift = nn.Parameter(torch.zeros(64))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.elu(self.weight(x) + self.a), self.weight.weight.T) + self.shift


def tied_coder(seed: int) -> Built:
    torch.manual_seed(seed)
    x = digits()[0]
    known, held = split(x, x)
    net = Tied()
    return Built(
        net, torch.optim.Adam(net.parameters(), 3e-3), nn.MSELoss(), loader(*known, 32), held, None, 6, "number"
    )


def mixed_precision(seed: int) -> Built:
    """A scaler that begins far too high and skips the first steps; bfloat16 in the forward pass."""
    torch.manual_seed(seed)
    known, held = split(*digits())
    net = plain()
    opt, scaler = torch.optim.Adam(net.parameters(), 3e-3), torch.amp.GradScaler("cpu", init_scale=2.0**127)
    loss = nn.CrossEntropyLoss()

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        opt.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            value = loss(net(batch[0]).float(), batch[1])
        scaler.scale(value).backward()
        scaler.step(opt)
        scaler.update()
        return value

    return Built(net, opt, loss, loader(*known, 32), held, step, 6, "class")


def weighted_imbalance(seed: int, sampled: bool = False) -> Built:
    """One class in most examples, answered by weights in the loss or by a sampler."""
    torch.manual_seed(seed)
    x, y = digits()
    known, held = split(x, y)
    x, y = rare(*known, keep=14)
    counts = torch.bincount(y, minlength=10).float()
    net = plain()
    opt = torch.optim.Adam(net.parameters(), 3e-3)
    if sampled:
        even = torch.utils.data.WeightedRandomSampler((1 / counts)[y], 900)
        train: Any = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), 32, sampler=even)
        return Built(net, opt, nn.CrossEntropyLoss(), train, held, None, 8, "balanced")
    loss = nn.CrossEntropyLoss(weight=counts.sum() / counts / 10)
    return Built(net, opt, loss, loader(x, y, 16), held, None, 20, "balanced")


def one_batch(seed: int) -> Built:
    """The overfit test that everybody makes first."""
    torch.manual_seed(seed)
    x, y = digits()
    net = plain()
    opt = torch.optim.Adam(net.parameters(), 3e-3)
    return Built(net, opt, nn.CrossEntropyLoss(), [(x[:24], y[:24])], None, None, 200, "")


def linear(seed: int, logistic: bool = False) -> Built:
    """A linear map by plain SGD, or logistic regression by L-BFGS' replacement, a large step."""
    torch.manual_seed(seed)
    if logistic:
        x, y = table("breast_cancer")
        known, held = split(x, y[:, None].float())
        net = nn.Linear(30, 1)
        return Built(net, torch.optim.SGD(net.parameters(), 0.3), nn.BCEWithLogitsLoss(), loader(*known, 32), held,
                     None, 10, "marks")  # fmt: skip
    known, held = split(*table("diabetes"))
    net = nn.Linear(10, 1)
    return Built(
        net, torch.optim.SGD(net.parameters(), 0.02), nn.MSELoss(), loader(*known, 32), held, None, 15, "number"
    )


def selu(seed: int) -> Built:
    """Ten self-normalising layers without any norm."""
    torch.manual_seed(seed)
    known, held = split(*digits())
    layers: list[nn.Module] = []
    for n in range(10):
        layer = nn.Linear(64 if n == 0 else 48, 48)
        nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.SELU(), nn.AlphaDropout(0.02)]
    net = nn.Sequential(*layers, nn.Linear(48, 10))
    opt = torch.optim.SGD(net.parameters(), 0.01, 0.9)
    return Built(net, opt, nn.CrossEntropyLoss(), loader(*known, 32), held, None, 8, "class")


def distilled(seed: int) -> Built:
    """A small network learns a large one's softened answers beside the labels."""
    torch.manual_seed(seed)
    x, y = digits()
    known, held = split(x, y)
    teacher = fitted(plain(wide=128), *known, steps=250).requires_grad_(False).eval()
    net = plain(wide=16)
    opt = torch.optim.Adam(net.parameters(), 4e-3)

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        scores = net(batch[0])
        soft = F.kl_div(F.log_softmax(scores / 3, 1), F.softmax(teacher(batch[0]) / 3, 1), reduction="batchmean")
        value = 9 * 0.7 * soft + 0.3 * F.cross_entropy(scores, batch[1])
        opt.zero_grad()
        value.backward()
        opt.step()
        return value

    return Built(net, opt, nn.CrossEntropyLoss(), loader(*known, 32), held, step, 6, "class")


def averaged(seed: int) -> Built:
    """A mean teacher: the weights' moving average is kept beside them, sums in the loss, accumulation of two."""
    torch.manual_seed(seed)
    known, held = split(*bumps())
    net = nn.Sequential(nn.Linear(8, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1))
    opt = torch.optim.Adam(net.parameters(), 5e-3)
    mean, count = copy.deepcopy(net).requires_grad_(False), [0]
    loss = nn.MSELoss(reduction="sum")

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        value = loss(net(batch[0]), batch[1])
        value.backward()
        count[0] += 1
        if count[0] % 2 == 0:
            opt.step()
            opt.zero_grad()
            for one, other in zip(mean.parameters(), net.parameters(), strict=True):
                one.lerp_(other.detach(), 0.05)
        return value

    return Built(net, opt, loss, loader(*known, 16), held, step, 12, "number")


def windows(seed: int) -> Built:
    """Letters by a window of embeddings (Bengio et al., 2003), integers in, a large vocabulary out."""
    torch.manual_seed(seed)
    x, y, letters = text(8, 12_000)
    known, held = split(x, y[:, -1])
    net = nn.Sequential(nn.Embedding(letters, 16), nn.Flatten(), nn.Linear(128, 64), nn.Tanh(), nn.Linear(64, letters))
    opt = torch.optim.Adam(net.parameters(), 3e-3)
    return Built(net, opt, nn.CrossEntropyLoss(), loader(*known, 32), held, None, 8, "class")


PROGRAMS: dict[str, Callable[..., Built]] = {
    "tied-coder": tied_coder, "mixed-precision": mixed_precision, "weighted": weighted_imbalance,
    "one-batch": one_batch, "linear": linear, "selu": selu, "distilled": distilled, "averaged": averaged,
    "windows": windows,
}  # fmt: skip
