"""The page to try a model on: one file without anything from elsewhere, in English and in Chinese."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netwright.core import messages
from netwright.core.messages import say

__all__ = ["make_pages"]


def make_pages(about: Mapping[str, Any]) -> dict[str, str]:
    """The page by language; made before the first request, because the language in force is the process's."""
    before, pages = messages.language(), {}
    try:
        for language in ("en", "zh"):
            messages.set_language(language)
            pages[language] = _page(about, language)
    finally:
        messages.set_language(before)
    return pages


def _page(about: Mapping[str, Any], language: str) -> str:
    given = json.dumps({"about": about, "words": _words()}, ensure_ascii=False, default=str)
    given = given.replace("<", "\\u003c")  # no name of a class ends the script
    template = Path(__file__).with_name("page.html").read_text("utf-8")
    return template.replace("{{lang}}", language).replace("{{given}}", given)


def _words() -> dict[str, str]:
    return {
        "other": say("中文"),
        "drop": say("Drop a picture here, paste one, or choose a file"),
        "question": say("Question"),
        "context": say("Text that holds the answer"),
        "text": say("Text"),
        "numbers": say("Numbers as JSON"),
        "ask": say("Ask the model"),
        "answer": say("Answer"),
        "asking": say("Working …"),
        "missing": say("missing"),
        "yes": say("yes"),
        "no": say("no"),
        "failed": say("The server does not answer; is it still running?"),
        "figures": say("How good it is"),
        "train": say("train"),
        "validation": say("validation"),
        "test": say("test"),
        "parameters": say("parameters"),
        "trained": say("trained on"),
        "program": say("From a program"),
        "task": say("task"),
    }
