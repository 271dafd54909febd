"""What the house tests read: every module of the package as a syntax tree, without importing it."""

import ast
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "netwright"

# A room may import the rooms of lower floors, and itself.
FLOORS = (
    ("core",),
    ("blocks", "losses", "optim", "metrics"),
    ("models", "data", "doctor"),
    ("tasks",),
    ("training",),
    ("tuning", "reports", "export", "serving", "compression"),
    ("experiment",),
    ("cli",),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


@dataclass(frozen=True)
class Module:
    name: str
    path: Path
    tree: ast.Module
    lines: int

    @property
    def room(self) -> str:
        """`""` for the package's own `__init__` and `__main__`, which stand before the house."""
        return [*self.name.removesuffix(".__main__").split("."), ""][1]


@cache
def modules() -> tuple[Module, ...]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text("utf-8")
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        found.append(Module(name, path, ast.parse(text), text.count("\n")))
    return tuple(found)


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Full names of all that is imported anywhere in a tree, with lines; `from a import b` gives `a` and `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "the house imports by full names"
            yield str(node.module), node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def imports_at_load(module: Module) -> Iterator[tuple[str, int]]:
    """Those that run when the module is imported: not in functions, not under TYPE_CHECKING."""
    waiting: list[ast.AST] = list(module.tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(node)
        else:
            waiting += ast.iter_child_nodes(node)


def loaded(names: Iterable[str]) -> dict[str, str]:
    """All that is imported with these names, packages before what they hold, each with the module that asks for it."""
    known = {module.name: module for module in modules()}
    found = dict.fromkeys(names, "")
    waiting = list(found)
    while waiting:
        asks = waiting.pop()
        parts = asks.split(".")
        wanted = [".".join(parts[:end]) for end in range(1, len(parts))]
        if asks in known:
            wanted += [name for name, _ in imports_at_load(known[asks])]
        for name in wanted:
            if name not in found:
                found[name] = asks
                waiting.append(name)
    return found


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
