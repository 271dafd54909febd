"""Figures of variational autoencoders: the evidence lower bound, its divergence, and the units of the code in use.

Kingma and Welling, "Auto-encoding variational Bayes", 2014; active units: Burda, Grosse and Salakhutdinov, "Importance
weighted autoencoders", 2016, section 5.2. Letters: B batch, Z units of the code.
"""

import torch
from torch import Tensor

__all__ = ["Evidence"]

_ACTIVE = 0.01  # variance of a unit's mean over the examples above which it is in use, the paper's


class Evidence:
    """Collects `elbo` and `kl`, in nats an example, and `active_units`."""

    def __init__(self) -> None:
        self._count = 0
        self._surprise: Tensor | float = 0.0
        self._kl: Tensor | float = 0.0
        self._means: list[Tensor] = []

    def update(self, surprise_B: Tensor, kl_BZ: Tensor, mean_BZ: Tensor) -> None:
        """Take one batch in: `-ln p(x | code)`, the divergence of each unit, and the units' means."""
        self._count += len(surprise_B)
        self._surprise = self._surprise + surprise_B.detach().double().sum()
        self._kl = self._kl + kl_BZ.detach().double().sum(0)
        self._means.append(mean_BZ.detach().double())

    def units(self) -> tuple[Tensor, Tensor]:
        """Of each unit its divergence in nats, and how much its mean varies over the examples. Shapes: (Z,) both."""
        assert isinstance(self._kl, Tensor)
        return (self._kl / self._count).cpu(), torch.cat(self._means).var(0, correction=0).cpu()

    def compute(self) -> dict[str, float]:
        """The figures; NaN where no example came."""
        if not self._count:
            return dict.fromkeys(("elbo", "kl", "active_units"), float("nan"))
        kl_Z, variance_Z = self.units()
        kl = float(kl_Z.sum())
        return {
            "elbo": -float(self._surprise) / self._count - kl,
            "kl": kl,
            "active_units": float((variance_Z > _ACTIVE).sum()),
        }
