"""LAMB: layer-wise adaptation of Adam's step for large batches.

You et al., "Large batch optimization for deep learning: training BERT in 76 minutes", ICLR 2020, algorithm 2: `m, v` as
Adam's with bias correction, `r = m̂ / (√v̂ + ε)`, `u = r + λ x`, `x ← x - η · φ(‖x‖) / ‖u‖ · u`, φ the identity.

Differs from the paper as the authors' own code does: where `‖x‖` or `‖u‖` is zero the ratio is 1, or a zero-initialised
tensor could never move; groups with `adapt=False` (norms and biases) keep ratio 1.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

__all__ = ["Lamb"]


class Lamb(Optimizer):
    """LAMB over any parameter groups; a group may set `adapt=False` for plain Adam steps.

    Args:
        params: parameters or groups, as for every torch optimizer.
        lr: step size η; `betas`: decay of m and v; `eps`: added to √v̂; `weight_decay`: λ.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
        adapt: bool = True,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "adapt": adapt}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            # Parameters that joined later have taken fewer steps, and need another bias correction.
            by_age: dict[int, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_age.setdefault(self._begin(parameter), []).append(parameter)
            for age, parameters in by_age.items():
                self._update(parameters, group, age)
        return loss

    def _begin(self, parameter: Tensor) -> int:
        """Make the state on first sight; count and give the parameter's step."""
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        state["step"] += 1
        return int(state["step"])

    def _update(self, parameters: list[Tensor], group: dict[str, Any], age: int) -> None:
        beta1, beta2 = group["betas"]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        means = [self.state[parameter]["exp_avg"] for parameter in parameters]
        squares = [self.state[parameter]["exp_avg_sq"] for parameter in parameters]
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)

        scales = torch._foreach_sqrt(squares)
        torch._foreach_div_(scales, (1 - beta2**age) ** 0.5)
        torch._foreach_add_(scales, group["eps"])
        updates = torch._foreach_div(means, 1 - beta1**age)
        torch._foreach_div_(updates, scales)
        if group["weight_decay"]:
            torch._foreach_add_(updates, parameters, alpha=group["weight_decay"])
        if group["adapt"]:
            for update, ratio in zip(updates, _trust_ratios(parameters, updates), strict=True):
                update.mul_(ratio)
        torch._foreach_add_(parameters, updates, alpha=-group["lr"])


def _trust_ratios(parameters: Sequence[Tensor], updates: Sequence[Tensor]) -> list[Tensor]:
    """‖x‖ / ‖u‖ a tensor, and 1 where either is zero; stays on the device."""
    weight_norms = torch.stack(list(torch._foreach_norm(list(parameters))))
    update_norms = torch.stack(list(torch._foreach_norm(list(updates))))
    usable = (weight_norms > 0) & (update_norms > 0)
    return list(torch.where(usable, weight_norms / update_norms, 1.0).unbind())
