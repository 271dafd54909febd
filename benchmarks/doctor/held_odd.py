"""Held out, nobody tunes on these: healthy programs in which everything unusual is meant."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from material import Built, digits, fashion, loader, split
from torch import Tensor, nn


def plain(i: int = 64, wide: int = 48, o: int = 10) -> nn.Sequential:
    return nn.Sequential(nn.Linear(i, wide), nn.ReLU(), nn.Linear(wide, o))


def fitted(net: nn.Module, x: Tensor, y: Tensor, steps: int = 150) -> nn.Module:
    """Trained a little, to serve as something that was trained before."""
    opt = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(steps):
        index = torch.randint(0, len(y), (32,))
        opt.zero_grad()
        F.cross_entropy(net(x[index]), y[index]).backward()
        opt.step()
    return net


def frozen_backbone(seed: int, pictures: bool = False) -> Built:
    """Features learned on half the classes stay as they are; a new head learns all ten."""
    torch.manual_seed(seed)
    x, y = fashion() if pictures else digits()
    few = (y < 5).nonzero().flatten()[:300]
    body = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU())
    fitted(nn.Sequential(body, nn.Linear(48, 5)), x[few], y[few])
    body.requires_grad_(False)
    net = nn.Sequential(body, nn.Linear(48, 10))
    known, held = split(x, y)
    opt = torch.optim.Adam(net[1].parameters(), 1e-2)
    return Built(net, opt, nn.CrossEntropyLoss(), loader(*known, 32), held, None, 5, "class")


class LowRank(nn.Module):
    """A frozen layer with a branch that starts at zero (Hu et al., 2021)."""

    def __init__(self, base: nn.Linear, rank: int = 6) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + 2 * F.linear(F.linear(x, self.down), self.up)


def low_rank(seed: int) -> Built:
    """LoRA on a network trained on digits, taught the mirrored ones."""
    torch.manual_seed(seed)
    x, y = digits()
    body = fitted(plain(wide=64), x, y)
    net = nn.Sequential(LowRank(body[0]), nn.ReLU(), LowRank(body[2]))
    known, held = split(x.view(-1, 8, 8).flip(-1).flatten(1), y)
    opt = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], 5e-3)
    return Built(net, opt, nn.CrossEntropyLoss(), loader(*known, 32), held, None, 6, "class")


class Gamma(nn.Module):
    """A residual branch scaled by a number that starts at zero."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        self.a, self.b, self.gamma = nn.Linear(wide, wide), nn.Linear(wide, wide), nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gamma * self.b(F.relu(self.a(x)))


def zero_branches(seed: int) -> Built:
    """Ten residual units whose branches start at zero, and a head that does."""
    torch.manual_seed(seed)
    known, held = split(*digits())
    net = nn.Sequential(nn.Linear(64, 32), *(Gamma(32) for _ in range(10)), nn.Linear(32, 10))
    nn.init.zeros_(net[-1].weight)
    opt = torch.optim.Adam(net.parameters(), 3e-3)
    return Built(net, opt, nn.CrossEntropyLoss(), loader(*known, 32), held, None, 6, "class")


