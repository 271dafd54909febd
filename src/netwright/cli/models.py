"""`netwright models`: the catalog of networks, the variants of a paper together."""

from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from netwright.cli.options import AsJson
from netwright.cli.output import emit
from netwright.core.errors import ConfigError
from netwright.core.messages import cells, filled, say

if TYPE_CHECKING:
    from netwright.models import ModelCard

__all__ = ["HELP", "command"]

HELP = "The catalog of networks. Name, family, kinds of task, parameters, paper, one line."

_FAMILY = say("Only this family, such as vision or resnet.")
_WORDS = say("Only networks whose card has these words, such as mobile.")


def command(
    words: Annotated[list[str] | None, typer.Argument(metavar="[WORD]...", help=_WORDS, show_default=False)] = None,
    family: Annotated[str | None, typer.Option("--family", metavar="F", help=_FAMILY)] = None,
    as_json: AsJson = False,
) -> None:
    from netwright.models import card, list_models

    cards = {name: card(name) for name in list_models(family)}
    found = {name: it for name, it in cards.items() if _fits(name, it, words or [])}
    if words and not found:
        raise ConfigError("no network has {words} on its card; netwright models lists all", words=" ".join(words))
    if as_json:
        emit([{"name": name, **_told(entry.to_dict())} for name, entry in found.items()])
        return
    print("\n".join(_pages(found)))


def _fits(name: str, card: "ModelCard", words: list[str]) -> bool:
    told = (name, card.family, card.kin, *card.tasks, card.summary, card.paper, card.idea, card.when, *card.aliases)
    text = " ".join((*told, say(card.summary), say(card.idea), say(card.when))).lower()
    return all(word.lower() in text for word in words)


def _pages(cards: "dict[str, ModelCard]") -> list[str]:
    """A heading a paper, its networks under it from small to large."""
    rows = sorted(cards.items(), key=lambda item: (item[1].family, item[1].kin, item[1].parameters or 0, item[0]))
    widths = [max(cells(_columns(*row)[place]) for row in rows) for place in range(3)]
    lines: list[str] = []
    for (family, kin), group in groupby(rows, key=lambda item: (item[1].family, item[1].kin or item[0])):
        members = list(group)
        card = dict(members).get(kin, members[0][1])  # the paper of the kin, not that of its smallest size
        tasks = dict.fromkeys((*card.tasks, *(task for _, one in members for task in one.tasks)))
        title = ", ".join(part for part in (family, *tasks) if part)
        lines += ["", f"{kin} ({title})" + (f": {card.paper}" if card.paper else "")]
        for row in members:
            name, parameters, work = _columns(*row)
            aligned = (filled(name, widths[0]), filled(parameters, widths[1], True), filled(work, widths[2], True))
            lines.append(f"  {'  '.join(aligned)}  {say(row[1].summary)}")
    return [*lines[1:], "", say("{count} networks; netwright explain NAME tells more of one", count=len(rows))]


def _columns(name: str, card: "ModelCard") -> tuple[str, str, str]:
    work = f"{card.gmacs:g} GMACs" if card.gmacs else ""
    return name, f"{card.parameters:,}" if card.parameters else "", work


def _told(values: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in values.items() if key != "target"}
