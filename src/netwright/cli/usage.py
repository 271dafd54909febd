"""What the command-line library says, in our words: the mistakes of a command line, and what frames a help page."""

import re
from typing import Any

from typer.core import TyperCommand, TyperGroup

from netwright.core.errors import suggest
from netwright.core.messages import say

__all__ = ["Verb", "Verbs", "mistake"]

_LATER = ("compress", "init", "transcribe")
# typer may bring its own copy of click, and each version its own classes: only the words of a mistake stay the same.
_OPTION, _COMMAND, _VALUE = r"No such option: (\S+)", r"No such command '(.*?)'", r"Invalid value for '(.+?)'.*?: (.+)"
_OTHERS = (
    (r"Missing \S+ '(.+?)'", "{name} is missing; add it"),
    (r"Option '(.+?)' requires an argument", "{name} needs a value after it"),
    (r"Option '(.+?)' does not take a value", "{name} takes no value"),
    (r"Got unexpected extra argument\S* \((.+)\)", "{name} is one argument too many"),
)
_WANTED = (
    (r"valid integer()", "a valid integer"),
    (r"valid (?:number|float)()", "a valid number"),
    (r"greater than or equal to (\S+)", "{least} or more"),
    (r"less than or equal to (\S+)", "{most} or less"),
)
_FRAME = ("Usage:", "Arguments:", "Options:", "Commands:", "Show this message and exit.")


class Verb(TyperCommand):
    """A command whose help page is framed in the language in force."""

    def get_help(self, ctx: Any) -> str:
        return _framed(super().get_help(ctx))


class Verbs(TyperGroup):
    """A group of commands, likewise."""

    def get_help(self, ctx: Any) -> str:
        return _framed(super().get_help(ctx))


def mistake(error: Any) -> str:
    """One sentence for a mistake of the command line, as a click error has it."""
    said = " ".join(error.format_message().split())
    if found := re.match(_OPTION, said):
        known = [name for one in error.ctx.command.params for name in one.opts if name.startswith("--")]
        return say("no such option: {name}{near}", name=found[1], near=suggest(found[1], known))
    if found := re.match(_COMMAND, said):
        return _no_command(found[1], sorted(error.ctx.command.commands))
    if found := re.match(_VALUE, said):
        return _misfit(found[1], found[2])
    for pattern, template in _OTHERS:
        if found := re.match(pattern, said):
            return say(template, name=found[1])
    return said


def _no_command(name: str, known: list[str]) -> str:
    if name in _LATER:
        return say("{name} comes with a later version; known: {names}", name=name, names=", ".join(known))
    return say("no such command: {name}{near}", name=name, near=suggest(name, known))


def _misfit(name: str, reason: str) -> str:
    for pattern, template in _WANTED:
        if found := re.search(pattern, reason):
            wanted = say(template, least=found[1], most=found[1])
            return say("{name} does not fit; expected {wanted}", name=name, wanted=wanted)
    return say("{name} does not fit: {reason}", name=name, reason=reason.rstrip("."))


def _framed(page: str) -> str:
    """The page with the library's own headings in the language in force."""
    for words in _FRAME:
        page = page.replace(words, say(words))
    return page
