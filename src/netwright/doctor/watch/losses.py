"""The losses of a loop, as numbers; those on an accelerator wait there until somebody asks."""

from array import array
from typing import Any

import torch
from torch import Tensor

__all__ = ["Losses"]

_FOLD = 512  # losses on an accelerator that are kept one by one


class Losses:
    """Keep what every step returned, in order."""

    def __init__(self) -> None:
        self._known = array("d")
        self._waiting: list[Tensor] = []
        self._folded: list[Tensor] = []

    def keep(self, loss: Any) -> float | None:
        """Keep a loss; returned at once as a number where that waits for no device."""
        number: float = loss
        if isinstance(loss, Tensor):
            if not loss.is_cpu:
                self._wait(loss)
                return None
            number = loss.item() if loss.numel() == 1 else float(loss.detach().float().mean())
        if self._waiting or self._folded:
            self._settle()
        self._known.append(number)
        return number

    def read(self) -> list[float]:
        """All so far; the only place that waits for a device."""
        self._settle()
        return self._known.tolist()

    def _wait(self, loss: Tensor) -> None:
        self._waiting.append(loss.detach())
        if len(self._waiting) >= _FOLD:
            self._fold()

    def _fold(self) -> None:
        self._folded.append(torch.stack([loss.float().mean() for loss in self._waiting]))
        self._waiting = []

    def _settle(self) -> None:
        if self._waiting:
            self._fold()
        for part in self._folded:
            self._known.extend(part.tolist())
        self._folded = []
