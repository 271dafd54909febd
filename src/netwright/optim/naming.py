"""Which of a network's parameters a name in a config means: a prefix, a pattern, or `backbone`."""

import fnmatch
from collections.abc import Sequence

from torch import nn

from netwright.core.errors import Problem, suggest
from netwright.core.messages import say

__all__ = ["BACKBONE", "Names"]

BACKBONE, _HEAD = "backbone", "head"


class Names:
    """The names of a module's parameters, under all of the names that shared ones have.

    A name in a config is a prefix (`layer4`, `blocks.0`) or a pattern (`*.bias`); `backbone` is everything but the
    `head`, unless the network has a part of that name itself.
    """

    def __init__(self, module: nn.Module) -> None:
        self.all = [name for name, _ in module.named_parameters(remove_duplicate=False)]
        own = any(_is_under(name, BACKBONE) for name in self.all)
        self._has_backbone = not own and any(_is_under(name, _HEAD) for name in self.all)

    def fits(self, name: str, pattern: str) -> bool:
        """Whether the parameter called `name` is meant."""
        if pattern == BACKBONE and self._has_backbone:
            return not _is_under(name, _HEAD)
        return _is_under(name, pattern) or fnmatch.fnmatchcase(name, pattern)

    def nearest(self, name: str, patterns: Sequence[str]) -> str | None:
        """Of the patterns that fit, the one that says most: the longest, and `backbone` last of all."""
        fitting = [pattern for pattern in patterns if self.fits(name, pattern)]
        return max(fitting, key=lambda pattern: 0 if pattern == BACKBONE else len(pattern), default=None)

    def problems(self, path: str, patterns: Sequence[str]) -> list[Problem]:
        """A mistake for each pattern of the setting at `path` that fits no parameter."""
        found = []
        for pattern in patterns:
            if not any(self.fits(name, pattern) for name in self.all):
                near = suggest(pattern, self._parts())
                text = say("{path}: {name!r} fits no parameter{near}", path=path, name=pattern, near=near)
                found.append(Problem(path, text))
        return found

    def _parts(self) -> set[str]:
        parts = {".".join(name.split(".")[:length]) for name in self.all for length in (1, 2)}
        return parts | ({BACKBONE} if self._has_backbone else set())


def _is_under(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")
