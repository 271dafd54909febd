"""`netwright models`: the catalog of networks."""

from typing import Annotated

import typer

from netwright.cli.options import AsJson
from netwright.cli.output import emit, table
from netwright.core.messages import say

__all__ = ["HELP", "command"]

HELP = "The catalog of networks. Name, family, kinds of task, parameters, paper, one line."

_FAMILY = say("Only this family, such as vision.")


def command(
    family: Annotated[str | None, typer.Option("--family", metavar="F", help=_FAMILY)] = None,
    as_json: AsJson = False,
) -> None:
    from netwright.models import card, list_models

    cards = {name: card(name) for name in list_models(family)}
    if as_json:
        emit([{"name": name, **_told(entry.to_dict())} for name, entry in cards.items()])
        return
    columns = [say(title) for title in ("name", "family", "tasks", "parameters", "summary", "paper")]
    rows = [
        [name, it.family, ", ".join(it.tasks), f"{it.parameters:,}" if it.parameters else "", say(it.summary), it.paper]
        for name, it in cards.items()
    ]
    table(columns, rows, right=[3])


def _told(values: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in values.items() if key != "target"}
