"""Applying fixes to a YAML text, with its comments, order and quoting kept."""

import difflib
import io
import re
from collections.abc import Iterable
from typing import Any

from ruamel.yaml import YAML

from netwright.core.errors import ConfigError
from netwright.doctor.findings import Finding

__all__ = ["apply_fixes"]

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def apply_fixes(text: str, findings: Iterable[Finding], name: str = "config.yaml") -> tuple[str, str]:
    """The mended text and a unified diff; both are about nothing when no finding carries a fix.

    Values are set first, and deletions of list items last and from the end, so that every index still means what it
    meant to the rule. Where two fixes name the same place, the first finding's stands.

    Raises:
        ConfigError: the text is no mapping.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.brace_single_entry_mapping_in_flow_sequence = True  # [{linear: 10}] stays as it was written
    _keep_indent(yaml, text)
    tree = yaml.load(text)
    if not isinstance(tree, dict):
        raise ConfigError("{name} is not a mapping of keys to values, so nothing can be fixed in it", name=name)
    wanted: dict[str, Any] = {}
    for finding in findings:
        for path, value in (finding.fix or {}).items():
            wanted.setdefault(path, value)
    changed = [_set(tree, path, value) for path, value in wanted.items() if value is not None]
    gone = [path for path, value in wanted.items() if value is None]
    changed += [_delete(tree, path) for path in sorted(gone, key=_steps_key, reverse=True)]
    if not any(changed):
        return text, ""
    out = io.StringIO()
    yaml.dump(tree, out)
    return out.getvalue(), _diff(text, out.getvalue(), name)


def _keep_indent(yaml: YAML, text: str) -> None:
    """Lists as the author indents them: `- x` under its key, or two further in."""
    offsets = re.findall(r"^( *)[^\s#-][^\n]*:\s*(?:#[^\n]*)?\n( *)- ", text, re.MULTILINE)
    if any(len(dash) > len(key) for key, dash in offsets):
        yaml.indent(mapping=2, sequence=4, offset=2)


def _diff(before: str, after: str, name: str) -> str:
    name = name.lstrip("/")
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{name}", f"b/{name}")
    return "".join(lines)


def _steps(path: str) -> list[str | int]:
    return [int(number) if number else key for key, number in _STEP.findall(path)]


def _steps_key(path: str) -> list[tuple[int, str]]:
    return [(step, "") if isinstance(step, int) else (-1, step) for step in _steps(path)]


def _set(tree: Any, path: str, value: Any) -> bool:
    """Set one value; a short form on the way (`loss: mse`, `optimizer: adam`) becomes `{name: …}`."""
    *way, last = _steps(path)
    place: Any = tree
    for at, step in enumerate(way):
        inner = _child(place, step)
        if inner is None and isinstance(place, dict):
            inner = place[step] = {}
        elif isinstance(inner, str) and last == "name" and at == len(way) - 1:
            place[step] = value
            return bool(inner != value)
        elif isinstance(inner, str):
            inner = place[step] = {"name": inner}
        place = inner
        if place is None:
            return False
    if isinstance(place, list) and not (isinstance(last, int) and last < len(place)):
        return False
    if not isinstance(place, list | dict) or bool(_child(place, last) == value):
        return False
    place[last] = value  # type: ignore[index]
    return True


def _delete(tree: Any, path: str) -> bool:
    *way, last = _steps(path)
    place: Any = tree
    for step in way:
        place = _child(place, step)
        if place is None:
            return False
    found = isinstance(place, dict) and last in place
    found = found or (isinstance(place, list) and isinstance(last, int) and last < len(place))
    if found:
        del place[last]
    return found


def _child(place: Any, step: str | int) -> Any:
    if isinstance(place, list):
        return place[step] if isinstance(step, int) and step < len(place) else None
    return place.get(step) if isinstance(place, dict) else None
