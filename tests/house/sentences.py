"""Every sentence that people read, found in the source without running it.

A sentence is the first argument of `say` or of one of our errors. It may stand there as a literal, or be reached
through a name, a table, a loop or a helper that passes its own parameter on; so this reads just enough of Python to
follow those, and lists the places that it could not follow.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from source import PACKAGE, Module, modules

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SPREAD = (ast.Tuple, ast.List, ast.Set)


@dataclass(frozen=True)
class Found:
    """A literal text, a parameter that a caller fills, or (with neither) something that could not be followed."""

    text: str | None = None
    parameter: tuple["Room", ast.AST, str] | None = None


@dataclass(eq=False)
class Room:
    """A module with what is needed to look names up in it."""

    module: Module
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    bound: dict[tuple[ast.AST, str], list[tuple[ast.AST, tuple[int | None, ...]]]] = field(default_factory=dict)
    functions: dict[str, list[ast.AST]] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)
    calls: list[ast.Call] = field(default_factory=list)

    def scope(self, node: ast.AST) -> ast.AST:
        """The function (or the module) that a node stands in."""
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, _FUNCTIONS):
                return node
        return self.module.tree


@dataclass(frozen=True)
class Talker:
    """A callable that says one of its arguments: which one, by place (without self) and by name."""

    room: Room
    name: str
    place: int
    keyword: str


def _room(module: Module) -> Room:
    room = Room(module)
    for node in ast.walk(module.tree):
        for child in ast.iter_child_nodes(node):
            room.parents[child] = node
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            room.functions.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                room.imported[alias.asname or alias.name] = (str(node.module), alias.name)
        elif isinstance(node, ast.Call):
            room.calls.append(node)
        for target, value, steps in _bindings(node):
            _bind(room, target, value, steps)
    return room


def _bindings(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST, tuple[int | None, ...]]]:
    """(target, value, steps into the value): a step is an index, or None for "any element"."""
    if isinstance(node, ast.Assign):
        yield from ((target, node.value, ()) for target in node.targets)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        yield node.target, node.value, ()
    elif isinstance(node, ast.For | ast.comprehension):
        yield node.target, node.iter, (None,)


def _bind(room: Room, target: ast.AST, value: ast.AST, steps: tuple[int | None, ...]) -> None:
    if isinstance(target, ast.Name):
        room.bound.setdefault((room.scope(target), target.id), []).append((value, steps))
    elif isinstance(target, ast.Tuple):
        for place, part in enumerate(target.elts):
            _bind(room, part, value, (*steps, place))


@cache
def rooms() -> dict[str, Room]:
    return {module.name: _room(module) for module in modules()}


@cache
def _classes() -> dict[str, list[tuple[Room, ast.ClassDef]]]:
    found: dict[str, list[tuple[Room, ast.ClassDef]]] = {}
    for room in rooms().values():
        for node in ast.walk(room.module.tree):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append((room, node))
    return found


def _made(call: ast.Call, room: Room) -> str:
    """The class that a call makes; `replace(_CARD, …)` makes what `_CARD` is, or what `_card(…)` says it returns."""
    first = call.args[0] if ast.unparse(call.func) == "replace" and call.args else None
    if isinstance(first, ast.Name):
        for value, _ in room.bound.get((room.module.tree, first.id), []):
            if isinstance(value, ast.Call):
                return _made(value, room)
    elif isinstance(first, ast.Call):
        returned = [getattr(made, "returns", None) for made in room.functions.get(ast.unparse(first.func), [])]
        return next((ast.unparse(kind) for kind in returned if kind is not None), _made(first, room))
    return ast.unparse(call.func)


@cache
def _fields(name: str) -> tuple[ast.Constant, ...]:
    """The texts that are given to the field `name` of a class, wherever one is made: `ModelCard(summary="…")`."""
    found = []
    for room in rooms().values():
        for call in room.calls:
            for _, made in _classes().get(_made(call, room), ()):
                fields = [part for part in made.body if isinstance(part, ast.AnnAssign)]
                names = [ast.unparse(part.target) for part in fields if ast.unparse(part.annotation) == "str"]
                if name in names:
                    place = [ast.unparse(part.target) for part in fields].index(name)
                    given = [keyword.value for keyword in call.keywords if keyword.arg == name]
                    found += [*call.args[place : place + 1], *given]
    return tuple(node for node in found if isinstance(node, ast.Constant))


def _values(node: ast.AST, room: Room, seen: frozenset = frozenset()) -> Iterator[tuple[ast.AST | Found, Room]]:
    """The literal nodes that an expression may be, indirections followed."""
    if node in seen:
        return
    seen |= {node}
    if isinstance(node, (ast.Constant, ast.Dict, ast.JoinedStr, *_SPREAD)):
        yield node, room
    elif isinstance(node, ast.IfExp):
        yield from _values(node.body, room, seen)
        yield from _values(node.orelse, room, seen)
    elif isinstance(node, ast.BoolOp):
        for part in node.values:
            yield from _values(part, room, seen)
    elif isinstance(node, ast.NamedExpr | ast.Starred):
        yield from _values(node.value, room, seen)
    elif isinstance(node, ast.Name):
        yield from _named(node, room, seen)
    elif isinstance(node, ast.Attribute):
        yield from _attribute(node, room, seen)
    elif isinstance(node, ast.Subscript):
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        held = list(_inside(_values(node.value, room, seen), key, seen))
        known = any(not isinstance(found, Found) for found, _ in held)
        yield from held if known else _of_field(key, room)
    elif isinstance(node, ast.Call):
        yield from _called(node, room, seen)
    else:
        yield Found(), room


def _named(node: ast.Name, room: Room, seen: frozenset) -> Iterator[tuple[ast.AST | Found, Room]]:
    scope = room.scope(node)
    while True:
        if bound := room.bound.get((scope, node.id)):
            for value, steps in bound:
                yield from _walked(value, steps, room, seen)
            return
        if isinstance(scope, _FUNCTIONS) and (argument := _argument(scope, node.id)):
            literals = _literals_of(argument.annotation, room) if argument.annotation else []
            yield from ((ast.Constant(text), room) for text in literals)
            if not literals:
                yield Found(parameter=(room, scope, node.id)), room
            return
        if scope is room.module.tree:
            break
        scope = room.scope(scope)
    place, name = room.imported.get(node.id, ("", ""))
    other = rooms().get(place)
    if other is not None:
        for value, steps in other.bound.get((other.module.tree, name), []):
            yield from _walked(value, steps, other, seen)
    else:
        yield Found(), room


def _walked(value: ast.AST, steps: tuple[int | None, ...], room: Room, seen: frozenset) -> Iterator:
    found: Iterator = _values(value, room, seen)
    for step in steps:
        found = _inside(found, step, seen, keys=True)
    yield from found


def _inside(
    found: Iterator, step: object, seen: frozenset, keys: bool = False
) -> Iterator[tuple[ast.AST | Found, Room]]:
    """What stands inside literals: at `step` where that is known, else anywhere."""
    for node, room in found:
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            chosen = [value for key, value in pairs if isinstance(key, ast.Constant) and key.value == step]
            parts = node.keys if keys and step is None else chosen or node.values
        elif isinstance(node, _SPREAD):
            parts = [node.elts[step]] if isinstance(step, int) and step < len(node.elts) else node.elts
        else:
            yield Found(), room
            continue
        for part in parts:
            if part is not None:
                yield from _values(part, room, seen)


def _attribute(node: ast.Attribute, room: Room, seen: frozenset) -> Iterator[tuple[ast.AST | Found, Room]]:
    """`module.HELP`: that name in every module; `self.kind`: what its annotation allows."""
    if node.attr.isupper():
        for other in rooms().values():
            for value, steps in other.bound.get((other.module.tree, node.attr), []):
                yield from _walked(value, steps, other, seen)
        return
    if literals := _allowed(node.attr):
        yield from ((ast.Constant(text), room) for text in literals)
    else:
        yield from _of_field(node.attr, room)


@cache
def _allowed(name: str) -> tuple[str, ...]:
    """What the fields called `name` may hold, by their annotation as a `Literal`."""
    return tuple(
        text for described in _classes().values() for room, made in described for part in made.body
        if isinstance(part, ast.AnnAssign) and ast.unparse(part.target) == name
        for text in _literals_of(part.annotation, room)
    )  # fmt: skip


def _of_field(name: object, room: Room) -> Iterator[tuple[ast.AST | Found, Room]]:
    texts = _fields(name) if isinstance(name, str) else ()
    yield from ((text, room) for text in texts or [Found()])


def _literals_of(annotation: ast.AST, room: Room) -> list[str]:
    """The texts of a `Literal[...]`, or of a name bound to one."""
    if isinstance(annotation, ast.Name):
        bound = room.bound.get((room.module.tree, annotation.id), [])
        return [text for value, _ in bound for text in _literals_of(value, room)]
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Literal":
        return [part.value for part in ast.walk(annotation.slice) if isinstance(part, ast.Constant) and part.value]
    return []


def _called(node: ast.Call, room: Room, seen: frozenset) -> Iterator[tuple[ast.AST | Found, Room]]:
    if isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        yield from _inside(_values(node.func.value, room, seen), None, seen)
        for default in node.args[1:]:
            yield from _values(default, room, seen)
    elif isinstance(node.func, ast.Attribute) and node.func.attr in ("items", "values"):
        for found, place in _values(node.func.value, room, seen):
            if isinstance(found, ast.Dict):
                rows = zip(found.keys, found.values, strict=True) if node.func.attr == "items" else found.values
                elements = [ast.Tuple(list(row)) if isinstance(row, tuple) else row for row in rows]
                yield ast.Tuple(elements), place
            else:
                yield Found(), place
    elif isinstance(node.func, ast.Name) and node.func.id in room.functions:
        for function in room.functions[node.func.id]:
            for part in ast.walk(function):
                if isinstance(part, ast.Return) and part.value is not None and room.scope(part) is function:
                    yield from _values(part.value, room, seen)
    else:
        yield Found(), room


def _argument(function: ast.AST, name: str) -> ast.arg | None:
    arguments = function.args  # type: ignore[attr-defined]
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    return next((argument for argument in every if argument.arg == name), None)


def _texts(node: ast.AST, room: Room) -> Iterator[Found]:
    for found, _ in _values(node, room):
        if isinstance(found, Found):
            yield found
        elif isinstance(found, ast.Constant) and (isinstance(found.value, str) or found.value is None):
            if found.value:
                yield Found(text=found.value)
        else:
            yield Found()


def _talker(room: Room, function: ast.AST, name: str) -> Talker | None:
    """The talker that a function is, one of whose parameters is said."""
    if isinstance(function, ast.Lambda):
        return None
    arguments = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]  # type: ignore[attr-defined]
    inside = isinstance(room.parents.get(function), ast.ClassDef)
    place = arguments.index(name) - inside if name in arguments else 99
    called = room.parents[function].name if inside and function.name == "__init__" else function.name  # type: ignore[attr-defined]
    return Talker(room, called, place, name)


def _talks(call: ast.Call, room: Room, talkers: dict[str, set[Talker]]) -> Iterator[Talker]:
    """The talkers that a call may be a call of."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    own = not isinstance(call.func, ast.Attribute) or ast.unparse(call.func.value) == "self"
    for talker in talkers.get(name, ()):
        if not own or talker.room is room or name in room.imported:
            yield talker


