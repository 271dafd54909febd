"""What the tests of the three callbacks share: a problem that is learned in seconds, and a hash of weights."""

import hashlib

import torch
from torch import Tensor, nn

__all__ = ["digits", "hashed", "hooks", "network"]


def digits(count: int = 512) -> tuple[Tensor, Tensor]:
    """Three classes of points that a small network tells apart. Shapes: (N, 12), (N,)."""
    chance = torch.Generator().manual_seed(3)
    x = torch.randn(count, 12, generator=chance)
    return x, (x[:, :4].sum(1) > 0).long() + (x[:, 4:8].sum(1) > 1).long()


def network(*extra: nn.Module) -> nn.Sequential:
    """The same weights for everybody."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 32), nn.ReLU(), *extra,
                         nn.Linear(32, 3))  # fmt: skip


def hashed(net: nn.Module) -> str:
    """Of all weights and buffers, bit for bit, and of the random state that is left."""
    held = hashlib.sha256()
    for name, value in net.state_dict().items():
        held.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    held.update(torch.get_rng_state().numpy().tobytes())
    return held.hexdigest()


def hooks(net: nn.Module, *optimizers: torch.optim.Optimizer) -> int:
    """How many hooks are on."""
    count = sum(len(module._forward_pre_hooks) + len(module._forward_hooks) for module in net.modules())
    count += sum(len(p._backward_hooks or {}) + len(p._post_accumulate_grad_hooks or {}) for p in net.parameters())
    return count + sum(len(o._optimizer_step_pre_hooks) + len(o._optimizer_step_post_hooks) for o in optimizers)
