"""`netwright data`: the built-in sets, what is inferred about a source, and fetching."""

from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.cli.options import AsJson, Overrides, Trust
from netwright.cli.output import emit, quiet_stdout
from netwright.cli.usage import Verb, Verbs
from netwright.core.messages import cells, filled, say

__all__ = ["app"]


_SOURCE = say("A built-in set, a file, a folder, or a config.")


def app() -> typer.Typer:
    """The group of commands."""
    about = say("Built-in sets, and what is inferred about data of yours.")
    group = typer.Typer(cls=Verbs, help=about, rich_markup_mode=None, no_args_is_help=True)
    group.command(name="list", cls=Verb, help=say("The built-in sets."))(_list)
    group.command(name="describe", cls=Verb, help=say("Inferred schema, statistics, leakage audit."))(_describe)
    group.command(name="fetch", cls=Verb, help=say("Download a set into the cache."))(_fetch)
    return group


def _list(as_json: AsJson = False) -> None:
    from netwright.data import list_data

    cards = list_data()
    if as_json:
        emit(cards)
        return
    keys = ("name", "task", "examples", "licence")
    head = [say("name"), say("task"), say("examples"), say("licence")]
    rows = [head, *([str(card[key]) for key in keys] for card in cards)]
    widths = [max(cells(row[place]) for row in rows) for place in range(len(keys))]
    lines = ["  ".join(map(filled, row, widths)).rstrip() for row in rows]
    print(lines[0])
    for line, card in zip(lines[1:], cards, strict=True):
        print(line)
        there = "" if card["installed"] else say(" (not installed)")
        print(f"  {say(card['summary'])} [{say(card['origin'])}]{there}")


def _describe(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=_SOURCE, show_default=False)],
    target: Annotated[
        str | None, typer.Option("--target", metavar="COLUMN", help=say("The column to predict."))
    ] = None,
    overrides: Overrides = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    with quiet_stdout(as_json):
        from netwright.core.catalogs import set_trust
        from netwright.data import describe, load_data

        set_trust(trust)
        spec, base = _section(source, overrides or [])
        description = describe(load_data(spec, base=base, target=target))
    if as_json:
        emit(description)
    else:
        print(description)


def _fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help=say("A built-in set."), show_default=False)],
    as_json: AsJson = False,
) -> None:
    with quiet_stdout(as_json):
        from netwright.data import fetch

        folder = fetch(name)
    if as_json:
        emit({"name": name, "folder": str(folder) if folder else None})
    elif folder is None:
        print(say("{name} needs no download", name=name))
    else:
        print(folder)


def _section(source: str, overrides: list[str]) -> tuple[Any, Path | None]:
    """The `data` section of a config; anything else is itself the source."""
    if Path(source).suffix not in (".yaml", ".yml"):
        return source, None
    from netwright.experiment.config import load_config
    from netwright.experiment.vocabulary import with_vocabulary

    config = with_vocabulary(load_config(source, overrides))
    return config.sections.data, config.folder
