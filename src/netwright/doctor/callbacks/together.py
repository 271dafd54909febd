"""Several optimizers as one: a step begins when the first of them steps and is over when the loop says that its batch
is done. So a GAN's two steps are one update to the watch, and batches that are only accumulated are none.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

__all__ = ["Together"]


class _Handles:
    """Removes what one hook has become."""

    def __init__(self, *removers: Callable[[], None]) -> None:
        self._removers = removers

    def remove(self) -> None:
        for remover in self._removers:
            remover()


class Together:
    """As much of an optimizer as a watch needs."""

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        self.optimizers = list(optimizers)
        self._began = self._stepped = False
        self._after: Callable[..., Any] | None = None
        self._counting = [optimizer.register_step_post_hook(self._count) for optimizer in self.optimizers]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all of them."""
        if len(self.optimizers) == 1:
            return self.optimizers[0].param_groups
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> _Handles:
        """Called ahead of the first step of a batch."""

        def first(*given: Any) -> None:
            if not self._began:
                self._began = True
                hook(*given)

        handles = [optimizer.register_step_pre_hook(first) for optimizer in self.optimizers]
        return _Handles(*(handle.remove for handle in handles))

    def register_step_post_hook(self, hook: Callable[..., Any]) -> _Handles:
        """Called when the batch is done, if any of them has stepped."""
        self._after = hook
        return _Handles(self._forget)

    def finish(self) -> bool:
        """The batch is done; whether a step was made since the last one that was."""
        stepped, self._stepped = self._stepped, False
        if stepped and self._began and self._after is not None:
            self._after()
        if stepped:
            self._began = False
        return stepped

    def close(self) -> None:
        """Take the counting hooks off."""
        handles: list[RemovableHandle] = self._counting
        for handle in handles:
            handle.remove()
        self._counting, self._after = [], None

    def _count(self, *_: Any) -> None:
        self._stepped = True

    def _forget(self) -> None:
        self._after = None