def sparse_relu(seed: int) -> Built:
    """Wide, with biases that let few units fire, and a penalty on activity."""
    torch.manual_seed(seed)
    known, held = split(*digits())
    net = plain(64, 256)
    nn.init.constant_(net[0].bias, -0.6)
    opt = torch.optim.Adam(net.parameters(), 2e-3)

    def step(net: Any, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        opt.zero_grad()
        hidden = net[1](net[0](batch[0]))
        value = F.cross_entropy(net[2](hidden), batch[1]) + 1e-2 * hidden.mean()
        value.backward()
        opt.step()
        return value

    return Built(net, opt, nn.CrossEntropyLoss(), loader(*known, 32), held, step, 6, "class")


def adversaries(seed: int, least_squares: bool = False) -> Built:
    """A generator of digits; the step trains the discriminator, then the generator, whose loss is returned."""
    torch.manual_seed(seed)
    x, _ = digits()
    real = x / x.abs().max()
    maker = nn.Sequential(nn.Linear(12, 48), nn.LeakyReLU(0.2), nn.Linear(48, 64), nn.Tanh())
    critic = nn.Sequential(nn.Linear(64, 48), nn.LeakyReLU(0.2), nn.Linear(48, 1))
    opt = torch.optim.Adam(maker.parameters(), 5e-4, (0.5, 0.999))
    other = torch.optim.Adam(critic.parameters(), 5e-4, (0.5, 0.999))
    score = F.mse_loss if least_squares else F.binary_cross_entropy_with_logits

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        noise, true = batch
        made = net(noise)
        one, nil = torch.ones(len(true), 1), torch.zeros(len(true), 1)
        other.zero_grad()
        (score(critic(true), one) + score(critic(made.detach()), nil)).backward()
        other.step()
        opt.zero_grad()
        value = score(critic(made), one)
        value.backward()
        opt.step()
        return value

    noise = torch.randn(len(real), 12)
    return Built(maker, opt, None, loader(noise, real, 32), None, step, 6, "")


def policy(seed: int, actor_critic: bool = False) -> Built:
    """REINFORCE: act on a digit by chance, one reward for the right act; a running mean (or a critic) as baseline."""
    torch.manual_seed(seed)
    known, held = split(*digits())
    net, usual = plain(), [0.1]
    critic = nn.Linear(64, 1)
    opt = torch.optim.Adam(net.parameters(), 3e-3)
    second = torch.optim.Adam(critic.parameters(), 1e-2)

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        chance = torch.distributions.Categorical(logits=net(batch[0]))
        act = chance.sample()
        reward = (act == batch[1]).float()
        expected = critic(batch[0]).squeeze(1) if actor_critic else torch.full_like(reward, usual[0])
        if actor_critic:
            second.zero_grad()
            F.mse_loss(expected, reward).backward()
            second.step()
        usual[0] = 0.95 * usual[0] + 0.05 * float(reward.mean())
        value = -(chance.log_prob(act) * (reward - expected.detach())).mean() - 0.01 * chance.entropy().mean()
        opt.zero_grad()
        value.backward()
        opt.step()
        return value

    return Built(net, opt, None, loader(*known, 32), held, step, 12, "class")


class Variational(nn.Module):
    def __init__(self, code: int) -> None:
        super().__init__()
        self.a, self.mean, self.spread = nn.Linear(196, 64), nn.Linear(64, code), nn.Linear(64, code)
        self.b, self.c = nn.Linear(code, 64), nn.Linear(64, 196)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = F.relu(self.a(x))
        mean, spread = self.mean(h), self.spread(h)
        code = mean + torch.randn_like(mean) * (spread / 2).exp() if self.training else mean
        return self.c(F.relu(self.b(code))), mean, spread


def variational(seed: int, beta: float = 1.0) -> Built:
    """A VAE whose loss is a sum of some thousands."""
    torch.manual_seed(seed)
    x = (fashion()[0].flatten(1) + 1) / 2
    known, held = split(x, x)

    def loss(out: tuple[Tensor, Tensor, Tensor], x: Tensor) -> Tensor:
        scores, mean, spread = out
        close = F.binary_cross_entropy_with_logits(scores, x, reduction="sum")
        return close - 0.5 * beta * (1 + spread - mean.square() - spread.exp()).sum()

    net = Variational(8)
    return Built(net, torch.optim.Adam(net.parameters(), 2e-3), loss, loader(*known, 32), held, None, 6, "")


def contrastive(seed: int) -> Built:
    """SimCLR: two noisy views of each example find one another; the loss is over the batch."""
    torch.manual_seed(seed)
    x, y = digits()
    known, _ = split(x, y)
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))
    opt = torch.optim.Adam(net.parameters(), 2e-3)

    def step(net: nn.Module, opt: torch.optim.Optimizer, batch: Any) -> Tensor:
        views = [F.normalize(net(batch[0] + 0.4 * torch.randn_like(batch[0])), dim=1) for _ in range(2)]
        likeness = views[0] @ views[1].T / 0.2
        wanted = torch.arange(len(likeness))
        value = (F.cross_entropy(likeness, wanted) + F.cross_entropy(likeness.T, wanted)) / 2
        opt.zero_grad()
        value.backward()
        opt.step()
        return value

    return Built(net, opt, None, loader(*known, 64), None, step, 6, "")


PROGRAMS: dict[str, Callable[..., Built]] = {
    "frozen-backbone": frozen_backbone, "low-rank": low_rank, "zero-branches": zero_branches,
    "sparse-relu": sparse_relu, "gan": adversaries, "policy": policy, "vae": variational, "contrastive": contrastive,
}  # fmt: skip
