"""Catalogs: literal tables from a name to `"package.module:attribute"`.

Nothing registers itself by being imported, and only what is named is imported. Users add their own by entry points, or
name `my_package.module:Thing` in a config, which is imported only when they said `--trust`. Case, hyphens and
underscores do not count: `vgg11-bn` and `VGG11_BN` are `vgg11_bn`.
"""

import importlib
import importlib.metadata
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from netwright.core.errors import ConfigError, suggest

__all__ = ["Catalog", "load_target", "set_trust", "trusting"]

_trusted = False


def set_trust(trusted: bool) -> None:
    """Allow configs to name Python objects by path (`--trust`); off unless the user says so."""
    global _trusted
    _trusted = trusted


@contextmanager
def trusting(trusted: bool) -> Iterator[None]:
    """While inside, what configs name may be imported, if `trusted`; afterwards it is as it was."""
    global _trusted
    former, _trusted = _trusted, _trusted or trusted
    try:
        yield
    finally:
        _trusted = former


def load_target(target: str) -> Any:
    """The object behind `"package.module:attribute"`."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


class Catalog:
    """Names of one kind of thing (`kind` as in "loss"), their targets, and the entry-point group that adds to them.

    `aliases` are other names that people use for one in the table; they are understood and not listed.
    """

    def __init__(
        self, kind: str, table: Mapping[str, str], entry_points: str, aliases: Mapping[str, str] | None = None
    ) -> None:
        self.kind = kind
        self._table = table
        self._group = entry_points
        self._aliases = aliases or {}

    def names(self) -> list[str]:
        """All known names, sorted, the users' own among them."""
        return sorted({*self._table, *self._extensions()})

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.canonical(name) is not None

    def canonical(self, name: str) -> str | None:
        """How the catalog itself writes `name`; None for what it does not know."""
        if name in self._table:
            return name
        known = {_squeezed(alias): to for alias, to in self._aliases.items()} | {_squeezed(n): n for n in self.names()}
        return known.get(_squeezed(name))

    def load(self, name: str) -> Any:
        """Import and give what `name` stands for.

        Raises:
            ConfigError: no such name (says the nearest), or a Python path without `--trust`.
        """
        if not isinstance(name, str):
            raise ConfigError("{kind}={got!r} does not fit; expected a name", kind=self.kind, got=name)
        known = self.canonical(name)
        if known is not None:
            if known in self._table:
                return load_target(self._table[known])
            return self._imported(known, self._extensions()[known].load)
        if ":" in name:
            return self._load_path(name)
        raise ConfigError("unknown {kind} {name!r}{near}", kind=self.kind, name=name, near=suggest(name, self.names()))

    def _load_path(self, target: str) -> Any:
        if not _trusted:
            raise ConfigError(
                "{kind} {target!r} names Python code; add --trust if it is yours", kind=self.kind, target=target
            )
        if os.getcwd() not in sys.path:  # where `python` finds modules, and a command that was installed does not
            sys.path.append(os.getcwd())
        return self._imported(target, partial(load_target, target))

    def _imported(self, target: str, load: Callable[[], Any]) -> Any:
        """What somebody else's code gives under a name."""
        try:
            made = load()
        except Exception as error:  # importing runs somebody's code, which may fail in every way
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
            template = (
                "{kind} {target!r} cannot be imported: {reason}; "
                "check the path, and that its module is installed or in this folder"
            )
            raise ConfigError(template, kind=self.kind, target=target, reason=reason) from error
        if not callable(made):
            template = "{kind} {target!r} is a {got}; expected a class or a function"
            raise ConfigError(template, kind=self.kind, target=target, got=type(made).__name__)
        return made

    def _extensions(self) -> dict[str, importlib.metadata.EntryPoint]:
        return {point.name: point for point in importlib.metadata.entry_points(group=self._group)}


def _squeezed(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
