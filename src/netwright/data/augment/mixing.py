"""Mixup and CutMix: each example is blended with the next of its batch, its targets likewise.

Both draw a share from Beta(alpha, alpha) for every example on its own, from (seed, epoch, index); the papers draw one
for a whole batch. The partner is the next example of the batch: a shuffled order makes that a random one, the same in
every rerun.
Letters: B batch, C channels, H height, W width, K classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from netwright.core.schemas import Fraction, Positive
from netwright.data.augment.base import Draws, Mixing

__all__ = ["CutMix", "Mixup"]


@dataclass(frozen=True)
class Mixup(Mixing):
    """A weighted sum of two examples (Zhang et al., "mixup: beyond empirical risk minimization", 2017)."""

    alpha: Positive = 0.2
    p: Fraction = 1.0

    def __call__(self, x: Tensor, targets: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Shapes: x (B, ...), targets (B, ...) floats -> both."""
        yes = draws.chance(self.p)
        share = torch.where(yes, draws.beta(self.alpha), 1.0)
        return _blend(x, share), _blend(targets, share)


@dataclass(frozen=True)
class CutMix(Mixing):
    """A rectangle of the next picture, pasted at its own place (Yun et al., "CutMix", 2019).

    The targets are mixed by the share of pixels that each picture really has, after the rectangle was clipped at the
    border.
    """

    alpha: Positive = 1.0
    p: Fraction = 1.0

    needs_images = True

    def __call__(self, x: Tensor, targets: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Shapes: x (B, C, H, W), targets (B, ...) floats -> both."""
        pasted_BHW = self._rectangle(x, draws)
        kept = 1.0 - pasted_BHW.float().mean((1, 2))
        return torch.where(pasted_BHW[:, None], _partner(x), x), _blend(targets, kept)

    def with_masks(self, x_BCHW: Tensor, masks_BHW: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """The rectangle of the mask goes with that of the picture."""
        pasted_BHW = self._rectangle(x_BCHW, draws)
        masks = torch.where(pasted_BHW, _partner(masks_BHW), masks_BHW)
        return torch.where(pasted_BHW[:, None], _partner(x_BCHW), x_BCHW), masks

    def _rectangle(self, x_BCHW: Tensor, draws: Draws) -> Tensor:
        """Where the next picture is pasted. Shapes: -> (B, H, W) bool."""
        yes, height, width = draws.chance(self.p), x_BCHW.shape[2], x_BCHW.shape[3]
        side = torch.sqrt(1.0 - draws.beta(self.alpha))  # share of each side that the rectangle has
        rows_BH, columns_BW = (_around(draws.uniform(0, n), side * n, n) for n in (height, width))
        return rows_BH[:, :, None] & columns_BW[:, None, :] & yes[:, None, None]


def _partner(x: Tensor) -> Tensor:
    return x.roll(-1, 0)


def _blend(x: Tensor, share: Tensor) -> Tensor:
    """`share` of each example and the rest of its partner; exactly the example where the share is 1."""
    weight = share.to(x.dtype).view(-1, *(1,) * (x.ndim - 1))
    return x * weight + _partner(x) * (1.0 - weight)


def _around(centre: Tensor, length: Tensor, size: int) -> Tensor:
    """True on the cells within half of `length` of `centre`. Shapes: -> (B, size)."""
    cells = torch.arange(size, device=centre.device) + 0.5
    return (cells - centre[:, None]).abs() < length[:, None] / 2
