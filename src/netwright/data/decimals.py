"""Numbers that are written with a comma: 3,14 as in German, or 1,234 for a thousand as in English.

Which of the two a file means nobody can tell from its cells alone, so the user does (`data.decimal`).
"""

import re
from collections.abc import Sequence
from typing import Any, Literal

__all__ = ["Decimal", "some_comma", "with_comma"]

Decimal = Literal[",", "."]  # what stands before a fraction

_COMMA = re.compile(r"[+-]?((\d+|\d{1,3}(\.\d{3})+)(,\d*)?|,\d+)([eE][+-]?\d+)?")  # 3,14 and 1.234,5
_GROUPS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")  # 1,234.5
_NEARLY_ALL = 0.8


def with_comma(value: Any) -> float:
    """A number; as a word it has a decimal comma, and perhaps points between thousands.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, str):
        return float(value)
    text = value.strip()
    if not _COMMA.fullmatch(text):
        raise ValueError(text)
    return float(text.replace(".", "").replace(",", "."))


def some_comma(words: Sequence[str]) -> str:
    """The first number with a comma, where nearly all words are numbers in one way of writing or another; else `""`."""
    found = [word for word in words if "," in word and (_COMMA.fullmatch(word) or _GROUPS.fullmatch(word))]
    numbers = len(found) + sum(map(_is_plain, words))
    return found[0] if found and numbers >= _NEARLY_ALL * len(words) else ""


def _is_plain(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
