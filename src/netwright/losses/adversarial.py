"""Adversarial losses: what the discriminator and the generator of a GAN each play for, from the discriminator's scores.

Non-saturating: Goodfellow et al., 2014; hinge: Lim & Ye, "Geometric GAN", 2017; Wasserstein with gradient penalty:
Gulrajani et al., "Improved training of Wasserstein GANs", 2017. Letters: B batch.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from netwright.core.schemas import Probability
from netwright.losses.base import Loss, Reduction, demand, reduced, wide

__all__ = ["Adversarial", "gradient_penalty"]


class Adversarial(Loss):
    """Both sides: `loss(real_score, fake_score)` is the discriminator's, `loss.generator(fake_score)` the other's.

    Args:
        kind: the game; `wasserstein` wants `gradient_penalty` added on the discriminator's side.
        label_smoothing: what real examples lack to a certain "real" (non-saturating only; Salimans et al., 2016).

    Shapes: scores (B,) or (B, 1), raw.
    """

    expects = "logits"
    target_kind = "score"

    def __init__(
        self,
        *,
        kind: Literal["non-saturating", "hinge", "wasserstein"] = "non-saturating",
        label_smoothing: Probability = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.kind = kind
        self.label_smoothing = label_smoothing

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The discriminator's loss from real scores (`prediction`) and fake scores (`target`)."""
        fits = isinstance(target, Tensor) and target.is_floating_point()
        demand(fits, "adversarial", "scores of real and of fake examples", prediction, target)
        return self.discriminator(prediction, target)

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        """Real up, fake down."""
        real, fake = wide(real_score), wide(fake_score)
        if self.kind == "non-saturating":
            # -(1-ε) log σ(r) - ε log(1-σ(r)), and log σ(r) = r + log(1-σ(r))
            up = F.softplus(-real) + self.label_smoothing * real
            return reduced(up, self.reduction) + reduced(F.softplus(fake), self.reduction)
        if self.kind == "hinge":
            return reduced(F.relu(1 - real), self.reduction) + reduced(F.relu(1 + fake), self.reduction)
        return reduced(fake, self.reduction) - reduced(real, self.reduction)

    def generator(self, fake_score: Tensor) -> Tensor:
        """Fake up; non-saturating: `-log σ(f)`, whose gradient is strong while the discriminator wins."""
        fake = wide(fake_score)
        return reduced(F.softplus(-fake) if self.kind == "non-saturating" else -fake, self.reduction)


def gradient_penalty(
    discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor | None = None
) -> Tensor:
    """Mean of (‖slope of the discriminator‖ - 1)², at points between real and fake examples.

    Args:
        mix: share of the fake example in each point, (B,); drawn from torch's global generator when not given.

    Shapes: real and fake (B, …) alike.
    """
    share = torch.rand(len(real), device=real.device) if mix is None else mix
    share = share.to(real.dtype).view(-1, *[1] * (real.dim() - 1))
    between = torch.lerp(real.detach(), fake.detach().to(real.dtype), share).requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    steep_B: Tensor = slope.flatten(1).norm(dim=1)
    return (steep_B - 1).square().mean()
