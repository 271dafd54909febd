"""The one table of sentences that people read.

English is written where it is used, as the template of `say`; `messages_zh.json` holds the Chinese of each template
under the English one. So code stays readable, and a sentence without a translation is still said, in English.
The language comes from `set_language`, else `NETWRIGHT_LANG`, else the locale of the environment.
"""

import json
import os
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path

__all__ = ["cells", "few", "filled", "language", "say", "set_language"]

_chosen: str | None = None


def set_language(name: str | None) -> None:
    """Choose the language of messages, `"en"` or `"zh"`; None goes back to the environment's."""
    global _chosen
    _chosen = name


def language() -> str:
    """The language in force: `"zh"` for any Chinese locale, otherwise `"en"`."""
    if _chosen is not None:
        return _chosen
    for variable in ("NETWRIGHT_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(variable):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def say(template: str, **values: object) -> str:
    """The sentence for `template` in the language in force, with its `{fields}` filled from `values`."""
    text = _chinese().get(template, template) if language() == "zh" else template
    return text.format(**values) if values else text


def cells(text: str) -> int:
    """How many cells of a terminal a text takes; a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def filled(text: str, width: int, right: bool = False) -> str:
    """The text with spaces up to `width` cells, set flush left or right."""
    space = " " * (width - cells(text))
    return space + text if right else text + space


def few(names: Sequence[str], room: int = 120) -> str:
    """The names in a row; of a long list those that fit into `room` characters, and how many more there are."""
    kept = len(names)
    while kept > 1 and len(", ".join(names[:kept])) > room:
        kept -= 1
    shown = ", ".join(names[:kept])
    return shown if kept == len(names) else say("{names} and {count} more", names=shown, count=len(names) - kept)


@cache
def _chinese() -> dict[str, str]:
    table: dict[str, str] = json.loads(Path(__file__).with_name("messages_zh.json").read_text("utf-8"))
    return table
