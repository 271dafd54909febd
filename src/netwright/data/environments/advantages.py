"""How much better an action turned out than was expected: generalised advantage estimation.

Schulman et al., "High-dimensional continuous control using generalized advantage estimation", 2016.
Letters: T steps, N environments.
"""

import torch
from torch import Tensor

__all__ = ["advantages"]


def advantages(
    reward_TN: Tensor, value_TN: Tensor, following_TN: Tensor, ended_TN: Tensor, gamma: float, lam: float
) -> Tensor:
    """A_t = sum over l of (gamma lam)^l d_(t+l), with d_t = r_t + gamma V(s_(t+1)) - V(s_t) (equations 9 and 16).

    With lam = 1 and values of 0 it is the discounted reward to go.

    Args:
        value_TN: V(s_t).
        following_TN: V(s_(t+1)): 0 where the task was over, but not where only the time was.
        ended_TN: whether an episode ended with the step, for either reason; the next row is of another.

    Shapes: all (T, N) -> (T, N)
    """
    delta_TN = reward_TN + gamma * following_TN - value_TN
    carry_TN = gamma * lam * ~ended_TN
    made, carried_N = [], torch.zeros_like(reward_TN[0])
    for delta_N, carry_N in zip(delta_TN.flip(0), carry_TN.flip(0), strict=True):
        carried_N = delta_N + carry_N * carried_N
        made.append(carried_N)
    return torch.stack(made).flip(0)
