"""Checking a config section that is made of several parts, with all mistakes of all parts in one list."""

from collections.abc import Callable, Mapping
from typing import Any

from netwright.core.catalogs import Catalog
from netwright.core.errors import ConfigError, Problem
from netwright.core.messages import say
from netwright.core.schemas import arguments

__all__ = ["Problems"]


class Problems:
    """Collects what is wrong with the section at the dotted path `where`."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.found: list[Problem] = []

    def add(self, path: str, template: str, **values: object) -> None:
        """A mistake at `path` (below the section); the template may use `{path}`."""
        full = f"{self.where}.{path}" if path else self.where
        self.found.append(Problem(full, say(template, path=full, **values)))

    def attempt(self, make: Callable[[], Any], path: str = "") -> Any:
        """What `make` gives, or None and its mistakes collected."""
        try:
            return make()
        except ConfigError as error:
            self.found += [self._placed(problem, path) for problem in error.problems]
            return None

    def part(self, spec: Any, catalog: Catalog, path: str) -> tuple[str, dict[str, Any]] | None:
        """A part given as `name` or `{name: …, option: …}`: its name and checked options, or None."""
        options = dict(spec) if isinstance(spec, Mapping) else {"name": spec}
        name = options.pop("name", None)
        if not isinstance(name, str):
            template = "{path}={got!r} does not fit; expected one of {names}, or {{name: …}}"
            self.add(path, template, got=spec, names=", ".join(catalog.names()))
            return None
        factory = self.attempt(lambda: catalog.load(name), path)
        if factory is None:
            return None
        checked = self.attempt(lambda: arguments(factory, options, f"{self.where}.{path}"), path)
        return None if checked is None else (name, checked)

    def raise_if_any(self) -> None:
        """Raise one ConfigError for all of them."""
        if self.found:
            raise ConfigError.of(self.found)

    def _placed(self, problem: Problem, path: str) -> Problem:
        """A mistake told without its place gets the place in front."""
        if problem.path.startswith(self.where):
            return problem
        full = ".".join(part for part in (self.where, path, problem.path) if part)
        return Problem(full, f"{full}: {problem.message}")
