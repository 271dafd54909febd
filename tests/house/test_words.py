"""Sentences for users: each is found in the source, can be filled in, and has its Chinese with the same blanks."""

import ast
import json
import re
import string

import pytest
from sentences import lost, sentences
from source import PACKAGE, modules

_TABLE = PACKAGE / "core" / "messages_zh.json"
_KEYWORDS_OF_ERRORS = {"path"}
_FULL_STOPS = re.compile(r"[一-鿿][,;!?]|[一-鿿]: ")


def chinese() -> dict[str, str]:
    return json.loads(_TABLE.read_text("utf-8"))


def _blanks(text: str) -> list[tuple[str, str, str]]:
    """The fields of a sentence, each with its conversion and format."""
    found = string.Formatter().parse(text)
    return sorted((name, turned or "", shape or "") for _, name, shape, turned in found if name is not None)


def _has_blanks(text: str) -> bool:
    """Whether it is ever filled in; others may hold braces of their own, such as `{key: value}`."""
    try:
        return bool(_blanks(text)) and all(name.isidentifier() and shape[:1] != " " for name, _, shape in _blanks(text))
    except ValueError:
        return False


def test_there_are_sentences() -> None:
    assert len(sentences()) > 900


def test_every_sentence_can_be_followed_to_a_literal() -> None:
    """Say literals, or names from a literal table; a text that is put together at run time has no translation."""
    assert lost() == []


def test_every_sentence_has_its_chinese() -> None:
    table = chinese()
    assert {text: place for text, place in sentences().items() if not table.get(text)} == {}


def test_the_chinese_has_no_sentence_that_nobody_says() -> None:
    assert [text for text in chinese() if text not in sentences()] == []


def test_the_chinese_has_the_same_blanks() -> None:
    with_blanks = {text: told for text, told in chinese().items() if _has_blanks(text)}
    assert len(with_blanks) > 400
    assert {text: told for text, told in with_blanks.items() if _blanks(text) != _blanks(told)} == {}


def test_the_chinese_begins_with_the_same_path() -> None:
    """What stands first in a mistake of a config is its place, and is read from there (`experiment.reading`)."""
    path = re.compile(r"[a-z_]+(?:\.\w+|\[\d+\])+(?=[ =:])|{(?:path|place|where)}(?=[ =:])")
    wrong = [
        told for text, told in chinese().items()
        if (found := path.match(text)) and not re.match(re.escape(found[0]) + r"(?!\w)", told, re.ASCII)
    ]  # fmt: skip
    assert wrong == []


def test_the_chinese_has_chinese_stops() -> None:
    assert [told for told in chinese().values() if _FULL_STOPS.search(told)] == []


def test_the_table_is_sorted() -> None:
    assert list(chinese()) == sorted(chinese())


def test_every_error_fills_its_blanks() -> None:
    wrong = []
    for module in modules():
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call) or not node.args or not _is_literal(node.args[0]):
                continue
            text, given = node.args[0].value, {keyword.arg for keyword in node.keywords}  # type: ignore[attr-defined]
            if text not in sentences() or None in given or not (given - _KEYWORDS_OF_ERRORS or _has_blanks(text)):
                continue
            missing = {re.split(r"[.\[]", name)[0] for name, _, _ in _blanks(text)} - given
            if missing and _says(node):
                wrong.append(f"{module.name}:{node.lineno} {text!r} lacks {missing}")
    assert wrong == []


def _is_literal(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _says(node: ast.Call) -> bool:
    """`say` or one of our errors; other helpers fill in blanks of their own."""
    name = ast.unparse(node.func).rpartition(".")[2]
    return name in ("say", "Interrupted", "MissingExtra", "Preempted") or (
        name.endswith("Error") and name != "LayerMisfitError"
    )


@pytest.mark.parametrize("name", ["en", "zh"])
def test_both_languages_are_spoken(name: str) -> None:
    from netwright.core import messages

    messages.set_language(name)
    try:
        said = messages.say("{path} is missing; add it", path="model.name")
    finally:
        messages.set_language(None)
    assert said == {"en": "model.name is missing; add it", "zh": "model.name 缺失；请补上"}[name]


if __name__ == "__main__":  # python tests/house/test_words.py prints what has no Chinese yet, as JSON to fill in
    without = {text: "" for text in sorted(sentences()) if text not in chinese()}
    print(json.dumps(without, indent=1, ensure_ascii=False))
