"""Hooks that stay where they are: a copy or a pickle of a watched network is not watched, and holds no watch."""

from collections.abc import Callable
from typing import Any

__all__ = ["Quiet", "nothing"]


def nothing(*_: Any) -> None:
    """What the hook has become in a copy."""


class Quiet:
    """A hook that looks at training alone, and is left behind when its network is copied or pickled."""

    __slots__ = ("run",)

    def __init__(self, run: Callable[..., None]) -> None:
        self.run = run

    def __call__(self, *given: Any) -> None:
        self.run(*given)

    def __deepcopy__(self, _: Any) -> Callable[..., None]:
        return nothing

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return _left_behind, ()


def _left_behind() -> Callable[..., None]:
    return nothing
