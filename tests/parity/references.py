"""For every parity test: the reference project, weights that sit at no default, and how far two outputs differ."""

from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

TOLERANCE = 2e-5  # of the output's scale


def torchvision() -> ModuleType:
    """The torchvision module, also one whose compiled operators are of another torch; skips where there is none."""
    import netwright.metrics.torchvision_guard  # noqa: F401 - declares the operators that a broken build lacks

    return pytest.importorskip("torchvision", exc_type=ImportError)


@torch.no_grad()
def perturbed(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module with every parameter and buffer moved off its default, in place; variances stay positive."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.add_(3)
        elif tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                tensor.mul_(torch.exp(0.2 * noise))
            else:
                spread = tensor.std() if tensor.dim() > 1 else tensor.new_tensor(0.0)
                tensor.add_(noise * (0.3 * spread if spread > 0 else 0.1))
    return module


def difference(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, as a part of the reference's largest number."""
    assert ours.shape == theirs.shape and torch.isfinite(theirs).all() and theirs.abs().max() > 0
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()
