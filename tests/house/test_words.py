"""Sentences for users: each can be filled in, and its Chinese has the same blanks."""

import ast
import json
import string
from collections.abc import Iterator

from source import PACKAGE, modules

_ERRORS = {
    "CheckpointError",
    "ConfigError",
    "DataError",
    "DivergedError",
    "Interrupted",
    "MissingExtra",
    "NetwrightError",
    "Preempted",
    "ResourceError",
}
_KEYWORDS_OF_ERRORS = {"path"}


def templates() -> dict[str, str]:
    """Every literal sentence and the place where it stands: first arguments of `say` and of our errors."""
    found = {}
    for module in modules():
        names = _literals(module.tree)
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and node.args and _called(node) in {"say", *_ERRORS}:
                for text in _texts(node.args[0], names):
                    found[text] = f"{module.name}:{node.lineno}"
        if module.room == "cli":  # help texts stand as constants
            found |= {
                text: f"{module.name}:{name}" for name, texts in names.items() for text in texts if name == "HELP"
            }
    return found


def _called(node: ast.Call) -> str:
    return (
        node.func.id
        if isinstance(node.func, ast.Name)
        else node.func.attr
        if isinstance(node.func, ast.Attribute)
        else ""
    )


def _literals(tree: ast.Module) -> dict[str, list[str]]:
    """Names that are bound to literal texts, anywhere in the module."""
    bound: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            bound.setdefault(node.targets[0].id, []).extend(_texts(node.value, {}))
    return bound


def _texts(node: ast.AST, names: dict[str, list[str]]) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body, names)
        yield from _texts(node.orelse, names)
    elif isinstance(node, ast.Name):
        yield from names.get(node.id, [])


def _blanks(text: str) -> set[str]:
    """Names of the fields, without conversion and format."""
    return {field.split(".")[0].split("[")[0] for _, field, _, _ in string.Formatter().parse(text) if field is not None}


def chinese() -> dict[str, str]:
    return json.loads((PACKAGE / "core" / "messages_zh.json").read_text("utf-8"))


def test_there_are_sentences():
    assert len(templates()) > 300


def test_every_sentence_parses_and_names_its_blanks():
    for text, place in templates().items():
        if "{" in text and not text.startswith("{{"):
            assert "" not in _blanks(text), f"{place}: {text!r} has a blank without a name"


def test_every_error_fills_its_blanks():
    wrong = []
    for module in modules():
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call) or _called(node) not in {"say", *_ERRORS} or not node.args:
                continue
            given = {keyword.arg for keyword in node.keywords}
            first = node.args[0]
            if None in given or not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
                continue
            if not given - _KEYWORDS_OF_ERRORS and "{" not in first.value:
                continue
            missing = _blanks(first.value) - given if given else set()
            if missing:
                wrong.append(f"{module.name}:{node.lineno} {first.value!r} lacks {missing}")
    assert wrong == []


def test_the_chinese_has_the_same_blanks():
    wrong = {text: told for text, told in chinese().items() if _blanks(text) != _blanks(told)}
    assert wrong == {}


def test_the_chinese_has_no_sentence_that_nobody_says():
    assert [text for text in chinese() if text not in templates()] == []


if __name__ == "__main__":  # python tests/house/test_words.py prints what has no Chinese yet, as JSON to fill in
    without = {text: "" for text in sorted(templates()) if text not in chinese()}
    print(json.dumps(without, indent=1, ensure_ascii=False))