def _said(call: ast.Call, talker: Talker) -> ast.AST | None:
    named = next((keyword.value for keyword in call.keywords if keyword.arg == talker.keyword), None)
    return call.args[talker.place] if talker.place < len(call.args) else named


def _errors() -> dict[str, Room]:
    """Our errors, by descent, and where they are."""
    known = {"NetwrightError": rooms()["netwright.core.errors"]}
    for _ in range(3):
        known |= {
            name: room for name, described in _classes().items() for room, node in described
            if any(ast.unparse(base) in known for base in node.bases)
        }  # fmt: skip
    return known


@cache
def _read() -> tuple[dict[str, str], list[str]]:
    core = rooms()["netwright.core.messages"]
    talkers = {"say": {Talker(core, "say", 0, "template")}}
    talkers |= {name: {Talker(room, name, 0, "template")} for name, room in _errors().items()}
    sentences: dict[str, str] = {}
    lost: dict[str, None] = {}
    while True:
        before = sum(map(len, talkers.values()))
        lost.clear()
        for room in rooms().values():
            for call in room.calls:
                for talker in list(_talks(call, room, talkers)):
                    node, place = _said(call, talker), f"{room.module.name}:{call.lineno}"
                    for found in _texts(node, room) if node is not None else ():
                        if found.text is not None:
                            sentences.setdefault(found.text, place)
                        elif found.parameter is None:
                            lost[f"{place} {ast.unparse(call)[:90]}"] = None
                        elif made := _talker(*found.parameter):
                            talkers.setdefault(made.name, set()).add(made)
                            sentences |= dict.fromkeys(_defaults(*found.parameter), place)
        if sum(map(len, talkers.values())) == before:
            return sentences | _of_pages(), list(lost)


def _defaults(room: Room, function: ast.AST, name: str) -> Iterator[str]:
    arguments = function.args  # type: ignore[attr-defined]
    placed = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(reversed(placed), reversed(arguments.defaults), strict=False),
             *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]  # fmt: skip
    for argument, default in pairs:
        text = default.value if isinstance(default, ast.Constant) else None
        if argument.arg == name and isinstance(text, str) and text:
            yield text


def _of_pages() -> dict[str, str]:
    """What the report's templates say."""
    said = re.compile(r"""\bsay\(\s*(?:"([^"]*)"|'([^']*)')""")
    return {
        first or second: f"{page.name}:{text.count(chr(10), 0, found.start()) + 1}"
        for page in sorted(PACKAGE.rglob("*.j2")) for text in [page.read_text("utf-8")]
        for found in said.finditer(text) for first, second in [found.groups()]
    }  # fmt: skip


def sentences() -> dict[str, str]:
    """Every sentence and a place where it is said."""
    return _read()[0]


def lost() -> list[str]:
    """Calls whose sentence could not be followed to a literal."""
    return _read()[1]
