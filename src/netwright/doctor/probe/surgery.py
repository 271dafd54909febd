"""Operations on a fork that several probes are made of; each leaves everything else as it is.

Networks are changed by hooks and not by other modules, so that any network can be changed, and only where it is meant.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netwright.doctor.probe.fork import Batch, Fork

__all__ = [
    "clip",
    "hold_rate",
    "keep_awake",
    "keep_steps",
    "map_output",
    "normalise_layers",
    "reinitialise",
    "scale_rate",
    "standardise_inputs",
    "standardise_targets",
    "without_dropout",
]

_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (
    nn.modules.batchnorm._BatchNorm,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.RMSNorm,
)


def scale_rate(fork: Fork, factor: float) -> None:
    """Every step is taken with the learning rate times `factor`, whatever a schedule does between steps."""
    _with_rates(fork, lambda groups: [group["lr"] * factor for group in groups])


def _with_rates(fork: Fork, rates: Callable[[list[Any]], list[Any]]) -> None:
    kept: list[Any] = []

    def before(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        kept[:] = [group["lr"] for group in optimizer.param_groups]
        for group, rate in zip(optimizer.param_groups, rates(optimizer.param_groups), strict=False):
            group["lr"] = rate

    def after(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for group, rate in zip(optimizer.param_groups, kept, strict=False):
            group["lr"] = rate

    fork.optimizer.register_step_pre_hook(before)
    fork.optimizer.register_step_post_hook(after)


def hold_rate(fork: Fork, rates: list[float]) -> None:
    """Every step is taken with the learning rates `rates`, whatever a schedule, or the user's step, has set."""
    _with_rates(fork, lambda groups: [*rates, *(group["lr"] for group in groups[len(rates) :])])


def keep_awake(fork: Fork) -> None:
    """Training mode in every step, even where the step asks for evaluation mode."""
    fork.net.train(True)
    for module in fork.net.modules():
        module.__dict__["train"] = lambda mode=True, m=module: m
        module.__dict__["eval"] = lambda m=module: m


def clip(fork: Fork, norm: float) -> None:
    """The gradient's norm is cut to `norm` before every step."""

    def before(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, norm)

    fork.optimizer.register_step_pre_hook(before)


def keep_steps(fork: Fork) -> None:
    """After every step the weights are what the optimizer made of them, whatever the loop did to them then."""
    made: dict[Tensor, Tensor] = {}
    step = fork.step

    def after(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        held = [p for group in optimizer.param_groups for p in group["params"]]
        made.update((p, p.detach().clone()) for p in held)

    def kept(*given: Any) -> Any:
        loss = step(*given)
        with torch.no_grad():
            for parameter, value in made.items():
                parameter.copy_(value)
        return loss

    fork.optimizer.register_step_post_hook(after)
    fork.step = kept


def without_dropout(fork: Fork) -> bool:
    """All dropout at 0; False where there was none."""
    found = False
    for module in fork.net.modules():
        rate = getattr(module, "p", None)
        if isinstance(module, nn.modules.dropout._DropoutNd) and rate:
            module.p, found = 0.0, True
        elif isinstance(module, nn.RNNBase | nn.MultiheadAttention) and module.dropout:
            module.dropout, found = 0.0, True
    return found


def reinitialise(fork: Fork, seed: int = 0, he: bool = False) -> bool:
    """Fresh weights by each module's own scheme (with `he`, Kaiming's for the matrices); False where there is none."""
    torch.manual_seed(1000 + seed)
    found = False
    for module in fork.net.modules():
        if any(True for _ in module.parameters(recurse=False)) and not _frozen(module):
            reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
            if callable(reset):
                reset()
                found = True
            if he and isinstance(module, _WEIGHTED):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    return found


def normalise_layers(fork: Fork) -> bool:
    """The output of each hidden weighted layer gets mean 0 and variance 1 for each example; False where norms are."""
    weighted = [module for module in fork.net.modules() if type(module) in _WEIGHTED]
    if len(weighted) < 3 or any(isinstance(module, _NORMS) for module in fork.net.modules()):
        return False
    for module in weighted[:-1]:
        module.register_forward_hook(_normalised_linear if isinstance(module, nn.Linear) else _normalised_map)
    return True


def map_output(fork: Fork, change: Callable[[Tensor], Tensor]) -> None:
    """The network returns `change(output)`."""
    fork.net.register_forward_hook(lambda _, __, output: change(output))


def standardise_inputs(fork: Fork, sample: Tensor) -> bool:
    """Feature by feature for tables, channel by channel for pictures, over everything for the rest."""
    if not sample.is_floating_point() or sample.dim() < 2 or sample.shape[0] < 2:
        return False
    finite = sample.float()
    axes = [0, *range(2, sample.dim())] if sample.dim() in (2, 4) else [0, *range(1, sample.dim() - 1)]
    mean, std = finite.mean(axes, keepdim=True), finite.std(axes, keepdim=True, correction=0)
    std = torch.where(std > 1e-8 * (mean.abs() + 1e-8), std, torch.ones_like(std))

    def change(batch: Batch) -> Batch:
        given, targets = batch
        if isinstance(given, tuple):
            return ((given[0] - mean) / std, *given[1:]), targets
        return (given - mean) / std, targets

    fork.prepare.append(change)
    return True


def standardise_targets(fork: Fork, sample: Any) -> bool:
    """Numbers only: (target - mean) / std, column by column."""
    if not isinstance(sample, Tensor) or not sample.is_floating_point():
        return False
    mean, std = sample.float().mean(0, keepdim=True), sample.float().std(0, keepdim=True, correction=0)
    std = torch.where(std > 1e-12, std, torch.ones_like(std))
    fork.prepare.append(lambda batch: (batch[0], (batch[1] - mean) / std))
    return True


def _frozen(module: nn.Module) -> bool:
    return all(not parameter.requires_grad for parameter in module.parameters(recurse=False))


def _normalised_linear(_: nn.Module, __: Any, output: Tensor) -> Tensor:
    return F.layer_norm(output, output.shape[-1:])


def _normalised_map(_: nn.Module, __: Any, output: Tensor) -> Tensor:
    return F.layer_norm(output, output.shape[1:])
