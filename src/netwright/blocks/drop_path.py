"""DropPath: leaving out whole residual branches at random (stochastic depth).

Huang, Sun, Liu, Sedra and Weinberger, 2016, "Deep networks with stochastic depth". In training each example goes
through a random shorter network; in evaluation through all of it. ``B`` batch.

Differs from the paper: each example is drawn by itself, not the batch together; the branches that stay are scaled up in
training, so evaluation needs no factor; and the rates rise from zero at the first block, not from rate / depth.
"""

from torch import Tensor, nn

__all__ = ["DropPath", "drop_path_rates"]


class DropPath(nn.Module):
    """branch * b / (1 - rate) with b = 0 for a `rate` part of the examples and 1 for the rest; the identity in eval.

    Stands at the end of a residual branch, before the sum. Drawn from torch's own generator of the device.

    Shapes:
        [B, ...] -> [B, ...]
    """

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        assert 0 <= rate < 1, rate
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return branch
        keep = 1 - self.rate
        scale = branch.new_empty((branch.shape[0],) + (1,) * (branch.dim() - 1)).bernoulli_(keep).div_(keep)
        return branch * scale

    def extra_repr(self) -> str:
        return f"rate={self.rate:g}"


def drop_path_rates(rate: float, depth: int) -> list[float]:
    """The rates of `depth` blocks in a row: from 0 at the first, in equal steps, to `rate` at the last.

    Early blocks find what all later ones build on, so they are the ones to keep (section 3 of the paper).
    """
    return [rate * block / max(depth - 1, 1) for block in range(depth)]
